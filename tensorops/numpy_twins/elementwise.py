"""Elementwise operations as NumPy users write them.

Each is ``f(*operands, out=None, **params)``, in as many NumPy calls and temporaries as a careful user
needs, in the dtype of the operands. An operation that NumPy has by itself is not here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorops.reference.elementwise import normal


def relu(x: Any, out: Any = None) -> Any:
    """Return max(x, 0)."""
    return np.maximum(x, 0, out=out)


def leaky_relu(x: Any, out: Any = None, *, slope: float = 0.01) -> Any:
    """Return x where x > 0, else slope * x."""
    return np.multiply(x, np.where(np.greater(x, 0), 1, slope).astype(_kind(x)), out=out)


def elu(x: Any, out: Any = None, *, alpha: float = 1.0) -> Any:
    """Return x where x > 0, else alpha * (exp(x) - 1)."""
    return np.add(np.maximum(x, 0), alpha * np.expm1(np.minimum(x, 0)), out=out)


def sigmoid(x: Any, out: Any = None) -> Any:
    """Return 1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return np.divide(1, 1 + np.exp(np.negative(x)), out=out)


def gelu(x: Any, out: Any = None, *, approximate: str = "none") -> Any:
    """Return x times the normal distribution function of x."""
    x = np.asanyarray(x)
    if approximate == "sigmoid":
        return np.multiply(x, sigmoid(1.702 * x), out=out)
    if approximate == "tanh":
        inner = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    else:
        # NumPy has no error function; 1 + erf(x) would cancel where x is negative.
        with np.errstate(all="ignore"):
            return np.multiply(x, normal(x).astype(_kind(x)), out=out)
    return np.multiply(0.5 * x, 1 + inner, out=out)


def silu(x: Any, out: Any = None) -> Any:
    """Return x / (1 + exp(-x))."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.divide(x, 1 + np.exp(np.negative(x)), out=out)


def softplus(x: Any, out: Any = None) -> Any:
    """Return log(1 + exp(x))."""
    x = np.asanyarray(x)
    return np.logaddexp(x, x.dtype.type(0) if x.dtype.kind == "f" else 0.0, out=out)


def clip(x: Any, out: Any = None, *, low: float, high: float) -> Any:
    """Return x, but not below low nor above high."""
    return np.clip(x, low, high, out=out)


def axpy(y: Any, x: Any, out: Any = None, *, alpha: float) -> Any:
    """Return y + alpha * x."""
    return np.add(y, np.multiply(alpha, x), out=out)


def scale_shift(x: Any, scale: Any, shift: Any, out: Any = None) -> Any:
    """Return x * scale + shift."""
    return np.add(np.multiply(x, scale), shift, out=out)


def add_relu(x: Any, y: Any, out: Any = None) -> Any:
    """Return max(x + y, 0)."""
    return np.maximum(np.add(x, y), 0, out=out)


def bias_gelu(x: Any, b: Any, out: Any = None, *, approximate: str = "none") -> Any:
    """Return gelu(x + b)."""
    return gelu(np.add(x, b), out=out, approximate=approximate)


def relu_backward(grad: Any, y: Any, out: Any = None) -> Any:
    """Return grad where y is positive, else 0."""
    return np.multiply(grad, np.greater(y, 0), out=out)


def gelu_backward(grad: Any, x: Any, out: Any = None, *, approximate: str = "none") -> Any:
    """Return grad times the derivative of gelu at x."""
    x = np.asanyarray(x)
    if approximate == "none":
        slope = normal(x).astype(_kind(x)) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return np.multiply(grad, slope, out=out)
    factor = 2 * math.sqrt(2 / math.pi)
    s = sigmoid(factor * (x + 0.044715 * x * x * x) if approximate == "tanh" else 1.702 * x)
    inner = factor * (1 + 3 * 0.044715 * x * x) if approximate == "tanh" else 1.702
    return np.multiply(grad, s + x * s * (1 - s) * inner, out=out)


def sigmoid_backward(grad: Any, y: Any, out: Any = None) -> Any:
    """Return grad * y * (1 - y)."""
    return np.multiply(grad, np.multiply(y, np.subtract(1, y)), out=out)


def tanh_backward(grad: Any, y: Any, out: Any = None) -> Any:
    """Return grad * (1 - y * y)."""
    return np.multiply(grad, np.subtract(1, np.square(y)), out=out)


def silu_backward(grad: Any, x: Any, out: Any = None) -> Any:
    """Return grad times the derivative of silu at x."""
    s = sigmoid(x)
    return np.multiply(grad, s * (1 + np.multiply(x, 1 - s)), out=out)


def _kind(x: Any) -> Any:
    """Return the dtype of a float result."""
    return np.result_type(x, np.float16)
