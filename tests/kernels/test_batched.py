"""Stacks of products: folded or one by one, alone or shared among threads; and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tensorops.kernels.gemm.batched import matmul_into
from tests.kernels.operands import DTYPES, GUARD, PACKING, THREADS, Array, whole_numbers
from tests.kernels.oracles import wrong_numbers

SHAPES = [
    ((3,), (4, 5, 6)),
    ((1,), (4, 5, 6)),
    ((2, 3), (1, 7, 1)),
    ((2, 3), (7, 1, 7)),
    ((2, 1, 3), (5, 4, 33)),
    ((40,), (8, 8, 8)),
    ((5,), (1, 30, 80)),
    ((5,), (80, 30, 1)),
    ((2, 2, 2, 2), (2, 2, 2)),
    ((3, 5), (3, 0, 4)),
]


def axes_moved(x: Array) -> Array:
    """Return the same stack with its first axis the fastest in memory."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(-1 % x.ndim, *range(x.ndim - 1))


STACKS = {
    "C": np.ascontiguousarray,
    "matrices F": lambda x: np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2),
    "F": np.asfortranarray,
    "batch fastest": axes_moved,
    "batch reversed": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "all reversed": lambda x: np.ascontiguousarray(np.flip(x))[(slice(None, None, -1),) * x.ndim],
    "gaps": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=-1)[::2, ..., ::2],
}
REPEATS = {
    "first": lambda x: np.broadcast_to(x[:1], x.shape),
    "last batch axis": lambda x: np.broadcast_to(x[..., :1, :, :], x.shape),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize(("batch", "dims"), SHAPES, ids=str)
def test_stacks(
    dtype: str, pack: str, batch: tuple[int, ...], dims: tuple[int, int, int], rng: np.random.Generator
) -> None:
    m, k, n = dims
    a, b = whole_numbers(rng, (*batch, m, k), dtype), whole_numbers(rng, (*batch, k, n), dtype)
    operands = {**STACKS, **REPEATS}
    for left, right, result in zip(
        itertools.cycle(operands),
        itertools.chain(*itertools.repeat(operands, 8)),
        itertools.cycle(STACKS),
        strict=False,
    ):
        x, y = operands[left](a), operands[right](b)
        out = STACKS[result](np.full((*batch, m, n), np.nan, dtype))
        matmul_into(x, y, out, pack, 1)
        assert wrong_numbers(out, x, y) is None, (left, right, result)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(
    ("batch", "dims"),
    [
        ((7,), (64, 32, 64)),
        ((2, 300), (12, 17, 13)),
        ((2,), (130, 70, 150)),
        ((700,), (1, 40, 30)),
        ((5, 2), (1, 300, 300)),
        ((3,), (300, 300, 1)),
    ],
    ids=str,
)
def test_stacks_that_threads_share(
    dtype: str, threads: int, batch: tuple[int, ...], dims: tuple[int, int, int], rng: np.random.Generator
) -> None:
    m, k, n = dims
    a, b = whole_numbers(rng, (*batch, m, k), dtype), whole_numbers(rng, (*batch, k, n), dtype)
    for pack in PACKING:
        for x, y in [
            (a, b),
            (a, STACKS["matrices F"](b)),
            (STACKS["batch reversed"](a), REPEATS["first"](b)),
        ]:
            out = np.full((*batch, m, n), np.nan, dtype)
            matmul_into(x, y, out, pack, threads)
            assert wrong_numbers(out, x, y) is None, pack


@pytest.mark.parametrize("batch", [(0,), (3, 0), (0, 4)], ids=str)
def test_no_products(batch: tuple[int, ...]) -> None:
    matmul_into(np.ones((*batch, 2, 3)), np.ones((*batch, 3, 4)), np.empty((*batch, 2, 4)))


def test_as_many_dimensions_as_numpy_has(rng: np.random.Generator) -> None:
    batch = (1,) * 30 + (2,) + (1,) * 30 + (3,)
    a, b = whole_numbers(rng, (*batch, 2, 3), "float32"), whole_numbers(rng, (*batch, 3, 2), "float32")
    out = np.full((*batch, 2, 2), np.nan, np.float32)
    matmul_into(a, b, out)
    assert wrong_numbers(out.reshape(2, 3, 2, 2), a.reshape(2, 3, 2, 3), b.reshape(2, 3, 3, 2)) is None


def test_a_stack_writes_only_its_own_elements(rng: np.random.Generator) -> None:
    a, b = whole_numbers(rng, (3, 5, 4), "float32"), whole_numbers(rng, (3, 4, 7), "float32")
    block = np.full((7, 7, 9), GUARD, np.float32)
    inside = np.zeros(block.shape, bool)
    inside[1::2, 1:6, 1:8] = True
    out = block[1::2, 1:6, 1:8]
    matmul_into(a, b, out, "always", 2)
    assert wrong_numbers(out, a, b) is None
    assert (block[~inside] == GUARD).all()


GOOD: dict[str, Any] = {"a": np.ones((2, 3)), "b": np.ones((3, 4)), "pack": "auto"}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"pack": "sometimes"}, ValueError, "pack must be one of auto, never, always, not 'sometimes'"),
        ({"a": np.ones((2, 3), np.float32)}, TypeError, "one dtype, float32 or float64"),
        ({"a": np.ones((2, 3), int)}, TypeError, "one dtype, float32 or float64"),
        ({"a": np.ones((2, 3), ">f8")}, TypeError, "one dtype, float32 or float64"),
        ({"a": np.ones(3)}, ValueError, "two or more dimensions"),
        ({"a": np.ones((1, 2, 3))}, ValueError, "same two or more dimensions"),
        ({"a": np.ones((2, 4))}, ValueError, r"shapes .*\(2, 4\), \(3, 4\) and \(2, 4\)"),
        ({"b": np.ones((3, 5))}, ValueError, r"shapes .*\(2, 3\), \(3, 5\) and \(2, 4\)"),
        ({"a": np.ones((3, 3))}, ValueError, r"shapes .*\(3, 3\), \(3, 4\) and \(2, 4\)"),
        ({"a": [[1.0]]}, TypeError, "ndarray"),
        ({"a": None}, TypeError, "ndarray"),
    ],
)
def test_what_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    call = {**GOOD, **change}
    out = np.full((2, 4), np.nan)
    with pytest.raises(error, match=message):
        matmul_into(call["a"], call["b"], out, call["pack"])
    assert np.isnan(out).all()


def test_a_result_that_cannot_be_written() -> None:
    out = np.zeros((2, 4))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        matmul_into(GOOD["a"], GOOD["b"], out)
    unaligned = np.zeros(2 * 4 * 8 + 1, np.int8)[1:].view(float).reshape(2, 4)
    with pytest.raises(ValueError, match="must be aligned"):
        matmul_into(GOOD["a"], GOOD["b"], unaligned)
    with pytest.raises(TypeError, match="ndarray"):
        matmul_into(GOOD["a"], GOOD["b"], None)
