"""The backends: found by their files, by entry points, or registered by the user.

A file ``*_backend.py`` in this folder is one backend. Another distribution adds one by an entry
point of the group ``tensorops.backends`` that names a subclass of `ComputeBackend`. Nothing of this
is imported before the first question about backends is asked.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from tensorops.backends.base import Array, Call, ComputeBackend

__all__ = [
    "Call",
    "ComputeBackend",
    "backends",
    "get_backend",
    "loaded_backends",
    "on_change",
    "register_backend",
    "run_path",
    "unregister_backend",
    "usable_paths",
    "why_unknown_elsewhere",
    "why_unsupported",
]

ENTRY_POINTS = "tensorops.backends"
_METADATA = (".dist-info", ".egg-info")

_lock = threading.RLock()
_builtin: dict[str, ComputeBackend] = {}
_added: dict[str, ComputeBackend] = {}
_broken: dict[str, str] = {}
_resolved: dict[str, tuple[ComputeBackend, str | None]] = {}
_listeners: list[Callable[[], None]] = []
_discovered = False


def backends() -> dict[str, str | None]:
    """Return every known backend, and why one cannot be used.

    Returns
    -------
    dict of str to (str or None)
        By name; None where the backend can be used here, else the reason.

    Examples
    --------
    >>> print(backends()["numpy"])
    None
    """
    found = {name: _why(backend, "available") for name, backend in _registry().items()}
    return {**found, **_broken}


def get_backend(name: str) -> ComputeBackend:
    """Return the backend of this name, available or not.

    Parameters
    ----------
    name : str
        As `backends` lists it.

    Returns
    -------
    ComputeBackend
        The backend.

    Raises
    ------
    ValueError
        If there is none of this name, or its module could not be loaded.

    Examples
    --------
    >>> get_backend("numpy").name
    'numpy'
    """
    known = _registry()
    if name in known:
        return known[name]
    if name in _broken:
        raise ValueError(f"backend {name!r} cannot be used: {_broken[name]}")
    raise ValueError(f"unknown backend {name!r}; known: {', '.join(known)}")


def loaded_backends() -> tuple[ComputeBackend, ...]:
    """Return every backend that could be loaded, available or not.

    Returns
    -------
    tuple of ComputeBackend
        In the order of the names that `backends` lists.

    Examples
    --------
    >>> "numpy" in [backend.name for backend in loaded_backends()]
    True
    """
    return tuple(_registry().values())


def register_backend(backend: ComputeBackend, *, replace: bool = False) -> None:
    """Add a backend for the rest of this process.

    Parameters
    ----------
    backend : ComputeBackend
        An instance of a subclass.
    replace : bool, optional
        Whether it may take the place of an added backend of the same name. The library's own
        backends are never replaced.

    Raises
    ------
    TypeError
        If `backend` is not an instance of a subclass of `ComputeBackend`.
    ValueError
        If its name is not an identifier or is taken.

    Examples
    --------
    >>> from tensorops.backends.numpy_backend import NumpyBackend
    >>> class Mine(NumpyBackend):
    ...     name = "mine"
    >>> register_backend(Mine())
    >>> "mine" in backends()
    True
    >>> unregister_backend("mine")
    """
    name = _checked_name(backend)
    with _lock:
        known = _registry()
        if name in known and not (replace and name in _added):
            hint = "; pass replace=True to put this one in its place" if name in _added else ""
            raise ValueError(f"a backend named {name!r} is there already{hint}")
        _added[name] = backend
        _resolved.clear()
    _announce()


def unregister_backend(name: str) -> None:
    """Remove a backend that `register_backend` has added.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    ValueError
        If no backend of this name was added.

    Examples
    --------
    >>> unregister_backend("numpy")
    Traceback (most recent call last):
        ...
    ValueError: no backend named 'numpy' was added
    """
    with _lock:
        if _added.pop(name, None) is None:
            raise ValueError(f"no backend named {name!r} was added")
        _resolved.clear()
    _announce()


def on_change(callback: Callable[[], None]) -> None:
    """Have `callback` called whenever a backend is added or removed.

    Parameters
    ----------
    callback : callable
        Called without arguments, by the thread that made the change. It is kept for good.

    Examples
    --------
    >>> on_change(lambda: None)
    """
    _listeners.append(callback)


def usable_paths(call: Call, asked: str | None = None) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the paths that can compute `call`, and why the others cannot.

    Parameters
    ----------
    call : Call
        The call in question.
    asked : str, optional
        The backend that was asked for by its name: it counts even where it takes no part in the
        automatic choice.

    Returns
    -------
    usable : tuple of str
        Paths, in the order of the backends.
    excluded : dict of str to str
        The reason for each of the others.

    Examples
    --------
    >>> from tensorops.backends.base import Call
    >>> usable, excluded = usable_paths(Call("matmul", "int64", ((2, 2), (2, 2))))
    >>> usable, excluded["naive"]
    (('numpy',), 'dtype int64 is not float32 or float64')
    """
    usable: list[str] = []
    excluded = {}
    for backend in _registry().values():
        reason = _why(backend, "available") or _why(backend, "supports", call)
        if reason is None and backend.name != asked:
            reason = _why(backend, "automatic")
        if reason is None:
            usable += backend.paths_of(call.op)
        else:
            excluded.update(dict.fromkeys(backend.paths_of(call.op), reason))
    return tuple(usable), {**excluded, **_broken}


