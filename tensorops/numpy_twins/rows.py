"""Softmax, normalisation and cross entropy as NumPy users write them.

Each is ``f(*operands, out=None, **params)`` in the dtype of the operands; `out` is a tuple where there are
several results.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def softmax(x: Any, out: Any = None, *, axis: int = -1) -> Any:
    """Return exp(x) over its sum along an axis."""
    x = np.asanyarray(x)
    if x.shape[axis] == 0:
        return _given(x, out)
    with np.errstate(invalid="ignore"):
        powers = np.exp(x - x.max(axis, keepdims=True))
        return np.divide(powers, powers.sum(axis, keepdims=True), out=out)


def log_softmax(x: Any, out: Any = None, *, axis: int = -1) -> Any:
    """Return the logarithm of softmax."""
    x = np.asanyarray(x)
    if x.shape[axis] == 0:
        return _given(x, out)
    with np.errstate(invalid="ignore"):
        distance = x - x.max(axis, keepdims=True)
        return np.subtract(distance, np.log(np.exp(distance).sum(axis, keepdims=True)), out=out)


def softmax_backward(grad: Any, y: Any, out: Any = None, *, axis: int = -1) -> Any:
    """Return the gradient of softmax's operand, y being its result."""
    with np.errstate(invalid="ignore"):
        product = np.multiply(grad, y)
        return np.subtract(product, np.multiply(y, product.sum(axis, keepdims=True)), out=out)


def layer_norm(x: Any, weight: Any = None, bias: Any = None, out: Any = None, *, eps: float = 1e-5) -> Any:
    """Return rows with mean 0 and variance 1, times a weight, plus a bias."""
    x = np.asanyarray(x)
    if x.shape[-1] == 0:
        return _given(x, out)
    with np.errstate(all="ignore"):
        y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
        y = y if weight is None else y * weight
        return _given(y if bias is None else y + bias, out)


def rms_norm(x: Any, weight: Any = None, out: Any = None, *, eps: float = 1e-5) -> Any:
    """Return rows with a mean square of 1, times a weight."""
    x = np.asanyarray(x)
    if x.shape[-1] == 0:
        return _given(x, out)
    with np.errstate(all="ignore"):
        y = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps)
        return _given(y if weight is None else y * weight, out)


def layer_norm_backward(grad: Any, x: Any, weight: Any = None, out: Any = None, *, eps: float = 1e-5) -> Any:
    """Return the gradients of layer_norm's operand, weight and bias."""
    return _norm_backward(grad, x, weight, out, eps, True)


def rms_norm_backward(grad: Any, x: Any, weight: Any = None, out: Any = None, *, eps: float = 1e-5) -> Any:
    """Return the gradients of rms_norm's operand and weight."""
    return _norm_backward(grad, x, weight, out, eps, False)


def cross_entropy(logits: Any, targets: Any, out: Any = None) -> Any:
    """Return the mean over the rows of -log(softmax) at each row's label."""
    logits, targets = np.asanyarray(logits), np.asanyarray(targets)
    with np.errstate(all="ignore"):
        chosen = np.take_along_axis(log_softmax(logits), targets[..., np.newaxis], -1)
        return _given(-chosen.sum(dtype=np.float64) / np.float64(targets.size), out)


def cross_entropy_backward(logits: Any, targets: Any, out: Any = None) -> Any:
    """Return the gradient of the mean loss for the logits."""
    logits, targets = np.asanyarray(logits), np.asanyarray(targets)
    result = softmax(logits)
    place = targets[..., np.newaxis]
    np.put_along_axis(result, place, np.take_along_axis(result, place, -1) - 1, -1)
    return np.divide(result, max(targets.size, 1), out=out)


def _norm_backward(grad: Any, x: Any, weight: Any, out: Any, eps: float, centred: bool) -> Any:
    grad, x = np.asanyarray(grad), np.asanyarray(x)
    outer = tuple(range(x.ndim - 1))
    if x.shape[-1] == 0:
        return _all_given((x, grad.sum(outer), grad.sum(outer))[: 3 if centred else 2], out)
    with np.errstate(all="ignore"):
        distance = x - x.mean(-1, keepdims=True) if centred else x
        factor = 1 / np.sqrt(np.square(distance).mean(-1, keepdims=True) + eps)
        normed = distance * factor
        weighted = grad if weight is None else grad * weight
        slope = weighted - normed * (weighted * normed).mean(-1, keepdims=True)
        if centred:
            slope -= weighted.mean(-1, keepdims=True)
        results = (slope * factor, (grad * normed).sum(outer), grad.sum(outer))
        return _all_given(results[: 3 if centred else 2], out)


def _given(result: Any, out: Any) -> Any:
    """Return a result, in `out` if there is one."""
    if out is None:
        return result
    out[...] = result
    return out


def _all_given(results: tuple[Any, ...], out: Any) -> tuple[Any, ...]:
    outs = (None,) * len(results) if out is None else out
    return tuple(_given(result, one) for result, one in zip(results, outs, strict=True))
