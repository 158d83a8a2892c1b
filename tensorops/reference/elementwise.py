"""The elementwise operations as their definitions say: what the kernels are compared with.

Computed in the widest precision of this machine and rounded to float64, by forms that do not cancel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_PI = np.longdouble("3.14159265358979323846264338")
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _wide(function: Callable[..., Any]) -> Callable[..., Array]:
    """Convert the operands to the widest type before, and the result to float64 after."""

    @functools.wraps(function)
    def computed(*operands: Any, **params: Any) -> Array:
        with np.errstate(all="ignore"):
            result = function(*(np.asarray(x, dtype=np.longdouble) for x in operands), **params)
            return np.asarray(result, dtype=np.float64)

    return computed


def _logistic(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def normal(x: Any) -> Array:
    """Return the normal distribution function, the rounding of its argument taken out to first order."""
    wide = -np.asarray(x, np.longdouble) / np.sqrt(np.longdouble(2))
    near = wide.astype(np.float64)
    rest = np.where(np.isfinite(near), wide - near, 0)
    return np.asarray(_erfc(near) / 2 - np.exp(-wide * wide) / np.sqrt(_PI) * rest, np.float64)


def _tanh_argument(x: Any) -> Any:
    return 2 * np.sqrt(2 / _PI) * (x + np.longdouble("0.044715") * x * x * x)


def _gelu(x: Any, approximate: str) -> Any:
    if approximate == "none":
        return x * normal(x)
    return x * _logistic(_tanh_argument(x) if approximate == "tanh" else np.longdouble("1.702") * x)


def _gelu_slope(x: Any, approximate: str) -> Any:
    if approximate == "none":
        return normal(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * _PI)
    if approximate == "tanh":
        s = _logistic(_tanh_argument(x))
        inner = 2 * np.sqrt(2 / _PI) * (1 + 3 * np.longdouble("0.044715") * x * x)
    else:
        inner = np.longdouble("1.702")
        s = _logistic(inner * x)
    return s + x * s * (1 - s) * inner


relu = _wide(lambda x: np.where(x <= 0, 0, x))
leaky_relu = _wide(lambda x, slope=0.01: np.where(x > 0, x, np.longdouble(slope) * x))
elu = _wide(lambda x, alpha=1.0: np.where(x > 0, x, np.longdouble(alpha) * np.expm1(x)))
sigmoid = _wide(_logistic)
tanh = _wide(np.tanh)
gelu = _wide(lambda x, approximate="none": _gelu(x, approximate))
silu = _wide(lambda x: np.where(np.isneginf(x), np.nan, x) * _logistic(x))
softplus = _wide(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
exp = _wide(np.exp)
clip = _wide(lambda x, low, high: np.minimum(np.maximum(x, low), high))
add = _wide(np.add)
sub = _wide(np.subtract)
mul = _wide(np.multiply)
div = _wide(np.divide)
maximum = _wide(np.maximum)
minimum = _wide(np.minimum)
axpy = _wide(lambda y, x, alpha: y + alpha * x)
scale_shift = _wide(lambda x, scale, shift: x * scale + shift)
add_relu = _wide(lambda x, y: np.where(x + y <= 0, 0, x + y))
bias_gelu = _wide(lambda x, b, approximate="none": _gelu(x + b, approximate))
relu_backward = _wide(lambda grad, y: np.where(y <= 0, 0, grad))
gelu_backward = _wide(lambda grad, x, approximate="none": grad * _gelu_slope(x, approximate))
sigmoid_backward = _wide(lambda grad, y: grad * y * (1 - y))
tanh_backward = _wide(lambda grad, y: grad * (1 - y * y))
silu_backward = _wide(lambda grad, x: grad * (_logistic(x) + x * _logistic(x) * _logistic(-x)))