def why_unsupported(name: str, call: Call) -> str | None:
    """Return why the backend of this name cannot compute `call`, or None if it can.

    Parameters
    ----------
    name : str
        As `backends` lists it.
    call : Call
        The call in question.

    Returns
    -------
    str or None
        What its `ComputeBackend.supports` says; that it failed, where it raises.

    Raises
    ------
    ValueError
        If there is no backend of this name.

    Examples
    --------
    >>> from tensorops.backends.base import Call
    >>> why_unsupported("naive", Call("matmul", "int64", ((2, 2), (2, 2))))
    'dtype int64 is not float32 or float64'
    """
    return _why(get_backend(name), "supports", call)


def why_unknown_elsewhere(path: str) -> str | None:
    """Return why other processes do not know a path, or None if they do.

    Parameters
    ----------
    path : str
        A backend's name, or ``name/variant``.

    Returns
    -------
    str or None
        A backend that was given to `register_backend` exists in this process only: what is measured in
        processes of its own has to go without it.

    Examples
    --------
    >>> print(why_unknown_elsewhere("blocked/packed"))
    None
    """
    name = path.partition("/")[0]
    if name not in _added:
        return None
    return (
        f"backend {name!r} was registered in this process only; give it an entry point of the group "
        f"{ENTRY_POINTS!r} to have it measured"
    )


