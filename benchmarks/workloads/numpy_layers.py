"""Layers in plain NumPy, as a user writes them who knows it well; `tensorops.install` swaps their products.

A layer has ``parameters`` and, after ``backward``, ``gradients`` in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SLOPE = math.sqrt(2 / math.pi)


class Layer:
    """What layers share."""

    input_gradient = True

    def __init__(self) -> None:
        self.parameters: list[Array] = []
        self.gradients: list[Array] = []

    def forward(self, x: Array) -> Array:
        """Return the result and keep what `backward` needs."""
        raise NotImplementedError

    def backward(self, grad: Array) -> Array:
        """Set the gradients and return that of the input; the input of a first layer needs none."""
        raise NotImplementedError

    def leaves(self) -> Iterator[Layer]:
        """Yield the layers that have parameters of their own."""
        yield self


class Linear(Layer):
    """``x @ weight + bias``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.parameters = [np.zeros((inputs, outputs), np.float32), np.zeros(outputs, np.float32)]

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self.x = x
        result: Array = x @ self.parameters[0] + self.parameters[1]
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        rows, x = grad.reshape(-1, grad.shape[-1]), self.x.reshape(-1, self.x.shape[-1])
        self.gradients = [x.T @ rows, rows.sum(axis=0)]
        if not self.input_gradient:
            return grad
        result: Array = (rows @ self.parameters[0].T).reshape(self.x.shape)
        return result


class ReLU(Layer):
    """``max(x, 0)``."""

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        return np.multiply(grad, self.y > 0)


class GELU(Layer):
    """The form with tanh, which is all that NumPy has."""

    def __init__(self, approximate: str) -> None:
        super().__init__()
        if approximate != "tanh":
            raise ValueError(f"approximate must be 'tanh', got {approximate!r}")

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self.x = x
        self.tanh = np.tanh(SLOPE * (x + 0.044715 * (x * x * x)))
        result: Array = 0.5 * x * (1 + self.tanh)
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        x, tanh = self.x, self.tanh
        inner = SLOPE * (1 + 3 * 0.044715 * (x * x))
        result: Array = grad * (0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * inner)
        return result


class Flatten(Layer):
    """All axes but the first as one."""

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        return grad.reshape(self.shape)


