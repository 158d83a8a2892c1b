"""Operations other than products to measure on, group by group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tensorops.activations import ACTIVATIONS
from tensorops.elementwise_table import APPROXIMATE, ELEMENTWISE
from tensorops.operations import OPERATIONS

from .case import DTYPES, Case, Shape, example_case
from .group import Group, make_group
from .steps import STEPS

ELEMENTS = (1_000, 100_000, 4_000_000)
# Rows, inputs and outputs.
LINEAR = (
    (64, 128, 10),
    (64, 784, 128),
    (64, 784, 256),
    (256, 784, 256),
    (32, 768, 3072),
    (128, 768, 3072),
    (1024, 768, 3072),
)
ROWS = ((64, 10), (512, 768), (1024, 1024), (128, 50257))
# Images, channels, side, outputs, side of the window, padding, stride.
CONVOLUTIONS = (
    (32, 16, 28, 16, 3, 1, 1),
    (32, 16, 28, 32, 3, 1, 1),
    (16, 32, 28, 32, 3, 1, 1),
    (16, 32, 28, 64, 3, 1, 2),
    (8, 64, 28, 64, 3, 1, 1),
    (8, 64, 56, 64, 3, 1, 1),
    (8, 64, 56, 64, 3, 0, 1),
    (8, 256, 14, 64, 1, 0, 1),
    (8, 3, 112, 64, 7, 3, 2),
    (64, 1, 28, 16, 5, 0, 1),
)
# Heads, queries, keys, length of a vector, causal.
ATTENTION = (
    (8, 128, 128, 64, True),
    (8, 512, 512, 64, True),
    (8, 512, 512, 64, False),
    (8, 2048, 2048, 64, True),
    (4, 128, 128, 32, False),
    (8, 1, 512, 64, False),
)
_UNARY = tuple(item.name for item in ELEMENTWISE if "" in item.forms)
_CHANGING = tuple(f"{item.name}_" for item in ELEMENTWISE if "_" in item.forms)
_GRADIENTS = tuple(name for name in _CHANGING if name.endswith("_backward_"))
_IN_PLACE = tuple(name for name in _CHANGING if name not in _GRADIENTS)
_APPROXIMATED = {item.name for item in ELEMENTWISE if item.approximate}


def _elementwise(names: Iterable[str], elements: Iterable[int], dtype: str) -> Iterator[Case]:
    """Yield the operations in all their approximations."""
    sizes = tuple(elements)
    for name in names:
        spec = OPERATIONS[name]
        run = spec.sizes(spec.example_shapes[-1])[1]
        kinds = APPROXIMATE if name.removesuffix("_") in _APPROXIMATED else ()
        for count in sizes:
            shapes = spec.shapes_of((count, run, 1, 1))
            if kinds:
                for kind in kinds:
                    yield example_case(name, dtype, shapes, approximate=kind)
            else:
                yield example_case(name, dtype, shapes)


def _linear(sizes: tuple[int, int, int], dtype: str, activation: str | None) -> Case:
    m, k, n = sizes
    return example_case("linear", dtype, ((m, k), (k, n), (n,)), activation=activation)


def _linear_backward(sizes: tuple[int, int, int], dtype: str) -> Case:
    m, k, n = sizes
    return example_case("linear_backward", dtype, ((m, n), (m, k), (k, n)))


def _on_rows(rows: int, columns: int, dtype: str, names: Iterable[str] | None = None) -> Iterator[Case]:
    for name, spec in OPERATIONS.items():
        if spec.cost_class == "rows" and (names is None or name in names):
            yield example_case(name, dtype, spec.shapes_of((rows, columns, 1, 1)))


def _along(axis: int, shape: Shape, dtype: str) -> Iterator[Case]:
    for name in ("softmax", "softmax_", "log_softmax"):
        yield example_case(name, dtype, (shape,), axis=axis)
    yield example_case("softmax_backward", dtype, (shape, shape), axis=axis)


def _steps(elements: Iterable[int], dtype: str) -> Iterator[Case]:
    for count in elements:
        for name, spec in OPERATIONS.items():
            if spec.cost_class == "optimizer":
                yield example_case(name, dtype, spec.shapes_of((count, 1, 1, 1)))


def _convolution(sizes: tuple[int, ...], dtype: str, activation: str | None = None) -> Case:
    images, channels, side, outputs, window, padding, stride = sizes
    shapes = ((images, channels, side, side), (outputs, channels, window, window), (outputs,))
    extra: dict[str, Any] = {} if activation is None else {"activation": activation}
    return example_case("conv2d", dtype, shapes, padding=padding, stride=stride, **extra)


def _convolution_backward(sizes: tuple[int, ...], dtype: str) -> Case:
    forward = _convolution(sizes, dtype)
    params: dict[str, Any] = dict(forward.params)
    out = OPERATIONS["conv2d"].out_shape(forward.shapes, params)
    return example_case("conv2d_backward", dtype, (out, *forward.shapes[:2]), **params)


def _attention(sizes: tuple[int, int, int, int, bool], dtype: str) -> Case:
    heads, queries, keys, depth, causal = sizes
    q, k = (heads, queries, depth), (heads, keys, depth)
    return example_case("attention", dtype, (q, k, k), causal=causal)


def _attention_backward(sizes: tuple[int, int, int, int, bool], dtype: str) -> Case:
    forward = _attention(sizes, dtype)
    q, k, v = forward.shapes
    params: dict[str, Any] = dict(forward.params)
    return example_case("attention_backward", dtype, (q, q, k, v, q), **params)


OPERATION_GROUPS: tuple[Group, ...] = (
    make_group(
        "linear",
        "layers with bias and activation, and their gradients",
        (1.25, 0.95),
        [
            *(_linear(sizes, "float32", "gelu") for sizes in LINEAR),
            *(_linear(LINEAR[5], "float32", name) for name in (*ACTIVATIONS, None)),
            *(_linear(sizes, "float64", "gelu") for sizes in LINEAR[1:4]),
            *(_linear_backward(sizes, "float32") for sizes in LINEAR),
            *(_linear_backward(sizes, "float64") for sizes in LINEAR[1:4]),
        ],
        [
            *(_linear(sizes, "float32", "gelu") for sizes in LINEAR[:4]),
            *(_linear_backward(sizes, "float32") for sizes in LINEAR[1:2]),
        ],
    ),
    make_group(
        "elementwise",
        "elementwise with out=",
        (2.5, 1.0),
        [*_elementwise(_UNARY, ELEMENTS, "float32"), *_elementwise(_UNARY, ELEMENTS[1:2], "float64")],
        _elementwise(_UNARY, ELEMENTS[1:2], "float32"),
    ),
    make_group(
        "in-place",
        "elementwise in place",
        (2.5, 1.0),
        [*_elementwise(_IN_PLACE, ELEMENTS, "float32"), *_elementwise(_IN_PLACE, ELEMENTS[1:2], "float64")],
        _elementwise(_IN_PLACE, ELEMENTS[1:2], "float32"),
    ),
    make_group(
        "gradients",
        "gradients of elementwise operations, in place",
        (2.5, 1.0),
        [*_elementwise(_GRADIENTS, ELEMENTS, "float32"), *_elementwise(_GRADIENTS, ELEMENTS[1:2], "float64")],
        _elementwise(_GRADIENTS, ELEMENTS[1:2], "float32"),
    ),
    make_group(
        "rows",
        "softmax, normalisation, cross entropy",
        (2.5, 1.0),
        [
            *(case for sizes in ROWS for case in _on_rows(*sizes, "float32")),
            *_on_rows(512, 768, "float64"),
            *(case for dtype in DTYPES for case in _along(0, (512, 768), dtype)),
            *_along(0, (64, 1000), "float32"),
            *_along(1, (8, 128, 256), "float32"),
        ],
        [*_on_rows(64, 10, "float32"), *_on_rows(512, 768, "float32"), *_along(0, (64, 1000), "float32")],
    ),
    make_group(
        "optimizers",
        "steps of optimizers",
        (2.5, 1.0),
        [*_steps(ELEMENTS, "float32"), *_steps(ELEMENTS[1:2], "float64")],
        _steps(ELEMENTS[1:2], "float32"),
    ),
    make_group(
        "conv",
        "convolutions and their gradients",
        (1.0, 0.8),
        [
            *(_convolution(sizes, "float32") for sizes in CONVOLUTIONS),
            _convolution(CONVOLUTIONS[4], "float32", "relu"),
            _convolution(CONVOLUTIONS[1], "float64"),
            *(_convolution_backward(sizes, "float32") for sizes in CONVOLUTIONS[:6]),
        ],
        [
            _convolution(CONVOLUTIONS[0], "float32"),
            _convolution(CONVOLUTIONS[4], "float32"),
            _convolution_backward(CONVOLUTIONS[0], "float32"),
        ],
    ),
    make_group(
        "attention",
        "attention and its gradients",
        (1.2, 1.0),
        [
            *(_attention(sizes, "float32") for sizes in ATTENTION),
            _attention(ATTENTION[1], "float64"),
            *(_attention_backward(sizes, "float32") for sizes in ATTENTION[:3]),
        ],
        [_attention(ATTENTION[0], "float32"), _attention_backward(ATTENTION[0], "float32")],
    ),
    make_group(
        "training",
        "whole training steps",
        (1.1, 1.0),
        (example_case(name, "float32") for name in STEPS),
    ),
)
