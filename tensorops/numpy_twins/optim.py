"""The optimizers' steps as NumPy users write them.

Each returns what the changed operands hold afterwards, in `out` if it is given.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def sgd_step(
    p: Any,
    g: Any,
    velocity: Any = None,
    out: Any = None,
    *,
    lr: float,
    momentum: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
) -> tuple[Any, ...]:
    """Return the parameters, and the velocity if there is one, after a step of gradient descent."""
    grad = g + weight_decay * p if weight_decay else g
    after: tuple[Any, ...] = () if velocity is None else (velocity,)
    if momentum and velocity is not None:
        moved = momentum * velocity + grad
        after = (moved,)
        grad = grad + momentum * moved if nesterov else moved
    return _given((p - lr * grad, *after), out)


def adam_step(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    out: Any = None,
    *,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> tuple[Any, ...]:
    """Return the parameters and both moments after a step of Adam."""
    grad = g + weight_decay * p if weight_decay else g
    return _given(_adam(p, grad, m, v, step, lr, (beta1, beta2), eps), out)


def adamw_step(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    out: Any = None,
    *,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> tuple[Any, ...]:
    """Return the parameters and both moments after a step of AdamW."""
    return _given(_adam(p * (1 - lr * weight_decay), g, m, v, step, lr, (beta1, beta2), eps), out)


def _adam(
    p: Any, grad: Any, m: Any, v: Any, step: int, lr: float, betas: tuple[float, float], eps: float
) -> tuple[Any, ...]:
    beta1, beta2 = betas
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad * grad
    below = np.sqrt(v) / math.sqrt(1 - beta2**step) + eps
    return p - lr / (1 - beta1**step) * m / below, m, v


def _given(results: tuple[Any, ...], out: Any) -> tuple[Any, ...]:
    if out is None:
        return results
    for result, one in zip(results, out, strict=True):
        one[...] = result
    return tuple(out)
