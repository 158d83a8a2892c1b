"""Attention and its gradients against the definition, and what they refuse."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tensorops
from tensorops.kernels.attention import family as columns
from tensorops.kernels.gemm import family
from tensorops.operations import OPERATIONS
from tensorops.runtime import cpu, workspace

Array = NDArray[Any]
DTYPES = ("float32", "float64")
SPEC = OPERATIONS["attention"]
MR, NR = family.tile_shape("float32")


def operands_of(shapes: Any, dtype: str, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def shapes_of(heads: Any, queries: int, keys: int, depth: int, width: int) -> Any:
    return (*heads, queries, depth), (*heads, keys, depth), (*heads, keys, width)


def check(operands: list[Array], result: Array, **params: Any) -> None:
    expected, bound = SPEC.reference(*operands, **params), SPEC.error_bound(*operands, **params)
    assert result.dtype == operands[0].dtype
    assert result.shape == expected.shape == SPEC.out_shape([x.shape for x in operands], params)
    assert np.all(np.abs(result - expected) <= bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("params", SPEC.example_params, ids=str)
def test_every_example(params: Mapping[str, Any], dtype: str) -> None:
    operands = operands_of(SPEC.example_shapes[0], dtype)
    check(operands, tensorops.attention(*operands, **params), **params)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_selected_instruction_set_computes(dtype: str) -> None:
    assert columns.kernel_name(dtype) == f"columns_{cpu.selected_isa()}_{dtype}"
    with pytest.raises(TypeError, match="int8"):
        columns.kernel_name("int8")


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("queries", [1, NR - 1, NR + 1, 3 * NR])
@pytest.mark.parametrize("keys", [1, MR, 111, 113, 260])
def test_edges_of_blocks(keys: int, queries: int, dtype: str, causal: bool) -> None:
    operands = operands_of(shapes_of((2,), queries, keys, 5, MR + 1), dtype)
    check(operands, tensorops.attention(*operands, causal=causal), causal=causal)


def test_any_sizes_and_layouts(rng: np.random.Generator) -> None:
    for number in range(60):
        queries, keys, depth, width = (int(rng.integers(1, high)) for high in (90, 150, 40, 40))
        heads = [(), (3,), (2, 2)][number % 3]
        dtype = DTYPES[number % 2]
        operands = operands_of(shapes_of(heads, queries, keys, depth, width), dtype, number)
        given = operands
        out = np.full((*heads, queries, width), np.nan, dtype)
        if number % 4:
            q, k, v = operands
            given = [np.ascontiguousarray(q.swapaxes(-1, -2)).swapaxes(-1, -2), k[..., ::-1], v]
            given[1] = np.ascontiguousarray(given[1])[..., ::-1]
            given[2] = np.repeat(v, 2, axis=-1)[..., ::2]
            out = np.full((*heads, width, queries), np.nan, dtype).swapaxes(-1, -2)
        causal = bool(number % 5 % 2)
        assert tensorops.attention(*given, causal=causal, scale=0.4, out=out) is out
        check(operands, out, causal=causal, scale=0.4)


@pytest.mark.parametrize(("depth", "width"), [(1500, 3), (2, 1500)])
@pytest.mark.parametrize("causal", [False, True])
def test_long_vectors_are_cut(depth: int, width: int, causal: bool) -> None:
    operands = operands_of(shapes_of((2,), 40, 130, depth, width), "float32")
    check(operands, tensorops.attention(*operands, causal=causal), causal=causal)


def test_leading_dimensions_broadcast() -> None:
    q, k, v = operands_of(((2, 1, 5, 4), (3, 6, 4), (6, 4)), "float64")
    result = tensorops.attention(q, k, v)
    assert result.shape == (2, 3, 5, 4)
    full = [np.broadcast_to(x, (2, 3, *x.shape[-2:])) for x in (q, k, v)]
    check(full, result)


def test_no_elements() -> None:
    for queries, keys, depth, width in ((0, 3, 2, 2), (3, 0, 2, 2), (3, 4, 0, 2), (3, 4, 2, 0)):
        for heads in ((), (0,), (2,)):
            operands = operands_of(shapes_of(heads, queries, keys, depth, width), "float32")
            check(operands, tensorops.attention(*operands, causal=True), causal=True)


@pytest.mark.parametrize("causal", [False, True])
def test_threads_change_nothing(causal: bool) -> None:
    before = tensorops.get_num_threads()
    for shapes in (shapes_of((5,), 100, 100, 32, 32), shapes_of((1,), 400, 300, 32, 32)):
        operands = operands_of(shapes, "float32")
        try:
            results = []
            for threads in (1, 2, 3, 3):
                tensorops.set_num_threads(threads)
                results.append(tensorops.attention(*operands, causal=causal))
        finally:
            tensorops.set_num_threads(before)
        for result in results:
            check(operands, result, causal=causal)
        assert np.array_equal(results[2], results[3])


def test_large_scores_do_not_overflow() -> None:
    q, k, v = operands_of(shapes_of((), 40, 200, 8, 4), "float32")
    result = tensorops.attention(100 * q, 100 * k, v)
    winners = np.argmax(q @ k.T, axis=-1)
    assert np.all(np.isfinite(result))
    assert np.mean(np.abs(result - v[winners]) < 1e-3) > 0.9
    assert np.all(np.isfinite(tensorops.attention(q, k, v, scale=-1e4)))
    check([q, k, v], tensorops.attention(q, k, v, scale=0), scale=0)


@pytest.mark.parametrize("place", [3, 150])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_what_is_no_number_reaches_the_queries_that_see_it(place: int) -> None:
    q, k, v = operands_of(shapes_of((), 6, 200, 8, 4), "float64")
    k[place, 2] = np.nan
    assert np.all(np.isnan(tensorops.attention(q, k, v)))
    k[place, 2] = np.inf
    result = tensorops.attention(q, k, v)
    assert np.array_equal(np.isnan(result), np.isnan(SPEC.reference(q, k, v)))
    q[1, 2] = np.nan
    assert np.all(np.isnan(tensorops.attention(q, k, v)[1]))
    rows = np.isnan(tensorops.attention(q, k, v, causal=True)).any(axis=-1)
    assert np.array_equal(rows, np.isnan(SPEC.reference(q, k, v, causal=True)).any(axis=-1))


def test_scores_of_minus_infinity_weigh_nothing() -> None:
    q, k, v = np.ones((3, 1)), np.ones((200, 1)), np.arange(200.0)[:, np.newaxis]
    k[:150] = -np.inf
    assert np.allclose(tensorops.attention(q, k, v), np.mean(v[150:]))
    assert np.all(np.isnan(tensorops.attention(q, k[:150], v[:150])))


def test_other_dtypes_and_subclasses_go_to_numpy() -> None:
    q, k, v = (x.astype("float16") for x in operands_of(shapes_of((), 3, 4, 5, 2), "float64"))
    assert tensorops.attention(q, k, v).dtype == np.float16
    assert tensorops.attention(q.astype("float32"), k.astype("float64"), v).dtype == np.float64
    numbers = np.arange(6).reshape(2, 3)
    expected = SPEC.reference(numbers, numbers, numbers)
    assert np.allclose(tensorops.attention(numbers, numbers, numbers), expected)
    assert np.allclose(tensorops.attention(numbers.tolist(), numbers.tolist(), numbers * 1.0), expected)
    wide = np.zeros((2, 3))
    single = numbers.astype("float32")
    assert tensorops.attention(single, single, single, out=wide) is wide
    assert np.allclose(wide, expected, rtol=1e-5)


BAD: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "one dimension": (ValueError, r"must be \(\.\.\., L, D\)", {"q": np.ones(4)}),
    "depth": (ValueError, "of one length", {"k": np.ones((5, 3))}),
    "values": (ValueError, "as many values as keys", {"v": np.ones((4, 2))}),
    "heads": (ValueError, "do not broadcast", {"q": np.ones((2, 3, 4)), "k": np.ones((3, 5, 4))}),
    "scale": (TypeError, "scale must be a number, not str", {"scale": "half"}),
    "out's shape": (ValueError, r"out has the shape \(2, 2\)", {"out": np.zeros((2, 2))}),
    "out's dtype": (TypeError, "cannot take", {"out": np.zeros((3, 2), int)}),
    "no array": (TypeError, "must be an array", {"out": [1.0]}),
}


@pytest.mark.parametrize(("error", "message", "wrong"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_and_nothing_is_written(
    error: type[Exception], message: str, wrong: dict[str, Any]
) -> None:
    out = np.full((3, 2), 7.0)
    call = {"q": np.ones((3, 4)), "k": np.ones((5, 4)), "v": np.ones((5, 2)), "out": out}
    with pytest.raises(error, match=message):
        tensorops.attention(**{**call, **wrong})
    assert np.all(out == 7)


def test_an_out_that_cannot_be_written_is_refused() -> None:
    x = np.ones((4, 4))
    with pytest.raises(ValueError, match="overlaps"):
        tensorops.attention(x, x, x, out=x)
    fixed = np.zeros((4, 4))
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        tensorops.attention(x, x, x, out=fixed)
    assert np.all(x == 1)


@pytest.mark.parametrize("backend", ["numpy", "blocked", "torch"])
@pytest.mark.parametrize("params", [{"causal": True}, {"scale": 0.7}], ids=str)
def test_backends_agree(backend: str, params: dict[str, Any]) -> None:
    if tensorops.backends()[backend] is not None:
        pytest.skip(str(tensorops.backends()[backend]))
    operands = operands_of(shapes_of((2, 3), 9, 12, 8, 8), "float64")
    with tensorops.use_backend(backend):
        check(operands, tensorops.attention(*operands, **params), **params)


def test_work_memory_is_bounded() -> None:
    grown: list[int] = []

    def body() -> None:
        before = workspace.statistics()["live"]
        for shapes in (shapes_of((), 2000, 2000, 2, 2), shapes_of((), 40, 40, 9000, 9000)):
            tensorops.attention(*operands_of(shapes, "float64"))
        grown.append(workspace.statistics()["live"] - before)

    # A thread of its own has no buffer yet.
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert 0 < grown[0] <= tensorops.get_num_threads() * (8 << 20)
