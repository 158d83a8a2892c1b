"""Convolutions: their sizes, their work and the bound of their error."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops import reference
from tensorops.activations import ACTIVATIONS, operation_of
from tensorops.elementwise_table import ELEMENTWISE
from tensorops.numpy_twins import convolution as numpy_twins
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes

Floats = NDArray[np.float64]

# The steepest slope of any activation, that of gelu, by which it can enlarge the error of its argument.
STEEPEST = 1.13

_ITEMS = {item.name: item for item in ELEMENTWISE}
# Outputs, channels and the side of the images, and how many images.
_SIZE_PARAMS = MappingProxyType({"stride": (1, 1), "padding": (0, 0)})
_LAYERS = ((8, 3, 12, 2), (16, 16, 28, 32), (64, 64, 56, 8))


@dataclass(frozen=True, slots=True)
class ConvolutionDims:
    """The sizes of a convolution.

    Attributes
    ----------
    images, channels, outputs : int
        Images of the batch, channels of each, and channels of the result.
    rows, columns : int
        Of the result's images.
    taps : int
        Places of the window: its height times its width.

    Examples
    --------
    >>> convolution_dims("conv2d", [(8, 3, 32, 30), (16, 3, 5, 3)], {"padding": (2, 1)}).out
    (8, 16, 32, 30)
    """

    images: int
    channels: int
    outputs: int
    rows: int
    columns: int
    taps: int

    @property
    def out(self) -> tuple[int, int, int, int]:
        """Shape of the result."""
        return self.images, self.outputs, self.rows, self.columns


def pair(op: str, name: str, value: Any, least: int) -> tuple[int, int]:
    """Return a number, or two numbers, of rows and of columns.

    Parameters
    ----------
    op : str
        The operation, for the message.
    name : str
        The parameter, for the message.
    value : int or sequence of two int
        As the caller gave it.
    least : int
        The smallest number allowed.

    Returns
    -------
    tuple of two int
        Vertical and horizontal.

    Raises
    ------
    TypeError
        If `value` is neither a whole number nor two of them.
    ValueError
        If there are more or fewer than two, or one is less than `least`.

    Examples
    --------
    >>> pair("conv2d", "stride", 2, 1), pair("conv2d", "padding", (0, 1), 0)
    ((2, 2), (0, 1))
    """
    given = (value, value) if not isinstance(value, (tuple, list, np.ndarray)) else tuple(value)
    if len(given) != 2:
        raise ValueError(f"{op}: {name} must be a whole number or two of them, not {value!r}")
    try:
        high, wide = (operator.index(item) for item in given)
    except TypeError:
        raise TypeError(f"{op}: {name} must be a whole number or two of them, not {value!r}") from None
    if min(high, wide) < least:
        raise ValueError(f"{op}: {name} must be {least} or more, not {value!r}")
    return high, wide


def convolution_dims(op: str, shapes: Sequence[Shape], params: Params = NO_PARAMS) -> ConvolutionDims:
    """Return the sizes of a convolution of operands of these shapes.

    Parameters
    ----------
    op : str
        The operation, for the messages.
    shapes : sequence of two or three sequences of int
        Of the images, the weights and perhaps the bias.
    params : mapping
        ``stride`` and ``padding``.

    Returns
    -------
    ConvolutionDims
        The sizes.

    Raises
    ------
    TypeError
        If stride or padding are no whole numbers.
    ValueError
        If the shapes do not fit each other, stride or padding are too small, or the window is larger than the
        padded images.

    Examples
    --------
    >>> convolution_dims("conv2d", [(1, 2, 5, 5), (3, 2, 3, 3)], {"stride": 2}).rows
    2
    """
    x, weight, *rest = (tuple(int(size) for size in shape) for shape in shapes)
    said = f"{op}: shapes {', '.join(map(str, (x, weight, *rest)))}"
    if len(x) != 4 or len(weight) != 4:
        raise ValueError(f"{said}: images must be (N, C, H, W) and weights (O, C, kh, kw)")
    if x[1] != weight[1]:
        raise ValueError(f"{said}: images of {x[1]} channels against weights for {weight[1]}")
    if rest and rest[0] != weight[:1]:
        raise ValueError(f"{said}: the bias must have the shape {weight[:1]}")
    strides = pair(op, "stride", params.get("stride", 1), 1)
    paddings = pair(op, "padding", params.get("padding", 0), 0)
    sides: list[int] = []
    for size, window, stride, padding in zip(x[2:], weight[2:], strides, paddings, strict=True):
        if window < 1:
            raise ValueError(f"{said}: the window must have a row and a column at least")
        if window > size + 2 * padding:
            raise ValueError(f"{said}: the window is larger than the images with a padding of {paddings}")
        sides.append((size + 2 * padding - window) // stride + 1)
    rows, columns = sides
    return ConvolutionDims(x[0], x[1], weight[0], rows, columns, weight[2] * weight[3])


def backward_dims(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> ConvolutionDims:
    """Return the sizes of the convolution whose gradients are asked for.

    Parameters
    ----------
    shapes : sequence of three sequences of int
        Of the gradient, the images and the weights.
    params : mapping
        ``stride`` and ``padding``.

    Returns
    -------
    ConvolutionDims
        The sizes of the convolution.

    Raises
    ------
    TypeError
        If stride or padding are no whole numbers.
    ValueError
        If the shapes do not fit each other, or a parameter is wrong: see `convolution_dims`.

    Examples
    --------
    >>> backward_dims([(1, 1, 2, 2), (1, 3, 4, 4), (1, 3, 3, 3)], {}).outputs
    1
    """
    grad, *rest = (tuple(int(size) for size in shape) for shape in shapes)
    dims = convolution_dims("conv2d_backward", rest, params)
    if grad != dims.out:
        raise ValueError(
            f"conv2d_backward: the gradient has the shape {grad}, but a convolution of {rest[0]} with "
            f"{rest[1]} gives {dims.out}"
        )
    return dims


def _sizes_of(dims: ConvolutionDims) -> Sizes:
    return dims.outputs, dims.channels * dims.taps, dims.rows * dims.columns, dims.images


def _flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    dims = convolution_dims("conv2d", shapes, params)
    activation = params.get("activation")
    each = 2 * dims.channels * dims.taps + (len(shapes) > 2)
    return math.prod(dims.out) * (each + (_ITEMS[operation_of(activation)[0]].flops if activation else 0))


def _bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    return itemsize * (
        sum(map(math.prod, shapes)) + math.prod(convolution_dims("conv2d", shapes, params).out)
    )


def _sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    return _sizes_of(convolution_dims("conv2d", shapes, params))


def _shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    outputs, depth, windows, images = sizes
    # The usual window where the depth allows one, and images as square as they can be.
    side = 3 if depth and depth % 9 == 0 else 1
    windows = max(windows, 1)
    rows = next(size for size in range(math.isqrt(windows), 0, -1) if windows % size == 0)
    strides = pair("conv2d", "stride", params.get("stride", 1), 1)
    paddings = pair("conv2d", "padding", params.get("padding", 0), 0)
    high, wide = (
        max((count - 1) * stride + side - 2 * padding, 1)
        for count, stride, padding in zip((rows, windows // rows), strides, paddings, strict=True)
    )
    channels = depth // (side * side)
    return (images, channels, high, wide), (outputs, channels, side, side), (outputs,)


def _out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    return convolution_dims("conv2d", shapes, params).out


def _factor(eps: float, terms: int) -> float:
    return (8 * math.sqrt(terms) + 16) * eps


def _error_bound(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    activation: str | None = None,
    **params: Any,
) -> Floats:
    arrays = [np.asarray(array) for array in (x, weight, bias) if array is not None]
    eps = float(np.finfo(np.result_type(*arrays)).eps)
    terms = reference.conv2d(*(np.abs(array) for array in arrays), **params)
    bound = _factor(eps, math.prod(arrays[1].shape[1:])) * terms
    if activation is None:
        return bound
    argument = reference.conv2d(*arrays, **params)
    name, given = operation_of(activation)
    item = _ITEMS[name]
    with np.errstate(all="ignore"):
        own = item.bound(eps, item.reference(argument, **given), argument, **given)
        return np.asarray(STEEPEST * bound + own)


def _dims_of_gradient(shapes: Sequence[Shape]) -> ConvolutionDims:
    """Return the sizes as the gradient's own shape tells them, without the parameters."""
    (images, outputs, rows, columns), _, (_, channels, high, wide) = shapes
    return ConvolutionDims(images, channels, outputs, rows, columns, high * wide)


def _backward_flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    dims = _dims_of_gradient(shapes)
    products = 1 + bool(params.get("need_dx", True))
    each = 2 * dims.channels * dims.taps * products + bool(params.get("bias", True))
    return math.prod(dims.out) * each


def _backward_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    dims = _dims_of_gradient(shapes)
    gradients = math.prod(shapes[2]) + dims.outputs * bool(params.get("bias", True))
    gradients += math.prod(shapes[1]) * bool(params.get("need_dx", True))
    return itemsize * (sum(map(math.prod, shapes)) + gradients)


def _backward_sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    return _sizes_of(_dims_of_gradient(shapes))


def _backward_shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    x, weight, _ = _shapes_of(sizes, params)
    return convolution_dims("conv2d_backward", (x, weight), params).out, x, weight


def _backward_out(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    return tuple(shapes[1]), tuple(shapes[2]), tuple(shapes[2][:1])


def _backward_bound(
    grad: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    *,
    bias: bool = True,
    need_dx: bool = True,
    **params: Any,
) -> tuple[Floats | None, Floats, Floats | None]:
    arrays = [np.asarray(array) for array in (grad, x, weight)]
    eps = float(np.finfo(np.result_type(*arrays)).eps)
    dims = backward_dims([array.shape for array in arrays], params)
    dx, dweight, dbias = reference.conv2d_backward(*map(np.abs, arrays), bias=bias, need_dx=need_dx, **params)
    windows = dims.images * dims.rows * dims.columns
    return (
        None if dx is None else _factor(eps, dims.outputs * dims.taps) * dx,
        _factor(eps, windows) * dweight,
        None if dbias is None else _factor(eps, windows) * dbias,
    )


def _layer(outputs: int, channels: int, side: int, images: int) -> tuple[tuple[int, ...], ...]:
    return (images, channels, side, side), (outputs, channels, 3, 3), (outputs,)


def _backward_layer(outputs: int, channels: int, side: int, images: int) -> tuple[tuple[int, ...], ...]:
    return (images, outputs, side, side), *_layer(outputs, channels, side, images)[:2]


SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="conv2d",
        signature="(x, weight, bias=None, *, stride=1, padding=0, activation=None, out=None)",
        cost_class="convolution",
        flops=_flops,
        bytes=_bytes,
        sizes=_sizes,
        shapes_of=_shapes_of,
        out_shape=_out_shape,
        reference=reference.conv2d,
        numpy_twin=numpy_twins.conv2d,
        error_bound=_error_bound,
        backward="conv2d_backward",
        example_shapes=tuple(_layer(*sizes) for sizes in _LAYERS),
        example_params=(
            {"padding": 1},
            NO_PARAMS,
            {"stride": 2, "padding": (0, 1)},
            *({"padding": 1, "activation": name} for name in ACTIVATIONS),
        ),
        path_params=MappingProxyType({"activation": None}),
        size_params=_SIZE_PARAMS,
    ),
    OpSpec(
        name="conv2d_backward",
        signature="(grad, x, weight, *, stride=1, padding=0, bias=True, need_dx=True)",
        cost_class="convolution",
        flops=_backward_flops,
        bytes=_backward_bytes,
        sizes=_backward_sizes,
        shapes_of=_backward_shapes_of,
        out_shape=_backward_out,
        reference=reference.conv2d_backward,
        numpy_twin=numpy_twins.conv2d_backward,
        error_bound=_backward_bound,
        outputs=3,
        example_shapes=tuple(_backward_layer(*sizes) for sizes in _LAYERS),
        example_params=({"padding": 1}, {"padding": 1, "bias": False}, {"padding": 1, "need_dx": False}),
        size_params=_SIZE_PARAMS,
    ),
)
