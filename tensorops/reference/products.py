"""Matrix products as sums of outer products."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def matmul(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the matrix product, as the sum of the outer products of a's columns and b's rows.

    Parameters
    ----------
    a : array_like of shape (..., M, K) or (K,)
        Real numbers, converted to float64.
    b : array_like of shape (..., K, N) or (K,)
        Real numbers, converted to float64.

    Returns
    -------
    ndarray of float64, shape (..., M, N)
        Leading dimensions are broadcast; a 1-D operand's own dimension is left out, as in
        ``numpy.matmul``.

    Raises
    ------
    ValueError
        If an operand is a scalar, the inner dimensions differ, or the leading ones do not broadcast.

    Notes
    -----
    2*M*N*K flops for each matrix of the batch, in K passes over the result.

    Examples
    --------
    >>> matmul([[1, 2], [3, 4]], [10, 1])
    array([12., 34.])
    """
    left = np.asarray(a, dtype=np.float64)
    right = np.asarray(b, dtype=np.float64)
    if left.ndim == 0 or right.ndim == 0:
        raise ValueError(
            f"matmul: operands of shapes {left.shape} and {right.shape}: scalars are not allowed"
        )
    rows = left[np.newaxis, :] if left.ndim == 1 else left
    columns = right[:, np.newaxis] if right.ndim == 1 else right
    if rows.shape[-1] != columns.shape[-2]:
        raise ValueError(
            f"matmul: shapes {left.shape} and {right.shape} do not fit: "
            f"{rows.shape[-1]} columns against {columns.shape[-2]} rows"
        )
    try:
        batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    except ValueError:
        raise ValueError(
            f"matmul: the leading dimensions of shapes {left.shape} and {right.shape} do not broadcast"
        ) from None
    product = np.zeros((*batch, rows.shape[-2], columns.shape[-1]))
    # Infinities and NaN are legal operands; what they give is a value, not a warning.
    with np.errstate(all="ignore"):
        for p in range(rows.shape[-1]):
            product += rows[..., :, p, np.newaxis] * columns[..., np.newaxis, p, :]
    if right.ndim == 1:
        product = product[..., 0]
    if left.ndim == 1:
        product = product[..., 0] if right.ndim == 1 else product[..., 0, :]
    return np.asarray(product)
