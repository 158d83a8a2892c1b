"""Layers. Linear keeps its weight as (inputs, outputs), as the course does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tensorops.boundary.conv import conv2d, conv2d_backward
from tensorops.boundary.elementwise import (
    gelu,
    gelu_backward_,
    mul_,
    relu,
    relu_backward_,
    sigmoid,
    sigmoid_backward_,
    tanh,
    tanh_backward_,
)
from tensorops.boundary.layers import linear, linear_backward
from tensorops.boundary.products import matmul
from tensorops.boundary.rows import layer_norm, layer_norm_backward, softmax, softmax_backward
from tensorops.kernels.pooling import max_pool, max_pool_backward
from tensorops.nn.module import Array, Module, Parameter, uniform


class Linear(Module):
    """``x @ weight + bias`` over the last axis.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis before and after.
    use_bias : bool, default True
        Whether there is a bias.
    dtype : dtype, default float32
        Of the parameters.
    rng : numpy.random.Generator, optional
        Draws the parameters, uniformly within ``1 / sqrt(in_features)`` as PyTorch does.

    Attributes
    ----------
    weight : Parameter of shape (in_features, out_features)
        The matrix.
    bias : Parameter of shape (out_features,), or None
        What is added.
    input_gradient : bool
        Whether `backward` computes the gradient of the input; a first layer may do without.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Linear(3, 2, rng=np.random.default_rng(0))
    >>> layer(np.ones((5, 3), np.float32)).shape
    (5, 2)
    >>> layer.backward(np.ones((5, 2), np.float32)).shape
    (5, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        use_bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = np.random.default_rng() if rng is None else rng
        limit = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = uniform((in_features, out_features), limit, dtype, rng)
        self.bias = uniform((out_features,), limit, dtype, rng) if use_bias else None
        self.input_gradient = True

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Return the product, with an activation in the same pass if asked for."""
        self._x = x
        bias = None if self.bias is None else self.bias.data
        result: Array = linear(x, self.weight.data, bias, activation=activation)
        return result

    def backward(self, grad: Array) -> Array:
        """Add to the gradients and return that of the input; an empty array without `input_gradient`."""
        if self.input_gradient:
            x_grad, weight_grad, bias_grad = linear_backward(
                grad, self._x, self.weight.data, bias=self.bias is not None
            )
        else:
            rows = grad.reshape(-1, grad.shape[-1])
            weight_grad = matmul(self._x.reshape(-1, self._x.shape[-1]).T, rows)
            bias_grad = rows.sum(axis=0)
            x_grad = np.empty((0,), grad.dtype)
        self.weight.add_gradient(weight_grad)
        if self.bias is not None:
            self.bias.add_gradient(bias_grad)
        result: Array = x_grad
        return result


class ReLU(Module):
    """``max(x, 0)``."""

    name = "relu"

    def forward(self, x: Array) -> Array:
        """Return the result."""
        return self.keep(relu(x))

    def keep(self, y: Array) -> Array:
        """Take a result that was computed elsewhere, for `backward`."""
        self._y = y
        return y

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input, in `grad` itself."""
        return relu_backward_(grad, self._y)


class Sigmoid(ReLU):
    """``1 / (1 + exp(-x))``."""

    name = "sigmoid"

    def forward(self, x: Array) -> Array:
        """Return the result."""
        return self.keep(sigmoid(x))

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input, in `grad` itself."""
        return sigmoid_backward_(grad, self._y)


class Tanh(ReLU):
    """The hyperbolic tangent."""

    name = "tanh"

    def forward(self, x: Array) -> Array:
        """Return the result."""
        return self.keep(tanh(x))

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input, in `grad` itself."""
        return tanh_backward_(grad, self._y)


class GELU(Module):
    """``x`` times the normal distribution function of ``x``.

    Parameters
    ----------
    approximate : {"none", "tanh", "sigmoid"}
        Which form of it.
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self._x = x
        result: Array = gelu(x, approximate=self.approximate)
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input, in `grad` itself."""
        return gelu_backward_(grad, self._x, approximate=self.approximate)


class Softmax(Module):
    """Exponentials that sum to 1 along an axis.

    Parameters
    ----------
    axis : int, default -1
        Along which.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Return the result."""
        result: Array = softmax(x, axis=self.axis)
        self._y = result
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input."""
        result: Array = softmax_backward(grad, self._y, axis=self.axis)
        return result


class Flatten(Module):
    """All axes but the first as one."""

    def forward(self, x: Array) -> Array:
        """Return the reshaped array, a view where its memory allows."""
        self._shape = x.shape
        result: Array = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient in the shape of the input."""
        result: Array = grad.reshape(self._shape)
        return result


class Conv2d(Module):
    """Windows of an image times filters.

    Parameters
    ----------
    in_channels, out_channels : int
        Axis 1 of the images before and after.
    kernel_size : int or pair of int
        Height and width of the filters.
    stride, padding : int or pair of int
        Steps between windows, and zeros around the image.
    use_bias : bool, default True
        Whether there is a bias.
    dtype, rng
        As of `Linear`.

    Attributes
    ----------
    weight : Parameter of shape (out_channels, in_channels, height, width)
        The filters.
    bias : Parameter of shape (out_channels,), or None
        What is added.
    input_gradient : bool
        As of `Linear`.

    Examples
    --------
    >>> import numpy as np
    >>> Conv2d(1, 4, 3, padding=1)(np.ones((2, 1, 8, 8), np.float32)).shape
    (2, 4, 8, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        use_bias: bool = True,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = np.random.default_rng() if rng is None else rng
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        limit = 1 / math.sqrt(in_channels * height * width)
        self.weight = uniform((out_channels, in_channels, height, width), limit, dtype, rng)
        self.bias = uniform((out_channels,), limit, dtype, rng) if use_bias else None
        self.stride, self.padding = stride, padding
        self.input_gradient = True

    def forward(self, x: Array, activation: str | None = None) -> Array:
        """Return the images, with an activation in the same pass if asked for."""
        self._x = x
        bias = None if self.bias is None else self.bias.data
        result: Array = conv2d(
            x, self.weight.data, bias, stride=self.stride, padding=self.padding, activation=activation
        )
        return result

    def backward(self, grad: Array) -> Array:
        """Add to the gradients and return that of the input; an empty array without `input_gradient`."""
        x_grad, weight_grad, bias_grad = conv2d_backward(
            grad,
            self._x,
            self.weight.data,
            stride=self.stride,
            padding=self.padding,
            bias=self.bias is not None,
            need_dx=self.input_gradient,
        )
        self.weight.add_gradient(weight_grad)
        if self.bias is not None and bias_grad is not None:
            self.bias.add_gradient(bias_grad)
        return np.empty((0,), grad.dtype) if x_grad is None else x_grad


class MaxPool2d(Module):
    """The largest value of each window of an image; what does not fill a window is left out.

    Parameters
    ----------
    kernel_size : int
        Height and width of a window.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    def __init__(self, kernel_size: int) -> None:
        if kernel_size < 1:
            raise ValueError(f"kernel_size must be at least 1, got {kernel_size}")
        self.kernel_size = kernel_size

    def forward(self, x: Array) -> Array:
        """Return the maxima."""
        self._shape = x.shape
        maxima, self._places = max_pool(x, self.kernel_size)
        return maxima

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input: at the place of each maximum, the first one of equals."""
        return max_pool_backward(grad, self._places, self._shape)


class LayerNorm(Module):
    """Rows of mean 0 and variance 1, then scaled and shifted.

    Parameters
    ----------
    size : int
        Length of the last axis.
    eps : float, default 1e-5
        Added to the variance.
    dtype : dtype, default float32
        Of the parameters.

    Attributes
    ----------
    weight, bias : Parameter of shape (size,)
        Scale, at first 1, and shift, at first 0.
    """

    def __init__(self, size: int, eps: float = 1e-5, *, dtype: DTypeLike = np.float32) -> None:
        self.weight = Parameter(np.ones(size, dtype))
        self.bias = Parameter(np.zeros(size, dtype))
        self.eps = eps

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self._x = x
        result: Array = layer_norm(x, self.weight.data, self.bias.data, self.eps)
        return result

    def backward(self, grad: Array) -> Array:
        """Add to the gradients and return the gradient of the input."""
        x_grad, weight_grad, bias_grad = layer_norm_backward(grad, self._x, self.weight.data, self.eps)
        self.weight.add_gradient(weight_grad)
        self.bias.add_gradient(bias_grad)
        result: Array = x_grad
        return result


class Dropout(Module):
    """In training, zeros at random places and the rest larger by ``1 / (1 - p)``; else nothing.

    Parameters
    ----------
    p : float, default 0.5
        Share of the zeros, from 0 up to but not including 1.
    rng : numpy.random.Generator, optional
        Chooses the places.

    Raises
    ------
    ValueError
        If `p` is out of range.
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"p must be from 0 up to but not including 1, got {p}")
        self.p = p
        self.rng = np.random.default_rng() if rng is None else rng

    def forward(self, x: Array) -> Array:
        """Return the result."""
        self._mask: Array | None = None
        if not self.training or self.p == 0:
            return x
        kept = self.rng.random(x.shape, np.float32) >= self.p
        self._mask = kept * x.dtype.type(1 / (1 - self.p))
        result: Array = x * self._mask
        return result

    def backward(self, grad: Array) -> Array:
        """Return the gradient of the input, in `grad` itself."""
        return grad if self._mask is None else mul_(grad, self._mask)


