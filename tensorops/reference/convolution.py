"""Convolutions as sums over the taps of the window."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops.activations import operation_of
from tensorops.reference import elementwise

Floats = NDArray[np.float64]
Pair = int | tuple[int, int]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _padded(x: Floats, padding: Pair) -> Floats:
    high, wide = _pair(padding)
    return np.pad(x, ((0, 0), (0, 0), (high, high), (wide, wide)))


def _seen_by(padded: Floats, i: int, j: int, stride: Pair, rows: int, columns: int) -> Floats:
    """Return what the tap (i, j) of each window sees: a view."""
    high, wide = _pair(stride)
    return padded[:, :, i : i + high * (rows - 1) + 1 : high, j : j + wide * (columns - 1) + 1 : wide]


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    activation: str | None = None,
) -> Floats:
    """Return the convolution, as the sum over the window's taps of what each of them sees.

    Parameters
    ----------
    x : array_like of shape (N, C, H, W)
        Real numbers, converted to float64.
    weight : array_like of shape (O, C, kh, kw)
        Real numbers, converted to float64.
    bias : array_like of shape (O,), optional
        Added to each output.
    stride, padding : int or tuple of two int
        Vertical and horizontal.
    activation : str, optional
        One of ``tensorops.activations.ACTIVATIONS``.

    Returns
    -------
    ndarray of float64, shape (N, O, OH, OW)
        The convolution; the window is not mirrored.

    Examples
    --------
    >>> conv2d([[[[1, 2, 3]]]], [[[[1, 10]]]], [0.5])
    array([[[[21.5, 32.5]]]])
    """
    image, factors = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    padded, (high, wide) = _padded(image, padding), _pair(stride)
    rows = (padded.shape[2] - factors.shape[2]) // high + 1
    columns = (padded.shape[3] - factors.shape[3]) // wide + 1
    result = np.zeros((image.shape[0], factors.shape[0], rows, columns))
    with np.errstate(all="ignore"):
        for i, j in np.ndindex(factors.shape[2:]):
            seen = _seen_by(padded, i, j, stride, rows, columns)
            result += np.einsum("oc,nchw->nohw", factors[:, :, i, j], seen)
        if bias is not None:
            result += np.asarray(bias, np.float64)[:, np.newaxis, np.newaxis]
    if activation is None:
        return result
    name, params = operation_of(activation)
    return np.asarray(getattr(elementwise, name)(result, **params), np.float64)


def conv2d_backward(
    grad: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    bias: bool = True,
    need_dx: bool = True,
) -> tuple[Floats | None, Floats, Floats | None]:
    """Return the gradients of a convolution without activation, tap by tap.

    Parameters
    ----------
    grad : array_like of shape (N, O, OH, OW)
        Gradient of the result.
    x : array_like of shape (N, C, H, W)
        The convolution's input.
    weight : array_like of shape (O, C, kh, kw)
        The convolution's weights.
    stride, padding : int or tuple of two int
        Vertical and horizontal.
    bias, need_dx : bool
        Whether the gradients of the bias and of the images are wanted.

    Returns
    -------
    dx : ndarray of float64, shape (N, C, H, W), or None
        What each tap saw gets its share of the gradient; None without `need_dx`.
    dweight : ndarray of float64, shape (O, C, kh, kw)
        Summed over images and windows.
    dbias : ndarray of float64, shape (O,), or None
        The sum of grad; None without `bias`.

    Examples
    --------
    >>> [part.tolist() for part in conv2d_backward([[[[1, 2]]]], [[[[1, 2, 3]]]], [[[[1, 10]]]])]
    [[[[[1.0, 12.0, 20.0]]]], [[[[5.0, 8.0]]]], [3.0]]
    """
    upper, image, factors = (np.asarray(array, np.float64) for array in (grad, x, weight))
    padded, (high, wide) = _padded(image, padding), _pair(padding)
    rows, columns = upper.shape[2:]
    spread, dweight = np.zeros_like(padded), np.zeros_like(factors)
    with np.errstate(all="ignore"):
        for i, j in np.ndindex(factors.shape[2:]):
            shares = np.einsum("oc,nohw->nchw", factors[:, :, i, j], upper)
            _seen_by(spread, i, j, stride, rows, columns)[...] += shares
            seen = _seen_by(padded, i, j, stride, rows, columns)
            dweight[:, :, i, j] = np.einsum("nohw,nchw->oc", upper, seen)
        total = upper.sum(axis=(0, 2, 3)) if bias else None
    dx = spread[:, :, high : high + image.shape[2], wide : wide + image.shape[3]]
    return np.ascontiguousarray(dx) if need_dx else None, dweight, total
