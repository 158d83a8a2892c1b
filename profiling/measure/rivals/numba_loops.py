"""Loops for Numba to compile: operations on rows and optimizers' steps, as its users write them.

Arguments are the operands, the results where none is changed in place, then numbers with their defaults. A
literal would be a double: constants are taken from the arrays' type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

prange: Any = range
"""Numba's own, once it is imported: see ``numba_rival``."""


def softmax(x: Any, out: Any) -> None:
    """Write softmax along the rows; `x` and `out` may be one array."""
    for i in prange(x.shape[0]):
        largest = x[i, 0]
        for j in range(1, x.shape[1]):
            largest = max(largest, x[i, j])
        total = largest - largest
        for j in range(x.shape[1]):
            power = math.exp(x[i, j] - largest)
            out[i, j] = power
            total += power
        factor = x.dtype.type(1) / total
        for j in range(x.shape[1]):
            out[i, j] *= factor


def log_softmax(x: Any, out: Any) -> None:
    """Write the logarithm of softmax along the rows."""
    for i in prange(x.shape[0]):
        largest = x[i, 0]
        for j in range(1, x.shape[1]):
            largest = max(largest, x[i, j])
        total = largest - largest
        for j in range(x.shape[1]):
            total += math.exp(x[i, j] - largest)
        shift = largest + math.log(total)
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] - shift


def softmax_backward(grad: Any, y: Any, out: Any) -> None:
    """Write the gradient of softmax's operand."""
    for i in prange(y.shape[0]):
        total = y[i, 0] - y[i, 0]
        for j in range(y.shape[1]):
            total += grad[i, j] * y[i, j]
        for j in range(y.shape[1]):
            out[i, j] = y[i, j] * (grad[i, j] - total)


def layer_norm(x: Any, weight: Any, bias: Any, out: Any, eps: float = 1e-5) -> None:
    """Write rows with mean 0 and variance 1, times a weight, plus a bias."""
    count = x.dtype.type(x.shape[1])
    for i in prange(x.shape[0]):
        total = x[i, 0] - x[i, 0]
        for j in range(x.shape[1]):
            total += x[i, j]
        mean = total / count
        squares = total - total
        for j in range(x.shape[1]):
            squares += (x[i, j] - mean) * (x[i, j] - mean)
        factor = x.dtype.type(1 / math.sqrt(squares / count + eps))
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean) * factor * weight[j] + bias[j]


def rms_norm(x: Any, weight: Any, out: Any, eps: float = 1e-5) -> None:
    """Write rows with a mean square of 1, times a weight."""
    count = x.dtype.type(x.shape[1])
    for i in prange(x.shape[0]):
        squares = x[i, 0] - x[i, 0]
        for j in range(x.shape[1]):
            squares += x[i, j] * x[i, j]
        factor = x.dtype.type(1 / math.sqrt(squares / count + eps))
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * factor * weight[j]


def sgd_step(p: Any, g: Any, velocity: Any, lr: float = 0.0, momentum: float = 0.0) -> None:
    """Change parameters and velocity by a step with momentum."""
    rate, kept = p.dtype.type(lr), p.dtype.type(momentum)
    for i in prange(p.size):
        moved = kept * velocity[i] + g[i]
        velocity[i] = moved
        p[i] -= rate * moved


def adam_step(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    step: int = 1,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """Change parameters and moments by a step of Adam, or of AdamW: here no decay enters the gradient."""
    rate = p.dtype.type(lr / (1 - beta1**step))
    correction = p.dtype.type(1 / math.sqrt(1 - beta2**step))
    first, second = p.dtype.type(beta1), p.dtype.type(beta2)
    rest1, rest2 = p.dtype.type(1 - beta1), p.dtype.type(1 - beta2)
    least, kept = p.dtype.type(eps), p.dtype.type(1 - lr * weight_decay)
    for i in prange(p.size):
        m[i] = first * m[i] + rest1 * g[i]
        v[i] = second * v[i] + rest2 * g[i] * g[i]
        p[i] = kept * p[i] - rate * m[i] / (math.sqrt(v[i]) * correction + least)


LOOPS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "softmax": softmax,
        "log_softmax": log_softmax,
        "softmax_backward": softmax_backward,
        "layer_norm": layer_norm,
        "rms_norm": rms_norm,
        "sgd_step": sgd_step,
        "adam_step": adam_step,
        "adamw_step": adam_step,
    }
)
"""By operation without the underscore of one that works in place."""
