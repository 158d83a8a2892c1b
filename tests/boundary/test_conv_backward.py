"""The gradients of convolutions against the definition, finite differences and PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.operations import OPERATIONS
from tests.boundary.test_conv import DTYPES, Array, operands_of, scattered, shapes_of

SPEC = OPERATIONS["conv2d_backward"]


def gradients_of(shapes: Any, params: dict[str, Any], dtype: str, seed: int = 0) -> list[Array]:
    out = OPERATIONS["conv2d"].out_shape(shapes, params)
    return operands_of((out, *shapes[:2]), dtype, seed)


def check(operands: Sequence[Array], results: Any, **params: Any) -> None:
    expected, bound = SPEC.reference(*operands, **params), SPEC.error_bound(*operands, **params)
    for result, exact, allowed in zip(results, expected, bound, strict=True):
        if exact is None:
            assert result is None
            continue
        assert result.dtype == operands[0].dtype
        assert result.shape == exact.shape
        assert np.all(np.abs(result - exact) <= allowed)


def test_any_sizes_steps_and_layouts(rng: np.random.Generator) -> None:
    for number in range(60):
        images, channels, outputs, *sides = (int(rng.integers(1, high)) for high in (4, 9, 20, 12, 12, 5, 5))
        padding = tuple(int(rng.integers(0, 4)) for _ in range(2))
        params = {"stride": tuple(int(rng.integers(1, 4)) for _ in range(2)), "padding": padding}
        if any(size + 2 * more < taps for size, more, taps in zip(sides, padding, sides[2:], strict=False)):
            continue
        shapes = shapes_of(images, channels, outputs, sides[:2], sides[2:])
        operands = gradients_of(shapes, params, DTYPES[number % 2], number)
        given = [scattered(x) for x in operands] if number % 3 else operands
        check(operands, tensorops.conv2d_backward(*given, **params), **params)


@pytest.mark.parametrize(
    ("shapes", "params"),
    [
        (shapes_of(2, 70, 40, (15, 14), (3, 3)), {"padding": 1}),
        (shapes_of(3, 5, 4, (40, 41), (5, 5)), {"stride": 2, "padding": 2}),
        (shapes_of(1, 2, 3, (4, 1200), (3, 3)), {"padding": (1, 5)}),
        (shapes_of(2, 3, 90, (6, 6), (1, 1)), {"bias": False}),
        (shapes_of(2, 3, 90, (6, 6), (3, 3)), {"need_dx": False}),
    ],
    ids=["channels", "steps", "wide", "one tap", "no gradient of the images"],
)
def test_what_is_cut_into_blocks(shapes: Any, params: Any) -> None:
    known = {name: value for name, value in params.items() if name not in ("bias", "need_dx")}
    operands = gradients_of(shapes, known, "float32")
    check(operands, tensorops.conv2d_backward(*operands, **params), **params)


def test_whole_numbers_are_exact(rng: np.random.Generator) -> None:
    operands = [
        rng.integers(-30, 30, shape).astype("float32") for shape in ((2, 7, 9, 8), (2, 5, 9, 8), (7, 5, 3, 3))
    ]
    expected = SPEC.reference(*operands, padding=1)
    for result, exact in zip(tensorops.conv2d_backward(*operands, padding=1), expected, strict=True):
        assert np.array_equal(result, exact)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 4, 4)], ids=str)
def test_no_elements(shape: Any) -> None:
    for outputs in (0, 3):
        shapes = (shape, (outputs, shape[1], 3, 2), (outputs,))
        operands = gradients_of(shapes, {}, "float32")
        check(operands, tensorops.conv2d_backward(*operands))


def test_the_gradients_are_the_differences_of_the_convolution() -> None:
    params: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0)}
    shapes = shapes_of(2, 2, 3, (5, 4), (3, 2))
    x, weight, bias = operands_of(shapes, "float64")
    grad = operands_of((OPERATIONS["conv2d"].out_shape(shapes, params),), "float64", 1)[0]
    for operand, result in zip(
        (x, weight, bias), tensorops.conv2d_backward(grad, x, weight, **params), strict=True
    ):
        assert result is not None
        numeric = np.empty_like(operand)
        for place in np.ndindex(operand.shape):
            value, sides = operand[place], []
            for step in (1e-6, -1e-6):
                operand[place] = value + step
                sides.append(np.sum(grad * tensorops.conv2d(x, weight, bias, **params)))
            operand[place] = value
            numeric[place] = (sides[0] - sides[1]) / 2e-6
        assert np.allclose(result, numeric, rtol=1e-6, atol=1e-6)


def test_the_gradients_are_pytorch_s() -> None:
    torch = pytest.importorskip("torch")
    params = {"stride": (1, 2), "padding": (2, 1)}
    operands = gradients_of(shapes_of(2, 6, 5, (9, 8), (3, 4)), params, "float64")
    expected = torch.ops.aten.convolution_backward(
        *map(torch.from_numpy, operands),
        [5],
        params["stride"],
        params["padding"],
        (1, 1),
        False,
        (0, 0),
        1,
        (True, True, True),
    )
    for result, other in zip(tensorops.conv2d_backward(*operands, **params), expected, strict=True):
        assert np.allclose(result, other.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "blocked"])
def test_backends_agree(backend: str) -> None:
    params = {"stride": 2, "padding": (1, 0)}
    operands = gradients_of(shapes_of(2, 3, 4, (7, 8), (3, 2)), params, "float64")
    with tensorops.use_backend(backend):
        check(operands, tensorops.conv2d_backward(*operands, **params), **params)


def test_other_dtypes_go_to_numpy() -> None:
    operands = [np.ones(shape, int) for shape in ((1, 1, 2, 2), (1, 1, 3, 3), (1, 1, 2, 2))]
    results = tensorops.conv2d_backward(*operands)
    assert [result.dtype.kind for result in results if result is not None] == ["i", "i", "i"]
    for result, exact in zip(results, SPEC.reference(*operands), strict=True):
        assert np.array_equal(result, exact)
    mixed = tensorops.conv2d_backward(operands[0].astype("float32"), *operands[1:], bias=False)
    assert mixed[0].dtype == np.float64
    assert mixed[2] is None


@pytest.mark.parametrize(
    ("shapes", "params", "message"),
    [
        (((1, 2, 3, 3), (1, 1, 3, 3), (2, 1, 2, 2)), {}, r"gives \(1, 2, 2, 2\)"),
        (((1, 2, 2, 2), (1, 3, 3), (2, 1, 2, 2)), {}, "images must be"),
        (((1, 2, 2, 2), (1, 1, 3, 3), (2, 1, 2, 2)), {"stride": 0}, "stride must be 1 or more"),
        (((1, 2, 2, 2), (1, 1, 3, 3), (2, 1, 2, 2)), {"padding": -1}, "padding must be 0 or more"),
    ],
    ids=["gradient", "images", "stride", "padding"],
)
def test_what_is_wrong_is_named(shapes: Any, params: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tensorops.conv2d_backward(*map(np.ones, shapes), **params)
