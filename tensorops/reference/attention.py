"""Attention by its definition, with the whole matrix of scores."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def usual_scale(depth: int) -> float:
    """Return what scores are multiplied by if nothing else is said.

    Parameters
    ----------
    depth : int
        Length of a query.

    Returns
    -------
    float
        One over the root of the depth.

    Examples
    --------
    >>> usual_scale(64)
    0.125
    """
    return 1 / math.sqrt(depth) if depth else 1.0


def attention_weights(
    q: ArrayLike, k: ArrayLike, *, causal: bool = False, scale: float | None = None
) -> Floats:
    """Return how much each query attends to each key: the softmax of the scores.

    Parameters
    ----------
    q : array_like of shape (..., L, D)
        Queries, converted to float64.
    k : array_like of shape (..., S, D)
        Keys, converted to float64.
    causal : bool
        Whether a query sees the keys up to its own place only.
    scale : float, optional
        What the scores are multiplied by; see `usual_scale`.

    Returns
    -------
    ndarray of float64, shape (..., L, S)
        Each row sums to 1.

    Examples
    --------
    >>> attention_weights([[1.0], [0.0]], [[3.0], [3.0]], causal=True)
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    queries, keys = np.asarray(q, np.float64), np.asarray(k, np.float64)
    with np.errstate(all="ignore"):
        scores = np.einsum("...ld,...sd->...ls", queries, keys)
        scores = scores * (usual_scale(queries.shape[-1]) if scale is None else scale)
        if causal:
            scores = np.where(np.tri(*scores.shape[-2:], dtype=np.bool_), scores, -np.inf)
        if scores.shape[-1] == 0:
            return np.asarray(scores)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def attention(
    q: ArrayLike, k: ArrayLike, v: ArrayLike, *, causal: bool = False, scale: float | None = None
) -> Floats:
    """Return the means of the values, weighted by how much each query attends to each key.

    Parameters
    ----------
    q : array_like of shape (..., L, D)
        Queries, converted to float64.
    k : array_like of shape (..., S, D)
        Keys, converted to float64.
    v : array_like of shape (..., S, E)
        Values, converted to float64.
    causal : bool
        Whether a query sees the keys up to its own place only.
    scale : float, optional
        What the scores are multiplied by; one over the root of D by default.

    Returns
    -------
    ndarray of float64, shape (..., L, E)
        Zeros where there is no key.

    Examples
    --------
    >>> attention([[1.0]], [[2.0], [2.0]], [[1.0, 2.0], [3.0, 4.0]])
    array([[2., 3.]])
    """
    weights = attention_weights(q, k, causal=causal, scale=scale)
    with np.errstate(all="ignore"):
        return np.asarray(np.einsum("...ls,...se->...le", weights, np.asarray(v, np.float64)))


def attention_backward(
    grad: ArrayLike,
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    out: ArrayLike,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Return the gradients of attention by queries, keys and values.

    Parameters
    ----------
    grad : array_like of shape (..., L, E)
        Gradient of the result.
    q : array_like of shape (..., L, D)
        Queries.
    k : array_like of shape (..., S, D)
        Keys.
    v : array_like of shape (..., S, E)
        Values.
    out : array_like of shape (..., L, E)
        The result of `attention`.
    causal : bool
        As in the call of `attention`.
    scale : float, optional
        As in the call of `attention`.

    Returns
    -------
    dq : ndarray of float64, shape (..., L, D)
        Gradient of the queries.
    dk : ndarray of float64, shape (..., S, D)
        Gradient of the keys.
    dv : ndarray of float64, shape (..., S, E)
        Gradient of the values.

    Examples
    --------
    >>> dq, dk, dv = attention_backward([[1.0]], [[1.0]], [[2.0], [2.0]], [[1.0], [3.0]], [[2.0]])
    >>> dq.tolist(), dk.tolist(), dv.tolist()
    ([[0.0]], [[-0.5], [0.5]], [[0.5], [0.5]])
    """
    upper, queries, keys, values, result = (np.asarray(x, np.float64) for x in (grad, q, k, v, out))
    factor = usual_scale(queries.shape[-1]) if scale is None else scale
    weights = attention_weights(queries, keys, causal=causal, scale=factor)
    with np.errstate(all="ignore"):
        dv = np.einsum("...ls,...le->...se", weights, upper)
        # The softmax takes from each score's gradient the mean that the weights make of a query's.
        mean = np.sum(upper * result, axis=-1, keepdims=True)
        dscores = weights * (np.einsum("...le,...se->...ls", upper, values) - mean) * factor
        dq = np.einsum("...ls,...sd->...ld", dscores, keys)
        dk = np.einsum("...ls,...ld->...sd", dscores, queries)
    return dq, dk, dv
