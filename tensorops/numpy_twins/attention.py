"""Attention as NumPy users write it: the matrix of scores, its softmax, and a product with the values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorops.reference.attention import usual_scale


def _weights(q: Any, k: Any, causal: bool, scale: float) -> Any:
    scores = np.matmul(q, np.swapaxes(k, -1, -2))
    scores = scores * np.asarray(scale, scores.dtype if scores.dtype.kind == "f" else float)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=np.bool_), scores, -np.inf)
    if scores.shape[-1] == 0:
        return scores
    powers = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def attention(
    q: Any, k: Any, v: Any, out: Any = None, *, causal: bool = False, scale: float | None = None
) -> Any:
    """Return the means of the values, weighted by the softmax of queries times keys."""
    q, k = np.asanyarray(q), np.asanyarray(k)
    return np.matmul(_weights(q, k, causal, usual_scale(q.shape[-1]) if scale is None else scale), v, out=out)


def attention_backward(
    grad: Any,
    q: Any,
    k: Any,
    v: Any,
    result: Any,
    out: Any = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Any:
    """Return the gradients of `attention` by queries, keys and values."""
    first, second, third = (None, None, None) if out is None else out
    q, k = np.asanyarray(q), np.asanyarray(k)
    factor = usual_scale(q.shape[-1]) if scale is None else scale
    weights = _weights(q, k, causal, factor)
    mean = np.sum(np.multiply(grad, result), axis=-1, keepdims=True)
    dscores = weights * (np.matmul(grad, np.swapaxes(v, -1, -2)) - mean)
    dscores *= np.asarray(factor, dscores.dtype)
    return (
        np.matmul(dscores, k, out=first),
        np.matmul(np.swapaxes(dscores, -1, -2), q, out=second),
        np.matmul(np.swapaxes(weights, -1, -2), grad, out=third),
    )
