"""Matrix products as sums of outer products."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops.activations import operation_of
from tensorops.reference import elementwise


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


def linear(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, activation: str | None = None
) -> NDArray[np.float64]:
    """Return a fully connected layer: the product, plus the bias, put through the activation.

    Parameters
    ----------
    x : array_like of shape (..., K)
        Real numbers, converted to float64.
    weight : array_like of shape (K, N)
        Real numbers, converted to float64.
    bias : array_like of shape (N,), optional
        Added to each row.
    activation : str, optional
        One of ``tensorops.activations.ACTIVATIONS``.

    Returns
    -------
    ndarray of float64, shape (..., N)
        The layer's result.

    Examples
    --------
    >>> linear([[1, 2]], [[3, -3], [4, -4]], [1, 1], activation="relu")
    array([[12.,  0.]])
    """
    result = matmul(x, weight)
    with np.errstate(all="ignore"):
        if bias is not None:
            result = result + np.asarray(bias, np.float64)
    if activation is None:
        return result
    name, params = operation_of(activation)
    return np.asarray(getattr(elementwise, name)(result, **params), np.float64)


def linear_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *, bias: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the gradients of a layer without activation.

    Parameters
    ----------
    grad : array_like of shape (..., N)
        Gradient of the layer's result.
    x : array_like of shape (..., K)
        The layer's input.
    weight : array_like of shape (K, N)
        The layer's weights.
    bias : bool
        Whether the bias has a gradient.

    Returns
    -------
    dx : ndarray of float64, shape (..., K)
        ``grad @ weight.T``.
    dweight : ndarray of float64, shape (K, N)
        ``x.T @ grad``, summed over all rows.
    dbias : ndarray of float64, shape (N,), or None
        The sum of grad over all rows; None without `bias`.

    Examples
    --------
    >>> [part.tolist() for part in linear_backward([[1, 0]], [[2, 3]], [[4, 5], [6, 7]])]
    [[[4.0, 6.0]], [[2.0, 0.0], [3.0, 0.0]], [1.0, 0.0]]
    """
    upper, lower, factors = (np.asarray(array, np.float64) for array in (grad, x, weight))
    rows = upper.reshape(math.prod(upper.shape[:-1]), factors.shape[1])
    inputs = lower.reshape(math.prod(lower.shape[:-1]), factors.shape[0])
    with np.errstate(all="ignore"):
        total = rows.sum(axis=0) if bias else None
    return matmul(upper, factors.T), matmul(inputs.T, rows), total
