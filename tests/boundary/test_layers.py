"""``tensorops.linear`` and ``linear_backward`` as users call them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorops
from tensorops.activations import ACTIVATIONS
from tensorops.operations import OPERATIONS
from tensorops.runtime import calls
from tests.boundary.contract import Array
from tests.boundary.strategies import FLOATS, arrays, repeatable

LINEAR, BACKWARD = OPERATIONS["linear"], OPERATIONS["linear_backward"]
sizes = st.sampled_from([0, 1, 2, 3, 5, 16, 33])


def within(result: Any, expected: Any, bound: Any) -> bool:
    with np.errstate(invalid="ignore"):
        return result.shape == expected.shape and bool(np.all(np.abs(result - expected) <= bound))


@repeatable
@given(st.data())
def test_every_shape_and_arrangement(data: st.DataObject) -> None:
    k, n = data.draw(sizes), data.draw(sizes)
    leading = tuple(data.draw(st.lists(sizes, max_size=3)))
    dtype = data.draw(st.sampled_from(FLOATS))
    x, weight = data.draw(arrays((*leading, k), dtype)), data.draw(arrays((k, n), dtype))
    bias = data.draw(st.one_of(st.none(), arrays((n,), dtype)))
    activation = data.draw(st.sampled_from((None, *ACTIVATIONS)))
    kept = [np.copy(array) for array in (x, weight)]
    result = tensorops.linear(x, weight, bias, activation=activation)
    assert result.dtype == dtype
    assert within(
        result,
        LINEAR.reference(x, weight, bias, activation=activation),
        LINEAR.error_bound(
            *(None if a is None else a.astype(dtype) for a in (x, weight, bias)), activation=activation
        ),
    )
    assert np.array_equal(x, kept[0])
    assert np.array_equal(weight, kept[1])
    grad = data.draw(arrays((*leading, n), dtype))
    for with_bias in (True, False):
        found = tensorops.linear_backward(grad, x, weight, bias=with_bias)
        for part, expected in zip(found, BACKWARD.reference(grad, x, weight, bias=with_bias), strict=True):
            # Whole numbers: the sums are exact.
            assert (part is None) is (expected is None)
            assert part is None or (part.dtype == dtype and np.array_equal(part, expected))


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_gradients_are_those_of_finite_differences(dtype: str, rng: np.random.Generator) -> None:
    x, weight, bias, upper = (rng.standard_normal(size) for size in ((2, 3, 4), (4, 5), (5,), (2, 3, 5)))
    found = tensorops.linear_backward(*(array.astype(dtype) for array in (upper, x, weight)))
    for part, operand in zip(found, (x, weight, bias), strict=True):
        for index in itertools.islice(np.ndindex(*operand.shape), 8):
            step = np.zeros_like(operand)
            step[index] = 1e-3
            moved = [
                np.sum(
                    upper
                    * LINEAR.reference(*(a + sign * step if a is operand else a for a in (x, weight, bias)))
                )
                for sign in (1, -1)
            ]
            assert abs(part[index] - (moved[0] - moved[1]) / 2e-3) < 1e-5


@pytest.mark.parametrize("dtype", ["int32", "int64", "float16", "longdouble", "complex128", "bool"])
def test_other_dtypes_go_to_numpy(dtype: str) -> None:
    x, weight = np.arange(6).reshape(2, 3).astype(dtype), np.arange(12).reshape(3, 4).astype(dtype)
    bias = np.arange(4).astype(dtype)
    assert np.array_equal(tensorops.linear(x, weight, bias), x @ weight + bias)
    assert tensorops.linear(x, weight).dtype == (x @ weight).dtype
    if dtype not in ("complex128", "bool"):
        result = tensorops.linear(x, weight, bias, activation="relu")
        assert np.array_equal(result, np.maximum(x @ weight + bias, 0))
        assert np.allclose(
            tensorops.linear(x, weight, activation="tanh"), np.tanh((x @ weight).astype(float))
        )
        for part, expected in zip(
            tensorops.linear_backward(x @ weight, x, weight),
            BACKWARD.reference(x @ weight, x, weight),
            strict=True,
        ):
            assert np.array_equal(part, expected)


def test_mixed_dtypes_are_converted() -> None:
    x, weight, bias = np.ones((2, 3), np.float32), np.ones((3, 4)), np.ones(4, np.int8)
    assert tensorops.linear(x, weight, bias).dtype == np.float64
    assert tensorops.linear(x, weight.astype(np.float32), bias).dtype == np.float32
    assert tensorops.linear([[1.0, 2.0]], [[1.0], [2.0]], [3]).tolist() == [[8.0]]
    swapped = x.astype(">f4")
    assert np.array_equal(tensorops.linear(swapped, weight), x @ weight)
    out = np.empty((2, 4), ">f8")
    assert tensorops.linear(x, weight, bias, out=out) is out
    assert np.array_equal(out, x @ weight + bias)


def test_subclasses_keep_their_type() -> None:
    class Tagged(np.ndarray):
        pass

    x = np.ones((2, 3)).view(Tagged)
    for activation in (None, *ACTIVATIONS):
        result = tensorops.linear(x, np.ones((3, 4)), np.ones(4), activation=activation)
        assert type(result) is Tagged
        expected = LINEAR.reference(np.ones((2, 3)), np.ones((3, 4)), np.ones(4), activation=activation)
        assert np.allclose(np.asarray(result), expected)
    assert type(tensorops.linear_backward(np.ones((2, 4)), x, np.ones((3, 4)))[1]) is Tagged
    out = np.ma.masked_array(np.zeros((2, 4)))
    assert tensorops.linear(np.ones((2, 3)), np.ones((3, 4)), np.ones(4), activation="relu", out=out) is out
    assert np.all(out == 4)


@pytest.mark.parametrize("activation", [None, "gelu"])
def test_out_may_lie_anywhere(activation: str | None, rng: np.random.Generator) -> None:
    x, weight, bias = (rng.standard_normal(size) for size in ((6, 6), (6, 6), (6,)))
    expected = tensorops.linear(x, weight, bias, activation=activation)
    for layout in (
        lambda: np.empty((6, 6)),
        lambda: np.empty((6, 6)).T,
        lambda: np.empty((12, 18))[::2, ::-3],
    ):
        out = layout()
        assert tensorops.linear(x, weight, bias, activation=activation, out=out) is out
        assert np.allclose(out, expected, rtol=0, atol=1e-13)
    memory = np.empty((7, 6))
    for place in range(3):
        operands = [x.copy(), weight.copy(), bias.copy()]
        block = np.vstack([operands[place].reshape(-1, 6)] * 7)[:7]
        block[: len(operands[place].reshape(-1, 6))] = operands[place].reshape(-1, 6)
        operands[place] = block[: x.shape[0]] if place < 2 else block[0]
        for out in (block[:6], block[1:], block[:6].T):
            memory[...] = block
            assert tensorops.linear(*operands, activation=activation, out=out) is out
            assert np.allclose(out, expected, rtol=0, atol=1e-13)
            block[...] = memory


def test_an_out_that_folds_onto_itself_gets_numpy_s_values() -> None:
    x, weight = np.arange(6.0).reshape(2, 3), np.ones((3, 2))
    out = np.lib.stride_tricks.as_strided(np.zeros(3), (2, 2), (8, 8))
    expected = np.lib.stride_tricks.as_strided(np.zeros(3), (2, 2), (8, 8))
    np.copyto(expected, x @ weight)
    assert np.array_equal(tensorops.linear(x, weight, out=out), expected)


X, W, B = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)


@pytest.mark.parametrize(
    ("operands", "said"),
    [
        ((np.ones((2, 4)), W, B), r"\(2, 4\), \(3, 4\), \(4,\) do not fit"),
        ((X, W, np.ones(3)), r"\(2, 3\), \(3, 4\), \(3,\) do not fit"),
        ((X, W, np.ones((1, 4))), r"\(1, 4\) do not fit"),
        ((X, np.ones(3), None), r"\(2, 3\), \(3,\) do not fit"),
        ((X, np.ones((2, 3, 4)), None), "do not fit"),
        ((np.float64(1), W, None), "do not fit"),
        ((X.astype(int), W.T.astype(int), None), "do not fit"),
        ((X.astype(int), W.astype(int), np.ones(3, int)), "do not fit"),
    ],
)
def test_shapes_that_do_not_fit(operands: tuple[Any, ...], said: str) -> None:
    out = np.full((2, 4), 7.0)
    with pytest.raises(ValueError, match=said):
        tensorops.linear(*operands, out=out)
    assert np.all(out == 7)


@pytest.mark.parametrize(
    "operands",
    [(X, X, W), (np.ones((3, 4)), X, W), (np.ones((2, 4)), X, B), (np.ones(()), X, W), (W, X.astype(int), W)],
)
def test_gradients_whose_shapes_do_not_fit(operands: tuple[Array, ...]) -> None:
    with pytest.raises(ValueError, match=r"linear_backward: shapes .* do not fit"):
        tensorops.linear_backward(*operands)
    with pytest.raises(ValueError, match="linear_backward"):
        BACKWARD.sizes([operand.shape for operand in operands])


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_wrong_arguments_write_nothing(dtype: str) -> None:
    x, weight = X.astype(dtype), W.astype(dtype)
    read_only = np.full((2, 4), 7, dtype)
    read_only.flags.writeable = False
    for error, keywords, said in (
        (
            ValueError,
            {"activation": "swish", "out": np.full((2, 4), 7.0)},
            "None or one of relu, gelu, gelu_tanh",
        ),
        (ValueError, {"activation": ["relu"], "out": np.full((2, 4), 7.0)}, "not .'relu'."),
        (
            ValueError,
            {"out": np.full((4, 2), 7.0)},
            r"out has shape \(4, 2\), but the operands give \(2, 4\)",
        ),
        (ValueError, {"out": np.full((2, 4, 1), 7.0)}, "out has shape"),
        (ValueError, {"out": read_only}, "out is read-only"),
        (TypeError, {"out": np.full((2, 4), 7, np.uint8)}, "[Cc]annot cast"),
        (TypeError, {"out": [[7.0] * 4] * 2}, "out must be an array, not list"),
    ):
        with pytest.raises(error, match=said):
            tensorops.linear(x, weight, **keywords)
        assert np.all(np.asarray(keywords["out"]) == 7)


def test_each_call_is_told_once() -> None:
    heard: list[tuple[str, int]] = []
    calls.set_listener(lambda op, operands, result: heard.append((op, len(operands))))
    try:
        tensorops.linear(X, W, B, activation="relu")
        tensorops.linear(X, W)
        tensorops.linear_backward(np.ones((2, 4)), X, W)
    finally:
        calls.set_listener(None)
    assert heard == [("linear", 3), ("linear", 2), ("linear_backward", 3)]


@pytest.mark.parametrize("path", ["blocked/small", "blocked/packed", "numpy"])
def test_every_path_computes_layers(path: str, rng: np.random.Generator) -> None:
    from tensorops.dispatch import selection

    x, weight, bias = (rng.standard_normal(size) for size in ((3, 5, 40), (40, 20), (20,)))
    with selection.force_path(path):
        for activation in (None, *ACTIVATIONS):
            result = tensorops.linear(x, weight, bias, activation=activation)
            assert within(
                result,
                LINEAR.reference(x, weight, bias, activation=activation),
                LINEAR.error_bound(x, weight, bias, activation=activation),
            )
        grad = rng.standard_normal((3, 5, 20))
        for with_bias in (True, False):
            found = tensorops.linear_backward(grad, x, weight, bias=with_bias)
            expected = BACKWARD.reference(grad, x, weight, bias=with_bias)
            bounds = BACKWARD.error_bound(grad, x, weight, bias=with_bias)
            for part, wanted, bound in zip(found, expected, bounds, strict=True):
                assert part is None if wanted is None else within(part, wanted, bound)
        assert tensorops.linear(x[0, 0], weight, bias, activation="tanh").shape == (20,)


def test_explain_tells_of_layers() -> None:
    for name in (None, "gelu"):
        choice = tensorops.explain("linear", (64, 784), (784, 128), (128,), activation=name).choice
        assert choice.path == "blocked/packed"
    with pytest.raises(ValueError, match="linear: shapes"):
        tensorops.explain("linear", (64, 784), (783, 128))


def test_the_counts_of_a_layer() -> None:
    shapes = ((2, 5, 3), (3, 4), (4,))
    assert LINEAR.out_shape(shapes) == (2, 5, 4)
    assert LINEAR.flops(shapes) == 2 * 10 * 3 * 4 + 10 * 4
    assert LINEAR.flops(shapes[:2], {"activation": "relu"}) == 2 * 10 * 3 * 4 + 10 * 4
    assert LINEAR.bytes(shapes, 4) == 4 * (30 + 12 + 4 + 40)
    assert LINEAR.sizes(shapes) == (10, 3, 4, 1)
    gradients = ((2, 5, 4), (2, 5, 3), (3, 4))
    assert BACKWARD.flops(gradients) == 4 * 10 * 3 * 4 + 40
    assert BACKWARD.out_shape(gradients) == ((2, 5, 3), (3, 4), (4,))
    assert BACKWARD.bytes(gradients, 8) == 8 * (40 + 30 + 12 + 30 + 12 + 4)
