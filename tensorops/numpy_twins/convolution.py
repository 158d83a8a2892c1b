"""Convolutions as NumPy users write them: a matrix of windows, and matrix products with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tensorops.activations import operation_of
from tensorops.numpy_twins import elementwise


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if np.ndim(value) == 0 else (int(value[0]), int(value[1]))


def _windows(x: Any, shape: Any, stride: Any, padding: Any) -> Any:
    """Return what every window sees, of shape (N, C, OH, OW, kh, kw): a view of the padded array."""
    (high, wide), (down, right) = _pair(padding), _pair(stride)
    if high or wide:
        x = np.pad(x, ((0, 0), (0, 0), (high, high), (wide, wide)))
    return sliding_window_view(x, shape[2:], axis=(2, 3))[:, :, ::down, ::right]


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    out: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    activation: str | None = None,
) -> Any:
    """Return the convolution of images of shape (N, C, H, W) with weights of shape (O, C, kh, kw)."""
    weight = np.asanyarray(weight)
    windows = _windows(np.asanyarray(x), weight.shape, stride, padding)
    result = np.tensordot(windows, weight, ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)
    if bias is not None:
        result = result + np.asanyarray(bias)[:, np.newaxis, np.newaxis]
    if activation is not None:
        name, params = operation_of(activation)
        result = (getattr(elementwise, name, None) or getattr(np, name))(result, **params)
    if out is None:
        return np.ascontiguousarray(result)
    np.copyto(out, result, casting="same_kind")
    return out


def conv2d_backward(
    grad: Any,
    x: Any,
    weight: Any,
    out: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    bias: bool = True,
    need_dx: bool = True,
) -> Any:
    """Return the gradients of `conv2d` by the images, the weights and the bias, None for one not wanted."""
    grad, x, weight = np.asanyarray(grad), np.asanyarray(x), np.asanyarray(weight)
    (high, wide), (down, right) = _pair(padding), _pair(stride)
    windows = _windows(x, weight.shape, stride, padding)
    dweight = np.tensordot(grad, windows, ([0, 2, 3], [0, 2, 3]))
    dx = None
    if need_dx:
        shares = np.tensordot(grad, weight, (1, 0))
        rows, columns = grad.shape[2:]
        spread = np.zeros((*x.shape[:2], x.shape[2] + 2 * high, x.shape[3] + 2 * wide), shares.dtype)
        for i, j in np.ndindex(weight.shape[2:]):
            below, beside = i + down * (rows - 1) + 1, j + right * (columns - 1) + 1
            spread[:, :, i:below:down, j:beside:right] += shares[..., i, j].transpose(0, 3, 1, 2)
        dx = np.ascontiguousarray(spread[:, :, high : high + x.shape[2], wide : wide + x.shape[3]])
    results: tuple[Any, ...] = dx, dweight, grad.sum(axis=(0, 2, 3)) if bias else None
    if out is None:
        return results
    for target, result in zip(out, results, strict=True):
        if target is not None:
            np.copyto(target, result, casting="same_kind")
    return out
