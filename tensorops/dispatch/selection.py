"""The state behind the policy: the profile in use, and the paths that failed or are to be measured.

The profile is read at the first choice. Choices are kept until it is read again or a backend comes or goes.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

# By name: the attribute ``tensorops.backends`` is the public function, not the package.
from tensorops.backends import get_backend, usable_paths, why_unsupported
from tensorops.backends import on_change as on_backend_change
from tensorops.backends.base import Call
from tensorops.dispatch import policy, schema
from tensorops.dispatch.active import active_backend, check_backend, forget, use_backend
from tensorops.dispatch.records import Profile

__all__ = [
    "active_backend",
    "choose_path",
    "current_profile",
    "deterministic",
    "exclude_path",
    "force_path",
    "on_change",
    "refusal",
    "reload_profile",
    "use_backend",
]

# Backends whose paths the boundaries take without a Python object: they are asked about a size class.
COMPILED = ("blocked", "numpy")

_DETERMINISTIC = "TENSOROPS_DETERMINISTIC"

_lock = threading.RLock()
_profile: Profile | None = None
_loaded = False
_listeners: list[Callable[[], None]] = []

# Paths that failed in this process, and why; the path that everything is to take, to be measured.
_failed: dict[str, str] = {}
_forced: str | None = None


def current_profile() -> Profile | None:
    """Return the profile in use, reading it if this is the first question.

    Returns
    -------
    Profile or None
        None if there is no usable one; why, a warning has said at the first question.

    Examples
    --------
    >>> current_profile() is current_profile()
    True
    """
    global _profile, _loaded
    if not _loaded:
        with _lock:
            if not _loaded:
                try:
                    _profile = None if deterministic() else schema.load()
                finally:
                    # Also after a warning that is an error: it is not repeated by the next question.
                    _loaded = True
    return _profile


def deterministic() -> bool:
    """Tell whether paths are fixed by the shapes alone, whatever was measured.

    Returns
    -------
    bool
        True with ``TENSOROPS_DETERMINISTIC=1``: the profile is not read, and the shipped thresholds
        choose. The kernels' own results never depend on how the threads share the work.

    Raises
    ------
    ValueError
        If the variable is neither 0 nor 1.

    Examples
    --------
    >>> deterministic() in (True, False)
    True
    """
    value = os.environ.get(_DETERMINISTIC, "0")
    if value not in ("", "0", "1"):
        raise ValueError(f"{_DETERMINISTIC}={value!r}: it must be 0 or 1")
    return value == "1"


def reload_profile() -> Profile | None:
    """Read the profile and ``TENSOROPS_BACKEND`` again and forget every earlier choice.

    Returns
    -------
    Profile or None
        As `current_profile`.

    Examples
    --------
    >>> reload_profile() is current_profile()
    True
    """
    global _profile, _loaded
    with _lock:
        _profile, _loaded = None, False
        try:
            return current_profile()
        finally:
            # Also when the profile's warning is an error: the choices are out of date all the same.
            _announce()


def on_change(callback: Callable[[], None]) -> None:
    """Have `callback` called whenever earlier choices may be out of date.

    Parameters
    ----------
    callback : callable
        Called without arguments after the profile was read again or a backend was added or
        removed. It is kept for good.

    Examples
    --------
    >>> on_change(lambda: None)
    """
    _listeners.append(callback)


def choose_path(
    call: Call, backend: str | None = None, *, real: Call | None = None, of_class: bool = False
) -> policy.Choice:
    """Choose the path for `call` among all that can compute it here.

    Parameters
    ----------
    call : Call
        The call.
    backend : str, optional
        The only backend to consider; by default the one of `active_backend`, if any.
    real : Call, optional
        What the backends are asked about, where `call` stands for it: the middle of its size class.
    of_class : bool, optional
        Whether `call` stands for a size class whose members are not known: a backend that is asked for by
        its name is taken then, and asked about each call when it is to compute it.

    Returns
    -------
    Choice
        The path and the reason. Not to be kept while a backend is active.

    Raises
    ------
    ValueError
        If the backend asked for is unknown or cannot compute this call, or no backend can.

    Examples
    --------
    >>> with use_backend("numpy"):
    ...     choose_path(Call("matmul", "float32", ((8, 8), (8, 8)))).path
    'numpy'
    """
    if _forced is not None:
        return policy.Choice(_forced, "it is measured by force_path", (), threads=call.threads)
    active = active_backend()
    if backend is None or backend == active:
        backend, origin = active, "use_backend() or TENSOROPS_BACKEND"
    else:
        origin = f"backend={backend!r}"
    return _choose(call, backend, origin, call if real is None else real, of_class)


@contextmanager
def force_path(path: str) -> Iterator[None]:
    """Have every call of this process take one path, to measure it through the public functions.

    Parameters
    ----------
    path : str
        As `tensorops.backends.run_path` knows it.

    Yields
    ------
    None
        The dispatcher chooses by itself again at the end.

    Examples
    --------
    >>> with force_path("numpy"):
    ...     choose_path(Call("matmul", "float32", ((8, 8), (8, 8)))).path
    'numpy'
    """
    global _forced
    before = _forced
    _forced = path
    try:
        _tell()
        yield
    finally:
        _forced = before
        _tell()


def exclude_path(path: str, reason: str) -> None:
    """Leave a path out of the choice from now on, until a backend comes or goes.

    Parameters
    ----------
    path : str
        The path.
    reason : str
        Why, for people.

    Examples
    --------
    >>> exclude_path("torch", "it failed")
    >>> included_again()
    """
    _failed[path] = reason
    _forget()


def included_again() -> None:
    """Let all paths that were left out by `exclude_path` take part again.

    Examples
    --------
    >>> included_again()
    """
    _failed.clear()
    _forget()


# One choice for each size class of a table that holds 4096 of them.
@functools.lru_cache(maxsize=4096)
def _choose(call: Call, only: str | None, origin: str, real: Call, of_class: bool) -> policy.Choice:
    """Choose among all paths, or among those of the backend `only`, which `origin` asks for."""
    if only is not None:
        check_backend(only, origin)
    usable, excluded = usable_paths(real, only)
    if only is None:
        failed = {path: why for path, why in _failed.items() if path in usable}
        usable, excluded = tuple(path for path in usable if path not in failed), {**excluded, **failed}
        return policy.choose(call, current_profile(), usable, excluded)
    own = get_backend(only).paths_of(call.op)
    allowed = [path for path in usable if path in own]
    if not allowed and of_class and only not in COMPILED:
        allowed, excluded = list(own), {path: why for path, why in excluded.items() if path not in own}
    if not allowed:
        raise ValueError(
            _refusal(
                only, origin, next((excluded[path] for path in own if path in excluded), "it has no paths")
            )
        )
    others = dict.fromkeys(usable, f"not of backend {only!r}, which {origin} asks for")
    choice = policy.choose(call, current_profile(), allowed, {**others, **excluded})
    return replace(choice, reason=f"{origin} asks for backend {only!r}; {choice.reason}")


def refusal(call: Call, path: str, backend: str | None = None) -> tuple[str, bool] | None:
    """Return why the backend of a path does not compute a call that was given to it.

    Parameters
    ----------
    call : Call
        The call itself, not one that stands for its size class.
    path : str
        The path chosen for its size class.
    backend : str, optional
        The backend that the call names.

    Returns
    -------
    tuple of str and bool, or None
        The message, and whether the backend was asked for, by the call or by `active_backend`; None if it
        computes the call.

    Examples
    --------
    >>> refusal(Call("matmul", "float32", ((8, 8), (8, 8))), "naive") is None
    True
    """
    name = path.partition("/")[0]
    reason = None if _forced is not None else why_unsupported(name, call)
    if reason is None:
        return None
    active = active_backend()
    if backend is None and active is None:
        return reason, False
    origin = "use_backend() or TENSOROPS_BACKEND" if backend in (None, active) else f"backend={backend!r}"
    return _refusal(name, origin, reason), True


def _refusal(name: str, origin: str, reason: str) -> str:
    return f"backend {name!r}, asked for by {origin}, cannot compute this call: {reason}"


def _forget() -> None:
    """Drop every choice made so far."""
    forget()
    _choose.cache_clear()
    _tell()


def _tell() -> None:
    for callback in tuple(_listeners):
        callback()


def _announce() -> None:
    _failed.clear()
    _forget()


on_backend_change(_announce)
