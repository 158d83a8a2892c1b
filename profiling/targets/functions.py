"""A function named on the command line, and the arguments to call it with."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .code import did_you_mean


def load_function(text: str) -> Callable[..., Any]:
    """Import a module and return a function of it.

    The current folder is importable, as it is for ``python -m``.

    Parameters
    ----------
    text : str
        ``package.module:function``; the function may be dotted.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    ValueError
        If there is no such module or function; the message names the nearest ones. What the module itself
        raises is passed on.

    Examples
    --------
    >>> load_function("math:sqrt")(9.0)
    3.0
    >>> load_function("os.path:joinn")
    Traceback (most recent call last):
    ...
    ValueError: module os.path has no 'joinn'; did you mean join?
    """
    name, _, dotted = text.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that itself misses another one says which.
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise
        raise ValueError(
            f"no module named {error.name!r}{did_you_mean(error.name, _siblings(error.name))}"
        ) from None
    where = f"module {name}"
    for part in dotted.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{where} has no {part!r}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
        where = f"{name}:{part}"
    if not callable(found):
        raise ValueError(f"{text} is a {type(found).__name__}, not a function")
    function: Callable[..., Any] = found
    return function


def _siblings(name: str) -> list[str]:
    """Return the modules that stand where a missing one was looked for."""
    parent, dot, _ = name.rpartition(".")
    path = getattr(sys.modules.get(parent), "__path__", None) if dot else None
    return [f"{parent}{dot}{module.name}" for module in pkgutil.iter_modules(path)]


def run_setup(code: str) -> dict[str, Any]:
    """Run the statements that prepare the arguments.

    Parameters
    ----------
    code : str
        Statements; may be empty.

    Returns
    -------
    dict
        The names they leave behind.

    Raises
    ------
    ValueError
        If they are no valid Python, or raise.

    Examples
    --------
    >>> run_setup("x = 2; y = x + 1")["y"]
    3
    """
    namespace: dict[str, Any] = {"__name__": "__setup__"}
    try:
        exec(compile(code, "<setup>", "exec", dont_inherit=True), namespace)
    except Exception as error:
        raise ValueError(f"--setup {code!r} failed: {type(error).__name__}: {error}") from error
    return namespace


def evaluate_arguments(text: str, namespace: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that an expression stands for.

    Parameters
    ----------
    text : str
        What stands between the brackets of a call, such as ``"x, y, axis=0"``.
    namespace : mapping
        Names it may use, as `run_setup` returns them.

    Returns
    -------
    tuple, dict
        Positional and keyword arguments.

    Raises
    ------
    ValueError
        If it is no list of arguments, or evaluating it raises.

    Examples
    --------
    >>> evaluate_arguments("x, n=x + 1", {"x": 1})
    ((1,), {'n': 2})
    """

    def keep(*positional: Any, **named: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return positional, named

    names = {**namespace, "__keep__": keep}
    try:
        kept: tuple[tuple[Any, ...], dict[str, Any]] = eval(f"__keep__({text}\n)", names)
    except Exception as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ValueError(f"--args {text!r} failed: {type(error).__name__}: {reason}") from error
    return kept
