"""Operands of a backend's own array type, found without importing the package that defines it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tensorops.backends import get_backend, loaded_backends

if TYPE_CHECKING:
    from tensorops.backends.base import ComputeBackend

__all__ = ["apply_by_owner", "owner_of"]


def owner_of(operands: Sequence[object]) -> ComputeBackend | None:
    """Return the backend whose own array type one of the operands has.

    Parameters
    ----------
    operands : sequence of object
        Operands of a call.

    Returns
    -------
    ComputeBackend or None
        The one of the first such operand.

    Examples
    --------
    >>> import numpy as np
    >>> owner_of([np.eye(2), [1.0]]) is None
    True
    """
    owners = {name: backend for backend in loaded_backends() for name in backend.array_types}
    for operand in operands:
        for kind in type(operand).__mro__:
            owner = owners.get(f"{kind.__module__}.{kind.__qualname__}")
            if owner is not None:
                return owner
    return None


def apply_by_owner(
    op: str, operands: Sequence[Any], params: Mapping[str, Any], out: Any, backend: str | None
) -> Any:
    """Compute `op` by the backend that one of the operands belongs to.

    Parameters
    ----------
    op : str
        Name in the operation registry.
    operands : sequence of object
        As the caller gave them.
    params : mapping of str to object
        The operation's parameters.
    out : object
        What the caller wants to be written, or None.
    backend : str or None
        The backend that the caller asked for.

    Returns
    -------
    object
        The result; NotImplemented if no operand belongs to a backend, or its backend leaves these
        operands to NumPy's protocols.

    Raises
    ------
    TypeError
        If `out` is given: such arrays are not written.
    ValueError
        If `backend` is unknown.

    Examples
    --------
    >>> apply_by_owner("matmul", [[1.0], [2.0]], {}, None, None)
    NotImplemented
    """
    owner = owner_of((*operands, out))
    if owner is None:
        return NotImplemented
    if backend is not None:
        get_backend(backend)
    if out is not None:
        raise TypeError(f"{op}: out= is not possible with {owner.name} arrays: the result is a new one")
    return owner.apply(op, operands, params, backend)
