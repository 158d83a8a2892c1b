"""The optimizers' steps as PyTorch defines them, in the widest precision: the oracle of the kernels.

Each returns what the changed operands hold afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def _wide(x: ArrayLike) -> Any:
    return np.asarray(x, dtype=np.longdouble)


def sgd_step(
    p: ArrayLike,
    g: ArrayLike,
    velocity: ArrayLike | None = None,
    *,
    lr: float,
    momentum: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
) -> tuple[Array, ...]:
    """Return the parameters, and the velocity if there is one, after a step of gradient descent."""
    old, grad = _wide(p), _wide(g)
    with np.errstate(all="ignore"):
        grad = grad + np.longdouble(weight_decay) * old
        after = () if velocity is None else (np.asarray(velocity, np.float64),)
        if momentum and velocity is not None:
            moved = np.longdouble(momentum) * _wide(velocity) + grad
            after = (np.asarray(moved, np.float64),)
            grad = grad + np.longdouble(momentum) * moved if nesterov else moved
        return np.asarray(old - np.longdouble(lr) * grad, np.float64), *after


def _adam(
    p: ArrayLike, g: ArrayLike, m: ArrayLike, v: ArrayLike, decoupled: bool, **params: Any
) -> tuple[Array, Array, Array]:
    step, lr, decay = params["step"], np.longdouble(params["lr"]), np.longdouble(params["weight_decay"])
    beta1, beta2 = np.longdouble(params["beta1"]), np.longdouble(params["beta2"])
    old, grad = _wide(p), _wide(g)
    with np.errstate(all="ignore"):
        if decoupled:
            old = old * (1 - lr * decay)
        else:
            grad = grad + decay * old
        first = beta1 * _wide(m) + (1 - beta1) * grad
        second = beta2 * _wide(v) + (1 - beta2) * grad * grad
        below = np.sqrt(second) / np.sqrt(1 - beta2**step) + np.longdouble(params["eps"])
        new = old - lr / (1 - beta1**step) * first / below
        return np.asarray(new, np.float64), np.asarray(first, np.float64), np.asarray(second, np.float64)


def adam_step(
    p: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    v: ArrayLike,
    *,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> tuple[Array, Array, Array]:
    """Return the parameters and both moments after a step of Adam."""
    given = {"step": step, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
    return _adam(p, g, m, v, False, **given)


def adamw_step(
    p: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    v: ArrayLike,
    *,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> tuple[Array, Array, Array]:
    """Return the parameters and both moments after a step of AdamW."""
    given = {"step": step, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
    return _adam(p, g, m, v, True, **given)
