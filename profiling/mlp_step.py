"""One training step of a two-layer network in NumPy: what the allocation counters look at.

Written as a NumPy user writes it, without a thought for temporaries: each line shows what it costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import tensorops

Array = NDArray[Any]
Parameters = tuple[Array, Array, Array, Array]

BATCH, INPUTS, HIDDEN, CLASSES = 64, 784, 128, 10


def make_arguments(dtype: str, seed: int = 0) -> tuple[Array, Array, Parameters]:
    """Return a batch, its labels and the parameters of the network.

    Parameters
    ----------
    dtype : str
        ``"float32"`` or ``"float64"``.
    seed : int
        Seed of the generator.

    Returns
    -------
    x : ndarray of shape (64, 784)
        Inputs.
    labels : ndarray of shape (64,)
        Classes from 0 to 9, int64.
    parameters : tuple of ndarray
        Weights (784, 128), bias (128,), weights (128, 10), bias (10,).

    Examples
    --------
    >>> x, labels, parameters = make_arguments("float32")
    >>> x.shape, x.dtype, len(parameters)
    ((64, 784), dtype('float32'), 4)
    """
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        values: Array = (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(dtype)
        return values

    x = rng.standard_normal((BATCH, INPUTS)).astype(dtype)
    labels = rng.integers(0, CLASSES, size=BATCH)
    return x, labels, (normal(INPUTS, HIDDEN), normal(HIDDEN), normal(HIDDEN, CLASSES), normal(CLASSES))


def mlp_step(x: Array, labels: Array, parameters: Parameters, rate: float = 0.1) -> float:
    """Take one step of gradient descent on the cross-entropy, in place on the parameters.

    Parameters
    ----------
    x : ndarray of shape (batch, inputs)
        Inputs.
    labels : ndarray of shape (batch,)
        Classes, integers.
    parameters : tuple of ndarray
        Weights and biases as `make_arguments`; changed in place.
    rate : float
        Learning rate.

    Returns
    -------
    float
        The loss before the step.

    Examples
    --------
    >>> x, labels, parameters = make_arguments("float64")
    >>> before = mlp_step(x, labels, parameters)
    >>> mlp_step(x, labels, parameters) < before
    True
    """
    w1, b1, w2, b2 = parameters
    hidden = tensorops.matmul(x, w1) + b1
    active = np.maximum(hidden, 0)
    logits = tensorops.matmul(active, w2) + b2
    shifted = logits - logits.max(axis=1, keepdims=True)
    weights = np.exp(shifted)
    shares = weights / weights.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -float(np.log(shares[rows, labels]).mean())
    shares[rows, labels] -= 1
    grad = shares / len(labels)
    grad_w2 = tensorops.matmul(active.T, grad)
    grad_hidden = tensorops.matmul(grad, w2.T) * (hidden > 0)
    grad_w1 = tensorops.matmul(x.T, grad_hidden)
    w2 -= rate * grad_w2
    b2 -= rate * grad.sum(axis=0)
    w1 -= rate * grad_w1
    b1 -= rate * grad_hidden.sum(axis=0)
    return loss
