"""Softmax, normalisation and cross entropy as their definitions say: what the kernels are compared with.

Computed in the widest precision of this machine and rounded to float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def _wide(x: ArrayLike) -> Any:
    return np.asarray(x, dtype=np.longdouble)


def _exact_softmax(x: Any, axis: int) -> Any:
    if x.shape[axis] == 0:
        return x
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def softmax(x: ArrayLike, axis: int = -1) -> Array:
    """Return exp(x) over its sum along an axis."""
    with np.errstate(all="ignore"):
        return np.asarray(_exact_softmax(_wide(x), axis), np.float64)


def log_softmax(x: ArrayLike, axis: int = -1) -> Array:
    """Return the logarithm of softmax."""
    wide = _wide(x)
    if wide.shape[axis] == 0:
        return np.asarray(wide, np.float64)
    with np.errstate(all="ignore"):
        distance = wide - wide.max(axis, keepdims=True)
        return np.asarray(distance - np.log(np.exp(distance).sum(axis, keepdims=True)), np.float64)


def softmax_backward(grad: ArrayLike, y: ArrayLike, axis: int = -1) -> Array:
    """Return the gradient of softmax's operand, y being its result."""
    g, result = _wide(grad), _wide(y)
    with np.errstate(all="ignore"):
        return np.asarray(result * (g - (g * result).sum(axis, keepdims=True)), np.float64)


def _normed(x: Any, eps: float, centred: bool) -> tuple[Any, Any]:
    """Return the normed rows, and the factor that normed them."""
    columns = max(x.shape[-1], 1)
    distance = x - x.sum(-1, keepdims=True) / columns if centred else x
    factor = 1 / np.sqrt((distance * distance).sum(-1, keepdims=True) / columns + np.longdouble(eps))
    return distance * factor, factor


def layer_norm(
    x: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-5
) -> Array:
    """Return rows with mean 0 and variance 1, times a weight, plus a bias."""
    with np.errstate(all="ignore"):
        y = _normed(_wide(x), eps, True)[0]
        y = y if weight is None else y * _wide(weight)
        return np.asarray(y if bias is None else y + _wide(bias), np.float64)


def rms_norm(x: ArrayLike, weight: ArrayLike | None = None, eps: float = 1e-5) -> Array:
    """Return rows with a mean square of 1, times a weight."""
    with np.errstate(all="ignore"):
        y = _normed(_wide(x), eps, False)[0]
        return np.asarray(y if weight is None else y * _wide(weight), np.float64)


def _norm_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike | None, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    g, operand = _wide(grad), _wide(x)
    columns = max(operand.shape[-1], 1)
    with np.errstate(all="ignore"):
        normed, factor = _normed(operand, eps, centred)
        weighted = g if weight is None else g * _wide(weight)
        mean = weighted.sum(-1, keepdims=True) / columns if centred else 0
        along = (weighted * normed).sum(-1, keepdims=True) / columns
        outer = tuple(range(operand.ndim - 1))
        results = factor * (weighted - mean - normed * along), (g * normed).sum(outer), g.sum(outer)
        dx, dweight, dbias = (np.asarray(result, np.float64) for result in results)
        return dx, dweight, dbias


def layer_norm_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return the gradients of layer_norm's operand, weight and bias."""
    return _norm_backward(grad, x, weight, eps, True)


def rms_norm_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike | None = None, eps: float = 1e-5
) -> tuple[Array, Array]:
    """Return the gradients of rms_norm's operand and weight."""
    return _norm_backward(grad, x, weight, eps, False)[:2]


def cross_entropy(logits: ArrayLike, targets: ArrayLike) -> Array:
    """Return the mean over the rows of -log(softmax) at each row's label."""
    wide, labels = _wide(logits), np.asarray(targets)
    with np.errstate(all="ignore"):
        distance = wide - wide.max(-1, keepdims=True)
        sums = np.log(np.exp(distance).sum(-1))
        losses = sums - np.take_along_axis(distance, labels[..., np.newaxis], -1)[..., 0]
        return np.asarray(losses.sum() / np.longdouble(losses.size), np.float64)


def cross_entropy_backward(logits: ArrayLike, targets: ArrayLike) -> Array:
    """Return the gradient of the mean loss for the logits."""
    wide, labels = _wide(logits), np.asarray(targets)
    with np.errstate(all="ignore"):
        result = _exact_softmax(wide, -1)
        place = labels[..., np.newaxis]
        np.put_along_axis(result, place, np.take_along_axis(result, place, -1) - 1, -1)
        return np.asarray(result / max(labels.size, 1), np.float64)