class Conv2d(Layer):
    """Windows as rows of a matrix, times the filters."""

    def __init__(self, inputs: int, outputs: int, size: int, *, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.parameters = [
            np.zeros((outputs, inputs, size, size), np.float32),
            np.zeros(outputs, np.float32),
        ]

    def forward(self, x: Array) -> Array:
        """Return the result."""
        weight, bias = self.parameters
        size, margin = weight.shape[2:], (self.padding, self.padding)
        self.padded = np.pad(x, ((0, 0), (0, 0), margin, margin))
        windows = np.lib.stride_tricks.sliding_window_view(self.padded, size, axis=(2, 3))
        windows = windows.transpose(0, 2, 3, 1, 4, 5)
        self.rows = windows.reshape(math.prod(windows.shape[:3]), -1)
        maps = self.rows @ weight.reshape(len(weight), -1).T + bias
        return maps.reshape(*windows.shape[:3], len(weight)).transpose(0, 3, 1, 2)

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        weight = self.parameters[0]
        high, wide = grad.shape[2:]
        maps = grad.transpose(0, 2, 3, 1).reshape(-1, len(weight))
        self.gradients = [(maps.T @ self.rows).reshape(weight.shape), maps.sum(axis=0)]
        if not self.input_gradient:
            return grad
        rows = maps @ weight.reshape(len(weight), -1)
        windows = rows.reshape(len(grad), high, wide, *weight.shape[1:]).transpose(0, 3, 1, 2, 4, 5)
        result = np.zeros_like(self.padded)
        for i in range(weight.shape[2]):
            for j in range(weight.shape[3]):
                result[:, :, i : i + high, j : j + wide] += windows[..., i, j]
        inside = slice(self.padding, -self.padding or None)
        return result[:, :, inside, inside]


class MaxPool2d(Layer):
    """The largest value of each window; the gradient goes to the first of equals."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Array) -> Array:
        """Return the result."""
        size = self.size
        images, channels, high, wide = x.shape
        windows = x.reshape(images, channels, high // size, size, wide // size, size)
        windows = windows.transpose(0, 1, 2, 4, 3, 5).reshape(*windows.shape[:3], wide // size, size * size)
        self.place = windows.argmax(axis=-1)[..., np.newaxis]
        return np.take_along_axis(windows, self.place, -1)[..., 0]

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        size = self.size
        images, channels, high, wide = grad.shape
        result = np.zeros((*grad.shape, size * size), grad.dtype)
        np.put_along_axis(result, self.place, grad[..., np.newaxis], -1)
        result = result.reshape(images, channels, high, wide, size, size).transpose(0, 1, 2, 4, 3, 5)
        return result.reshape(images, channels, high * size, wide * size)


class LayerNorm(Layer):
    """Rows of mean 0 and variance 1, then scaled and shifted."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.parameters = [np.ones(size, np.float32), np.zeros(size, np.float32)]

    def forward(self, x: Array) -> Array:
        """Return the result."""
        centred = x - x.mean(axis=-1, keepdims=True)
        self.scale = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
        self.normal = centred * self.scale
        result: Array = self.normal * self.parameters[0] + self.parameters[1]
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        product = grad * self.normal
        axes = tuple(range(grad.ndim - 1))
        self.gradients = [product.sum(axis=axes), grad.sum(axis=axes)]
        grad = grad * self.parameters[0]
        along = (grad * self.normal).mean(axis=-1, keepdims=True)
        result: Array = self.scale * (grad - grad.mean(axis=-1, keepdims=True) - self.normal * along)
        return result


class Attention(Layer):
    """Causal self-attention of several heads, between two products."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs, self.outputs = Linear(width, 3 * width), Linear(width, width)

    def forward(self, x: Array) -> Array:
        """Return the result."""
        count, length, width = x.shape
        parts = self.inputs.forward(x).reshape(count, length, 3, self.heads, width // self.heads)
        self.q, self.k, self.v = parts.transpose(2, 0, 3, 1, 4)
        scores = self.q @ self.k.swapaxes(-1, -2)
        scores *= 1 / math.sqrt(width // self.heads)
        scores[..., np.triu(np.ones((length, length), bool), 1)] = -np.inf
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        self.shares = scores
        return self.outputs.forward((scores @ self.v).transpose(0, 2, 1, 3).reshape(x.shape))

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        count, length, width = grad.shape
        depth = width // self.heads
        grad = self.outputs.backward(grad).reshape(count, length, self.heads, depth).transpose(0, 2, 1, 3)
        shares = self.shares
        by_share = grad @ self.v.swapaxes(-1, -2)
        by_share -= (by_share * shares).sum(axis=-1, keepdims=True)
        by_share *= shares
        by_share *= 1 / math.sqrt(depth)
        parts = by_share @ self.k, by_share.swapaxes(-1, -2) @ self.q, shares.swapaxes(-1, -2) @ grad
        joined = np.stack(parts).transpose(1, 3, 0, 2, 4)
        return self.inputs.backward(joined.reshape(count, length, 3 * width))

    def leaves(self) -> Iterator[Layer]:
        """Yield the layers that have parameters of their own."""
        yield from (self.inputs, self.outputs)


class Sequential(Layer):
    """Layers, one after the other."""

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Array) -> Array:
        """Return the result."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    def leaves(self) -> Iterator[Layer]:
        """Yield the layers that have parameters of their own."""
        for layer in self.layers:
            yield from layer.leaves()


class Residual(Sequential):
    """The input plus what the layers make of it."""

    def forward(self, x: Array) -> Array:
        """Return the result."""
        result: Array = x + super().forward(x)
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        result: Array = grad + super().backward(grad)
        return result


class Positions(Layer):
    """Adds waves that tell each place of a sequence from the others."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.waves = waves(length, width)

    def forward(self, x: Array) -> Array:
        """Return the result."""
        result: Array = x + self.waves
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        return grad


class Every(Layer):
    """Every so manieth place of a sequence, as rows."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self.shape = x.shape
        return x[:, self.step - 1 :: self.step].reshape(-1, x.shape[-1])

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        count, _, width = self.shape
        result = np.zeros(self.shape, grad.dtype)
        result[:, self.step - 1 :: self.step] = grad.reshape(count, -1, width)
        return result


def waves(length: int, width: int) -> Array:
    """Return sines and cosines of wavelengths in geometric order, one row for each place."""
    angles = np.arange(length)[:, np.newaxis] / 10_000 ** (np.arange(0, width, 2) / width)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
