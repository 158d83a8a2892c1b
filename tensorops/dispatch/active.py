"""The backend that was asked for: in this thread or task by `use_backend`, else by ``TENSOROPS_BACKEND``.

Every boundary asks this module; what chooses among backends, and is slow to import, stands in `selection`.
"""

from __future__ import annotations

import functools
import os
from contextvars import ContextVar

# By name: the attribute ``tensorops.backends`` is the public function, not the package.
from tensorops.backends import backends
from tensorops.dispatch.overrides import Override

__all__ = ["active_backend", "check_backend", "forget", "use_backend"]

_VARIABLE = "TENSOROPS_BACKEND"

# One name or None (automatic) in a tuple; None outside of it: nothing was asked for here.
_asked: ContextVar[tuple[str | None] | None] = ContextVar("tensorops_backend", default=None)


def use_backend(name: str | None) -> Override[tuple[str | None] | None]:
    """Compute everything with one backend from now on, in this thread or asynchronous task.

    As a context manager it holds until the end of the ``with`` block.

    Parameters
    ----------
    name : str or None
        A name of ``tensorops.backends()``. None chooses automatically, whatever
        ``TENSOROPS_BACKEND`` says.

    Returns
    -------
    context manager
        Restores the earlier state at the end of its block; need not be used.

    Raises
    ------
    ValueError
        If there is no such backend, or it cannot be used here.

    Examples
    --------
    >>> with use_backend("numpy"):
    ...     active_backend()
    'numpy'
    """
    if name is not None:
        check_backend(name, f"use_backend({name!r})")
    _let_table_ask()
    return Override(_asked, (name,))


def active_backend() -> str | None:
    """Return the backend that everything is computed with here and now.

    Returns
    -------
    str or None
        None if each call's path is chosen automatically.

    Raises
    ------
    ValueError
        If ``TENSOROPS_BACKEND`` names no backend that can be used here.

    Examples
    --------
    >>> with use_backend(None):
    ...     print(active_backend())
    None
    """
    asked = _asked.get()
    if asked is not None:
        return asked[0]
    return _environment()


@functools.cache
def _environment() -> str | None:
    """Return the backend that the environment names; an error is not kept, but raised every time."""
    name = os.environ.get(_VARIABLE, "")
    if not name:
        return None
    check_backend(name, f"{_VARIABLE}={name!r}")
    _let_table_ask()
    return name


def check_backend(name: str, origin: str) -> None:
    """Raise an error unless there is a backend of this name that can be used here.

    Parameters
    ----------
    name : str
        The backend.
    origin : str
        Who asks for it, for the message.

    Raises
    ------
    ValueError
        If it is unknown or cannot be used here.

    Examples
    --------
    >>> check_backend("numpy", "an example")
    """
    known = backends()
    if name not in known:
        raise ValueError(f"{origin}: unknown backend; known: {', '.join(known)}")
    if known[name] is not None:
        raise ValueError(f"{origin}: the backend cannot be used here: {known[name]}")


def forget() -> None:
    """Read ``TENSOROPS_BACKEND`` again at the next question.

    Examples
    --------
    >>> forget()
    """
    _environment.cache_clear()


def _let_table_ask() -> None:
    """Have the compiled table ask for an active backend; it does not as long as there was none."""
    # The table imports this module for its misses.
    from tensorops.dispatch import table

    table.set_override_possible(True)
