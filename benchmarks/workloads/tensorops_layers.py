"""The layers of `tensorops.nn`, and those of a transformer made of its operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops import add_, attention, attention_backward
from tensorops.nn import (
    GELU,
    Conv2d,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)

from .numpy_layers import waves

__all__ = [
    "GELU",
    "Attention",
    "Conv2d",
    "Every",
    "Flatten",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "Positions",
    "ReLU",
    "Residual",
    "Sequential",
]

Array = NDArray[Any]


class Attention(Module):
    """Causal self-attention of several heads, between two products."""

    def __init__(self, width: int, heads: int) -> None:
        self.heads = heads
        self.inputs, self.outputs = Linear(width, 3 * width), Linear(width, width)

    def _heads_of(self, x: Array) -> Array:
        """Return rows as (sequence, head, place, depth), a view."""
        count, length, width = x.shape
        return x.reshape(count, length, self.heads, width // self.heads).transpose(0, 2, 1, 3)

    def forward(self, x: Array) -> Array:
        """Return the result."""
        q, k, v = (self._heads_of(part) for part in np.split(self.inputs(x), 3, axis=-1))
        joined = np.empty_like(x)
        self._parts = q, k, v, attention(q, k, v, causal=True, out=self._heads_of(joined))
        return self.outputs(joined)

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        grad = self.outputs.backward(grad)
        joined = np.empty((*grad.shape[:2], 3 * grad.shape[2]), grad.dtype)
        q, k, v, seen = self._parts
        found = attention_backward(self._heads_of(grad), q, k, v, seen, causal=True)
        for target, part in zip(np.split(joined, 3, axis=-1), found, strict=True):
            self._heads_of(target)[...] = part
        return self.inputs.backward(joined)


class Residual(Module):
    """The input plus what the layers make of it; the last of them must leave its gradient as it is."""

    def __init__(self, *layers: Module) -> None:
        self.inner = Sequential(*layers)

    def forward(self, x: Array) -> Array:
        """Return the result, in the layers' own."""
        return add_(self.inner(x), x)

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input, in the layers' own."""
        return add_(self.inner.backward(grad), grad)


class Positions(Module):
    """Adds waves that tell each place of a sequence from the others."""

    def __init__(self, length: int, width: int) -> None:
        self.waves = waves(length, width)

    def forward(self, x: Array) -> Array:
        """Return the result, in `x` itself."""
        return add_(x, self.waves)

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        return grad


class Every(Module):
    """Every so manieth place of a sequence, as rows."""

    def __init__(self, step: int) -> None:
        self.step = step

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self._shape = x.shape
        return x[:, self.step - 1 :: self.step].reshape(-1, x.shape[-1])

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        count, _, width = self._shape
        result = np.zeros(self._shape, grad.dtype)
        result[:, self.step - 1 :: self.step] = grad.reshape(count, -1, width)
        return result