def run_path(path: str, op: str, arrays: Sequence[Array], out: Array, **params: Any) -> Array:
    """Compute `op` into `out` by one path.

    Parameters
    ----------
    path : str
        A backend's name, or ``name/variant`` where it has variants.
    op : str
        Name in the operation registry.
    arrays : sequence of ndarray
        The operands, as `ComputeBackend.run` expects them.
    out : ndarray
        The result.
    **params : object
        The operation's parameters.

    Returns
    -------
    ndarray
        The object `out`.

    Raises
    ------
    ValueError
        If there is no such path.

    Examples
    --------
    >>> import numpy as np
    >>> run_path("numpy", "matmul", [np.eye(2), np.eye(2)], np.empty((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    backend, variant = _resolved.get(path) or _resolve(path)
    return backend.run(op, arrays, out, variant=variant, **params)


def _resolve(path: str) -> tuple[ComputeBackend, str | None]:
    """Return and remember the backend and the variant that `path` stands for."""
    name, _, variant = path.partition("/")
    from tensorops.operations import OPERATIONS

    with _lock:
        backend = get_backend(name)
        known = {*backend.paths(), *(known for op in OPERATIONS for known in backend.paths_of(op))}
        if path not in known:
            raise ValueError(f"unknown path {path!r}; backend {name!r} has: {', '.join(backend.paths())}")
        _resolved[path] = (backend, variant or None)
        return _resolved[path]


def _registry() -> dict[str, ComputeBackend]:
    """Return every loaded backend by name, after looking for them once."""
    global _discovered
    if not _discovered:
        with _lock:
            if not _discovered:
                _discover_files()
                _discover_entry_points()
                _discovered = True
    return {**_builtin, **_added}


def _discover_files() -> None:
    import pkgutil

    for module in pkgutil.iter_modules(__path__):
        if not module.name.endswith("_backend"):
            continue
        namespace = vars(importlib.import_module(f"{__name__}.{module.name}"))
        for item in namespace.values():
            if _is_backend_class(item) and item.__module__ == namespace["__name__"]:
                backend = item()
                _builtin[_checked_name(backend)] = backend


def _discover_entry_points() -> None:
    if not _announced():
        return
    # Only a process that has such backends pays for this import, which takes longer than many a program.
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        # What another distribution does wrong must not take the library down: it becomes a reason. One
        # that ends the process while it is imported is no better than one that fails.
        try:
            item = point.load()
            backend = item() if _is_backend_class(item) else item
            name = _checked_name(backend)
            if name in _builtin:
                raise ValueError(f"a backend named {name!r} is there already")
        except (Exception, SystemExit) as error:
            label = f"{point.name} ({point.value})" if point.name in _builtin else point.name
            _broken[label] = f"it could not be loaded: {type(error).__name__}: {error}"
        else:
            _builtin[name] = backend


def _announced() -> bool:
    """Tell whether the metadata of any installed distribution names the group."""
    group = ENTRY_POINTS.encode()
    for folder in dict.fromkeys(sys.path):
        try:
            found = [entry for entry in os.scandir(folder or ".") if entry.name.endswith(_METADATA)]
        except NotADirectoryError:
            # An archive: only the import system can look into it.
            return True
        except OSError:
            continue
        for entry in found:
            try:
                if group in Path(entry.path, "entry_points.txt").read_bytes():
                    return True
            except OSError:
                continue
    return False


def _is_backend_class(item: object) -> TypeGuard[type[ComputeBackend]]:
    import inspect

    from tensorops.backends.base import ComputeBackend

    return inspect.isclass(item) and issubclass(item, ComputeBackend) and not inspect.isabstract(item)


def _checked_name(backend: object) -> str:
    """Return a backend's name, or raise where it is no backend or its names cannot stand in a path."""
    from tensorops.backends.base import ComputeBackend

    if not isinstance(backend, ComputeBackend):
        hint = (
            "an instance, not the class" if isinstance(backend, type) else "an instance of a subclass of it"
        )
        raise TypeError(f"{backend!r} is not a ComputeBackend; expected {hint}")
    name = getattr(backend, "name", None)
    for part in (name, *backend.variants):
        if not isinstance(part, str) or not part.isidentifier():
            raise ValueError(f"{type(backend).__name__}: the name {part!r} is not an identifier")
    return str(name)


def _why(backend: ComputeBackend, question: str, *arguments: Call) -> str | None:
    """Return what a backend answers; one that fails to answer is not used."""
    try:
        reason: str | None = getattr(backend, question)(*arguments)
    except Exception as error:
        return f"{question}() failed: {type(error).__name__}: {error}"
    return reason


def _announce() -> None:
    for callback in tuple(_listeners):
        callback()


def __getattr__(name: str) -> Any:
    # The registry of operations behind these takes longer to import than all that every program needs.
    if name not in ("Call", "ComputeBackend"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("tensorops.backends.base"), name)
