"""The packed kernels against exact products: tiles, edges, layouts, packing, threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tensorops.kernels.gemm import family
from tensorops.kernels.gemm.batched import matmul_into
from tests.kernels import matrix
from tests.kernels.operands import (
    DTYPES,
    LAYOUTS,
    OPERAND_LAYOUTS,
    PACKING,
    THREADS,
    selected_row,
    small_blocks,
    whole_numbers,
)
from tests.kernels.oracles import exact_product, failure, gemm, too_far, wrong_numbers

pytestmark = pytest.mark.parametrize("dtype", DTYPES)


@pytest.mark.parametrize("pack", PACKING)
def test_edges_of_tiles_and_blocks(dtype: str, pack: str) -> None:
    with small_blocks(dtype) as kc:
        assert matrix.failures(dtype, matrix.edges(dtype, kc), pack, 1) == []


@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize(
    "kind", [matrix.thin, matrix.vectors, matrix.dots, matrix.tall], ids=lambda kind: kind.__name__
)
def test_products_bound_by_memory(
    dtype: str, kind: Callable[[str], Iterator[matrix.Dims]], pack: str
) -> None:
    assert matrix.failures(dtype, kind(dtype), pack, 1) == []


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("pack", PACKING)
def test_products_that_threads_share(dtype: str, pack: str, threads: int) -> None:
    assert matrix.failures(dtype, matrix.large_enough_for_threads(dtype), pack, threads) == []


@pytest.mark.parametrize("threads", (2, 3))
def test_small_blocks_among_threads(dtype: str, threads: int) -> None:
    with small_blocks(dtype, kc=40):
        assert matrix.failures(dtype, matrix.large_enough_for_threads(dtype), "always", threads) == []


@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize("dims", [(7, 9, 19), (19, 9, 7), (4, 16, 16), (5, 3, 70), (70, 3, 1)], ids=str)
def test_every_triple_of_layouts(dtype: str, dims: matrix.Dims, pack: str, rng: np.random.Generator) -> None:
    m, k, n = dims
    a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
    kernel = gemm(pack, 1)
    with small_blocks(dtype):
        triples = itertools.product(OPERAND_LAYOUTS, OPERAND_LAYOUTS, LAYOUTS)
        found = [failure(kernel, a, b, layouts) for layouts in triples]
    assert [what for what in found if what is not None] == []


def test_blocks_as_large_as_the_caches_ask_for(dtype: str, rng: np.random.Generator) -> None:
    mc, kc, nc = family.block_sizes_in_use(dtype)
    for dims in [(mc + 1, kc + 1, 33), (7, kc + 1, nc + 1), (mc + 1, 65, nc + 1)]:
        a, b = whole_numbers(rng, dims[:2], dtype), whole_numbers(rng, dims[1:], dtype)
        for pack in PACKING:
            assert failure(gemm(pack, 2), a, b, ("C", "F", "C with gaps")) is None


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (20, 33), (1, 70), (70, 1)], ids=str)
def test_no_depth_gives_zeros(dtype: str, shape: tuple[int, int], layout: str) -> None:
    a, b = np.empty((shape[0], 0), dtype), np.empty((0, shape[1]), dtype)
    for pack, threads in itertools.product(PACKING, THREADS):
        assert failure(gemm(pack, threads), a, b, ("C", "C", layout)) is None


@pytest.mark.parametrize("shape", [(0, 4, 3), (3, 4, 0), (0, 0, 0), (0, 4, 0), (2, 0, 0)], ids=str)
def test_no_elements(dtype: str, shape: matrix.Dims) -> None:
    m, k, n = shape
    out = np.full((m, n), np.nan, dtype)
    matmul_into(np.ones((m, k), dtype), np.ones((k, n), dtype), out)
    assert out.shape == (m, n)
    assert not np.isnan(out).any()


@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize("k", [1, 2, 17, 64, 300, 1500])
@pytest.mark.parametrize("scale", [False, True], ids=["normal", "wide range"])
def test_error_of_real_numbers(dtype: str, k: int, scale: bool, pack: str, rng: np.random.Generator) -> None:
    for m, n in [(1, 1), (13, 37), (3, 80), (40, 1)]:
        a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
        if scale:
            a *= 10.0 ** rng.integers(-6, 7, size=k)
            b *= 10.0 ** rng.integers(-6, 7, size=(k, 1))
        a, b = a.astype(dtype), b.astype(dtype)
        out = np.full((m, n), np.nan, dtype)
        matmul_into(a, b, out, pack, 1)
        # The reference sums in float64: as a judge of float64 it may itself be off, by less than this bound.
        assert too_far(out, a, b) is None


@pytest.mark.parametrize("dims", [(5, 40, 7), (13, 33, 17), (1, 90, 3), (2, 30, 66)], ids=str)
@pytest.mark.parametrize("pack", PACKING)
def test_error_against_rational_arithmetic(
    dtype: str, dims: matrix.Dims, pack: str, rng: np.random.Generator
) -> None:
    m, k, n = dims
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    out = np.full((m, n), np.nan, dtype)
    with small_blocks(dtype):
        matmul_into(a, b, out, pack, 1)
    assert too_far(out, a, b, exact_product(a, b)) is None


@pytest.mark.parametrize("k", [64, 700, 3000])
def test_error_is_at_most_twice_numpy_s(dtype: str, k: int, rng: np.random.Generator) -> None:
    for m, n in [(32, 48), (4, 96), (96, 1)]:
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        wide = np.longdouble if dtype == "float64" else np.float64
        expected = a.astype(wide) @ b.astype(wide)
        out = np.empty((m, n), dtype)
        matmul_into(a, b, out, "auto", 1)
        # Root mean squares: the largest of a few elements' errors is a matter of luck.
        ours, numpy_s = (np.sqrt(np.mean((x - expected) ** 2)) for x in (out, np.matmul(a, b)))
        assert ours <= 2 * numpy_s, f"{(m, k, n)}: {ours:.2e} against {numpy_s:.2e}"


def test_integers_too_large_for_half_their_bits_are_exact(dtype: str, rng: np.random.Generator) -> None:
    # Beyond 2^8, and up to the last integer that the dtype can hold.
    top = 2 ** (np.finfo(dtype).nmant // 2 - 2)
    a = rng.integers(-top, top, size=(31, 15)).astype(dtype)
    b = rng.integers(-top, top, size=(15, 66)).astype(dtype)
    for pack in PACKING:
        out = np.empty((31, 66), dtype)
        matmul_into(a, b, out, pack, 1)
        assert wrong_numbers(out, a, b) is None


def test_what_was_in_the_work_memory_does_not_leak(dtype: str, rng: np.random.Generator) -> None:
    # Leaves NaN in every packed panel; the next, ragged product must not find any.
    mr, nr = family.tile_shape(dtype)
    poison = np.full((4 * mr, 64), np.nan, dtype)
    matmul_into(poison, np.full((64, 4 * nr), np.nan, dtype), np.empty((4 * mr, 4 * nr), dtype), "always", 1)
    a, b = whole_numbers(rng, (mr + 1, 5), dtype), whole_numbers(rng, (5, nr + 1), dtype)
    for pack in PACKING:
        assert failure(gemm(pack, 1), a, b, ("C", "C", "C")) is None


def test_the_tile_is_that_of_the_build_table(dtype: str) -> None:
    row = selected_row(dtype)
    assert family.tile_shape(dtype) == (row.mr, row.nr)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("layout", ["C", "F", "every other"])
@pytest.mark.parametrize(
    "dims",
    [
        (2, 3, 4),
        (6, 9, 16),
        (7, 9, 19),
        (40, 30, 50),
        (5, 20, 70),
        (70, 3, 1),
        (1, 3, 70),
        (9, 1, 70),
        (4, 0, 5),
    ],
    ids=str,
)
def test_a_product_can_be_added_to_what_is_there(
    dtype: str, dims: matrix.Dims, layout: str, threads: int, rng: np.random.Generator
) -> None:
    m, k, n = dims
    a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
    before = whole_numbers(rng, (m, n), dtype)
    for pack in PACKING:
        out = {
            "C": lambda: before.copy(),
            "F": lambda: before.copy(order="F"),
            "every other": lambda: np.repeat(np.repeat(before, 2, axis=0), 3, axis=1)[::2, ::3],
        }[layout]()
        with small_blocks(dtype):
            matmul_into(a, b, out, pack, threads, accumulate=True)
        assert np.array_equal(out, before + a.astype(int) @ b.astype(int))
