"""Convolutions and their gradients against the definition, and what they refuse."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tensorops
from tensorops.activations import ACTIVATIONS
from tensorops.kernels.gemm import family
from tensorops.operations import OPERATIONS
from tensorops.runtime import workspace

Array = NDArray[Any]
DTYPES = ("float32", "float64")
SPEC = OPERATIONS["conv2d"]
MR, NR = family.tile_shape("float32")


def operands_of(shapes: Any, dtype: str, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def shapes_of(images: int, channels: int, outputs: int, image: Any, window: Any) -> Any:
    return (images, channels, *image), (outputs, channels, *window), (outputs,)


def check(operands: list[Array], result: Array, **params: Any) -> None:
    expected, bound = SPEC.reference(*operands, **params), SPEC.error_bound(*operands, **params)
    assert result.dtype == operands[0].dtype
    assert result.shape == expected.shape == SPEC.out_shape([x.shape for x in operands], params)
    assert np.all(np.abs(result - expected) <= bound)


def scattered(x: Array) -> Array:
    """Return the same numbers in memory that is neither dense nor in order."""
    spread = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype).T
    spread = spread[::-1].T if x.ndim > 1 else spread
    target = spread[..., ::2]
    target[...] = x
    return target


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("params", SPEC.example_params, ids=str)
def test_every_example(params: Mapping[str, Any], dtype: str) -> None:
    operands = operands_of(SPEC.example_shapes[0], dtype)
    check(operands, tensorops.conv2d(*operands, **params), **params)
    check(operands[:2], tensorops.conv2d(*operands[:2], **params), **params)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", [1, MR - 1, MR, 2 * MR + 1])
@pytest.mark.parametrize("columns", [1, NR - 1, NR, NR + 1])
def test_edges_of_tiles(columns: int, outputs: int, dtype: str) -> None:
    operands = operands_of(shapes_of(2, 3, outputs, (3, columns), (2, 1)), dtype)
    check(operands, tensorops.conv2d(*operands))


def test_any_sizes_steps_and_layouts(rng: np.random.Generator) -> None:
    for number in range(60):
        images, channels, outputs, *sides = (int(rng.integers(1, high)) for high in (4, 9, 20, 15, 15, 5, 5))
        window, padding = sides[2:], tuple(int(rng.integers(0, 4)) for _ in range(2))
        params = {"stride": tuple(int(rng.integers(1, 4)) for _ in range(2)), "padding": padding}
        if any(size + 2 * more < taps for size, more, taps in zip(sides, padding, window, strict=False)):
            continue
        shapes = shapes_of(images, channels, outputs, sides[:2], window)
        operands = operands_of(shapes, DTYPES[number % 2], number)
        given = [scattered(x) for x in operands] if number % 3 else operands
        check(operands, tensorops.conv2d(*given, **params), **params)
        shape = SPEC.out_shape(shapes, params)
        out = np.full(shape, np.nan, operands[0].dtype)
        if number % 4:
            out = scattered(out)
        assert tensorops.conv2d(*given, **params, activation="relu", out=out) is out
        check(operands, out, **params, activation="relu")


@pytest.mark.parametrize(
    ("shapes", "params"),
    [
        (shapes_of(1, 200, 3, (6, 7), (3, 3)), {"padding": 1}),
        (shapes_of(1, 2, 3, (33, 40), (30, 35)), {"stride": 2, "padding": 1}),
        (shapes_of(1, 2, 3, (2, 900), (1, 800)), {"stride": (1, 3)}),
        (shapes_of(1, 3, 2, (3, 20_000), (3, 3)), {"padding": 1}),
        (shapes_of(1, 40, 2, (60, 70), (5, 5)), {"padding": 2}),
    ],
    ids=["depth", "window", "wide window", "wide image", "image"],
)
@pytest.mark.parametrize("activation", [None, "relu"])
def test_what_is_cut_into_blocks(shapes: Any, params: Any, activation: str | None) -> None:
    operands = operands_of(shapes, "float32")
    params = {**params, "activation": activation}
    check(operands, tensorops.conv2d(*operands, **params), **params)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 4, 4)], ids=str)
def test_no_elements(shape: Any) -> None:
    for outputs in (0, 3):
        operands = operands_of((shape, (outputs, shape[1], 3, 2), (outputs,)), "float32")
        check(operands, tensorops.conv2d(*operands, activation="sigmoid"), activation="sigmoid")
        check(operands[:2], tensorops.conv2d(*operands[:2]))


def test_whole_numbers_are_exact(rng: np.random.Generator) -> None:
    x, weight = (rng.integers(-300, 300, shape).astype("float32") for shape in ((2, 5, 9, 8), (7, 5, 3, 3)))
    expected = SPEC.reference(x, weight, padding=1)
    assert np.array_equal(tensorops.conv2d(x, weight, padding=1), expected)


@pytest.mark.parametrize("params", [{"padding": 1}, {"stride": 2, "activation": "gelu"}], ids=str)
def test_threads_change_nothing(params: Any) -> None:
    for shapes in (shapes_of(3, 16, 20, (30, 31), (3, 3)), shapes_of(1, 64, 20, (40, 41), (3, 3))):
        operands = operands_of(shapes, "float32")
        before = tensorops.get_num_threads()
        try:
            results = []
            for threads in (1, 2, 3, 3):
                tensorops.set_num_threads(threads)
                results.append(tensorops.conv2d(*operands, **params))
        finally:
            tensorops.set_num_threads(before)
        for result in results:
            check(operands, result, **params)
        assert np.array_equal(results[2], results[3])


def test_what_is_no_number_spreads_over_its_windows() -> None:
    x, weight = np.ones((1, 2, 6, 6)), np.ones((3, 2, 3, 3))
    x[0, 1, 0, 0] = np.nan
    x[0, 0, 5, 5] = np.inf
    result = tensorops.conv2d(x, weight, padding=1)
    assert np.array_equal(np.isnan(result[0, 0]), np.add.outer([1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]) == 2)
    assert np.array_equal(np.isinf(result[0, 0]), np.add.outer([0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]) == 2)


def test_other_dtypes_and_subclasses_go_to_numpy() -> None:
    x, weight = np.arange(16).reshape(1, 1, 4, 4), np.ones((1, 1, 2, 2), int)
    result = tensorops.conv2d(x, weight)
    assert result.dtype == int
    assert np.array_equal(result, SPEC.reference(x, weight))
    assert tensorops.conv2d(x.astype("float16"), weight.astype("float16")).dtype == np.float16
    assert tensorops.conv2d(x.astype("float32"), weight.astype("float64")).dtype == np.float64
    assert tensorops.conv2d(x.tolist(), weight.astype(float)).tolist() == result.tolist()
    swapped = x.astype(">f4")
    assert np.array_equal(tensorops.conv2d(swapped, weight.astype("float32")), result)
    wide = np.zeros(result.shape, float)
    assert tensorops.conv2d(x.astype("float32"), weight.astype("float32"), out=wide) is wide
    assert np.array_equal(wide, result)
    assert tensorops.conv2d(x, weight, out=wide) is wide


BAD: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "three dimensions": (ValueError, "images must be", {"x": np.ones((2, 5, 5))}),
    "channels": (ValueError, "3 channels against weights for 2", {"x": np.ones((1, 3, 5, 5))}),
    "bias": (ValueError, r"must have the shape \(4,\)", {"bias": np.ones(3)}),
    "window": (ValueError, "larger than the images", {"x": np.ones((1, 2, 2, 5))}),
    "no window": (ValueError, "a row and a column", {"weight": np.ones((4, 2, 0, 3))}),
    "stride": (ValueError, "stride must be 1 or more", {"stride": 0}),
    "padding": (ValueError, "padding must be 0 or more", {"padding": (0, -1)}),
    "three strides": (ValueError, "stride must be a whole number or two", {"stride": (1, 1, 1)}),
    "half a step": (TypeError, "stride must be a whole number", {"stride": 1.5}),
    "activation": (ValueError, "relu, gelu, .*not 'swish'", {"activation": "swish"}),
    "out's shape": (ValueError, r"out has the shape \(1, 4, 3, 4\)", {"out": np.zeros((1, 4, 3, 4))}),
    "out's dtype": (TypeError, "cannot take", {"out": np.zeros((1, 4, 3, 3), int)}),
    "no array": (TypeError, "must be an array", {"out": [1.0]}),
}


@pytest.mark.parametrize(("error", "message", "wrong"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_and_nothing_is_written(
    error: type[Exception], message: str, wrong: dict[str, Any]
) -> None:
    out = np.full((1, 4, 3, 3), 7.0)
    call = {"x": np.ones((1, 2, 5, 5)), "weight": np.ones((4, 2, 3, 3)), "bias": np.ones(4), "out": out}
    with pytest.raises(error, match=message):
        tensorops.conv2d(**{**call, **wrong})
    assert np.all(out == 7)


def test_an_out_that_cannot_be_written_is_refused() -> None:
    x, weight = np.ones((1, 2, 5, 5)), np.ones((2, 2, 1, 1))
    fixed = np.zeros(x.shape)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        tensorops.conv2d(x, weight, out=fixed)
    with pytest.raises(ValueError, match="overlaps"):
        tensorops.conv2d(x, weight, out=x)
    folded = np.lib.stride_tricks.as_strided(np.zeros(5), x.shape, (0, 0, 0, 8))
    with pytest.raises(ValueError, match="share memory"):
        tensorops.conv2d(x, weight, out=folded)
    assert np.all(x == 1)


@pytest.mark.parametrize("backend", ["numpy", "blocked", "torch"])
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_backends_agree(backend: str, activation: str | None) -> None:
    if tensorops.backends()[backend] is not None:
        pytest.skip(str(tensorops.backends()[backend]))
    if backend == "torch" and activation not in (None, "relu", "tanh"):
        pytest.skip("outside its bounds in PyTorch")
    params = {"stride": 2, "padding": (1, 0), "activation": activation}
    operands = operands_of(shapes_of(2, 3, 4, (7, 8), (3, 2)), "float64")
    with tensorops.use_backend(backend):
        check(operands, tensorops.conv2d(*operands, **params), **params)


def test_work_memory_is_bounded() -> None:
    grown: list[int] = []

    def body() -> None:
        before = workspace.statistics()["live"]
        for shapes in (shapes_of(1, 300, 2, (64, 256), (3, 3)), shapes_of(1, 2, 300, (70, 70), (40, 40))):
            tensorops.conv2d(*operands_of(shapes, "float64"), padding=1)
        grown.append(workspace.statistics()["live"] - before)

    # A thread of its own has no buffer yet.
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert 0 < grown[0] <= tensorops.get_num_threads() * (8 << 20)
