"""The precision of float32 products that was asked for in this thread or asynchronous task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from tensorops.dispatch.overrides import Override
from tensorops.precisions import DEFAULT, PRECISIONS

__all__ = ["as_parameter", "asked_for", "get_matmul_precision", "set_matmul_precision"]

_asked: ContextVar[str] = ContextVar("tensorops_matmul_precision", default=DEFAULT)


def set_matmul_precision(precision: str) -> Override[str]:
    """Set how accurate float32 products are from now on, in this thread or asynchronous task.

    As a context manager it holds until the end of the ``with`` block.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        "highest", the default: paths within the bounds of ordinary float32 products only. "high" and
        "medium" let the processor's matrix unit, where it has one, compute with three products of parts, or
        one, of 8 significant bits each. Without a matrix unit, all three are computed as "highest".

    Returns
    -------
    context manager
        Restores the earlier setting at the end of its block; need not be used.

    Raises
    ------
    ValueError
        If there is no such precision.

    See Also
    --------
    tensorops.matmul : Its ``precision=`` sets it for one call.
    tensorops.explain : Which path a product takes, and the bound of its error.

    Notes
    -----
    `matmul`, `linear` and `linear_backward` of float32 arrays follow it. The error of an element is at most
    ``(8 * sqrt(K) + 16) * eps + c`` times ``abs(a) @ abs(b)``, where c is 0 for "highest", 2^-14 for "high"
    and 2^-7 + 2^-14 for "medium".

    Examples
    --------
    >>> import tensorops
    >>> with tensorops.set_matmul_precision("high"):
    ...     tensorops.get_matmul_precision()
    'high'
    >>> tensorops.get_matmul_precision()
    'highest'
    """
    return Override(_asked, _checked(precision, "set_matmul_precision"))


def get_matmul_precision() -> str:
    """Return the precision of float32 products that was asked for here and now.

    Returns
    -------
    str
        "highest", "high" or "medium".

    Examples
    --------
    >>> import tensorops
    >>> tensorops.get_matmul_precision()
    'highest'
    """
    return _asked.get()


def asked_for(precision: str | None, op: str) -> str:
    """Return the precision of one call.

    Parameters
    ----------
    precision : str or None
        What the call asks for; None for the setting of this thread or task.
    op : str
        The operation, for the message.

    Returns
    -------
    str
        One of ``tensorops.precisions.PRECISIONS``.

    Raises
    ------
    ValueError
        If there is no such precision.

    Examples
    --------
    >>> asked_for(None, "matmul"), asked_for("high", "matmul")
    ('highest', 'high')
    """
    return _asked.get() if precision is None else _checked(precision, op)


def as_parameter(precision: str | None) -> dict[str, str]:
    """Return the precision of a call as a parameter for who computes its parts elsewhere.

    Parameters
    ----------
    precision : str or None
        What the call asks for; None for the setting of this thread or task.

    Returns
    -------
    dict
        Empty for "highest".

    Examples
    --------
    >>> as_parameter("high"), as_parameter(None)
    ({'precision': 'high'}, {})
    """
    chosen = _asked.get() if precision is None else precision
    return {} if chosen == DEFAULT else {"precision": chosen}


def _checked(precision: Any, origin: str) -> str:
    if not (isinstance(precision, str) and precision in PRECISIONS):
        known = ", ".join(map(repr, PRECISIONS))
        raise ValueError(f"{origin}: unknown precision {precision!r}; known: {known}")
    return str(precision)