class Sequential(Module):
    """Layers, one after the other.

    An activation whose derivative follows from its result (ReLU, Sigmoid, Tanh) is computed in the pass of
    the Linear or Conv2d before it.

    Parameters
    ----------
    *layers : Module
        In order.
    input_gradient : bool, default True
        Whether `backward` computes the gradient of the input, which training does not need; without, a first
        layer that is Linear or Conv2d leaves it out and an empty array is returned.

    Examples
    --------
    >>> import numpy as np
    >>> model = Sequential(Linear(4, 8), ReLU(), Linear(8, 2))
    >>> model(np.ones((3, 4), np.float32)).shape
    (3, 2)
    """

    def __init__(self, *layers: Module, input_gradient: bool = True) -> None:
        self.layers: list[Module] = list(layers)
        if layers and isinstance(layers[0], Linear | Conv2d):
            layers[0].input_gradient = input_gradient

    def forward(self, x: Array) -> Array:
        """Return the result of the last layer."""
        place = 0
        while place < len(self.layers):
            layer = self.layers[place]
            after: Any = self.layers[place + 1] if place + 1 < len(self.layers) else None
            if isinstance(layer, Linear | Conv2d) and isinstance(after, ReLU):
                x = after.keep(layer.forward(x, after.name))
                place += 2
            else:
                x = layer(x)
                place += 1
        return x

    def backward(self, grad: Array) -> Array:
        """Go back through all layers and return the gradient of the input."""
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad
