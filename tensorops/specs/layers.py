"""Fully connected layers: the registry's rows of products with an epilogue, and of their gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops import reference
from tensorops.activations import ACTIVATIONS, operation_of
from tensorops.elementwise_table import ELEMENTWISE
from tensorops.numpy_twins import products as numpy_twins
from tensorops.precisions import DEFAULT, error_factor
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes

Floats = NDArray[np.float64]

# The steepest slope of any activation, that of gelu, by which it can enlarge the error of its argument.
STEEPEST = 1.13

_LAYERS = ((64, 128, 10), (64, 784, 128), (1024, 768, 3072))
_USUAL_FIRST = tuple(dict.fromkeys(("gelu", "relu", *ACTIVATIONS)))
_ITEMS = {item.name: item for item in ELEMENTWISE}


def _layer(shapes: Sequence[Shape]) -> tuple[tuple[int, ...], int, int]:
    """Return the leading dimensions, inputs and outputs of a layer, checked."""
    x, weight, *rest = (tuple(int(size) for size in shape) for shape in shapes)
    said = f"linear: shapes {', '.join(map(str, (x, weight, *rest)))}"
    if len(weight) != 2 or not x or len(rest) > 1 or x[-1] != weight[0]:
        raise ValueError(f"{said}: they must be (..., K), (K, N) and, for a bias, (N,)")
    if rest and rest[0] != weight[1:]:
        raise ValueError(f"{said}: the bias must have the shape {weight[1:]}")
    return x[:-1], *weight


def _backward_layer(shapes: Sequence[Shape]) -> tuple[tuple[int, ...], int, int]:
    """Return the leading dimensions, inputs and outputs of a layer whose gradients are asked for."""
    if len(shapes) != 3:
        raise ValueError(f"linear_backward takes three operands, got {len(shapes)}")
    grad, x, weight = (tuple(int(size) for size in shape) for shape in shapes)
    if len(weight) != 2 or not x or (*x[:-1], *weight) != (*grad[:-1], x[-1], *grad[-1:]):
        raise ValueError(
            f"linear_backward: shapes {grad}, {x} and {weight}: they must be (..., N), (..., K) and (K, N)"
        )
    return x[:-1], *weight


def _flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    leading, k, n = _layer(shapes)
    activation = params.get("activation")
    each = 2 * k + (len(shapes) > 2) + (_ITEMS[operation_of(activation)[0]].flops if activation else 0)
    return math.prod(leading) * n * each


def _bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    leading, _, n = _layer(shapes)
    return itemsize * (sum(map(math.prod, shapes)) + math.prod(leading) * n)


def _sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    leading, k, n = _layer(shapes)
    return math.prod(leading), k, n, 1


def _shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    m, k, n, count = sizes
    return (m * count, k), (k, n), (n,)


def _out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    leading, _, n = _layer(shapes)
    return (*leading, n)


def _error_bound(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    activation: str | None = None,
    precision: str = DEFAULT,
) -> Floats:
    arrays = [np.asarray(array) for array in (x, weight, bias) if array is not None]
    eps = float(np.finfo(np.result_type(*arrays)).eps)
    terms = reference.linear(*(np.abs(array) for array in arrays))
    bound = error_factor(arrays[1].shape[0], eps, precision) * terms
    if activation is None:
        return bound
    argument = reference.linear(*arrays)
    name, params = operation_of(activation)
    item = _ITEMS[name]
    with np.errstate(all="ignore"):
        own = item.bound(eps, item.reference(argument, **params), argument, **params)
        return np.asarray(STEEPEST * bound + own)


def _backward_flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    leading, k, n = _backward_layer(shapes)
    return math.prod(leading) * n * (4 * k + bool(params.get("bias", True)))


def _backward_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    _, k, n = _backward_layer(shapes)
    gradients = math.prod(shapes[1]) + k * n + n * bool(params.get("bias", True))
    return itemsize * (sum(map(math.prod, shapes)) + gradients)


def _backward_sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    leading, k, n = _backward_layer(shapes)
    return math.prod(leading), k, n, 1


def _backward_shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    m, k, n, count = sizes
    return (m * count, n), (m * count, k), (k, n)


def _backward_out(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    leading, k, n = _backward_layer(shapes)
    return ((*leading, k), (k, n), (n,))


def _backward_bound(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *, bias: bool = True, precision: str = DEFAULT
) -> tuple[Floats, Floats, Floats | None]:
    arrays = [np.asarray(array) for array in (grad, x, weight)]
    eps = float(np.finfo(np.result_type(*arrays)).eps)
    rows = math.prod(arrays[0].shape[:-1])
    lengths = (arrays[2].shape[1], rows, rows)
    parts = reference.linear_backward(*map(np.abs, arrays), bias=bias)
    first, second, third = (
        None if part is None else error_factor(length, eps, precision) * part
        for length, part in zip(lengths, parts, strict=True)
    )
    assert first is not None
    assert second is not None
    return first, second, third


SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="linear",
        signature="(x, weight, bias=None, *, activation=None, out=None, precision=None)",
        cost_class="product",
        flops=_flops,
        bytes=_bytes,
        sizes=_sizes,
        shapes_of=_shapes_of,
        out_shape=_out_shape,
        reference=reference.linear,
        numpy_twin=numpy_twins.linear,
        error_bound=_error_bound,
        backward="linear_backward",
        example_shapes=tuple(_shapes_of((*sizes, 1)) for sizes in _LAYERS),
        example_params=(*({"activation": name} for name in _USUAL_FIRST), NO_PARAMS),
        path_params={"activation": None},
    ),
    OpSpec(
        name="linear_backward",
        signature="(grad, x, weight, *, bias=True, precision=None)",
        cost_class="product",
        flops=_backward_flops,
        bytes=_backward_bytes,
        sizes=_backward_sizes,
        shapes_of=_backward_shapes_of,
        out_shape=_backward_out,
        reference=reference.linear_backward,
        numpy_twin=numpy_twins.linear_backward,
        error_bound=_backward_bound,
        outputs=3,
        example_shapes=tuple(_backward_shapes_of((*sizes, 1)) for sizes in _LAYERS),
    ),
)
