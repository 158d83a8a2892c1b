"""Products of every kind that the loops tell apart, at the edges of the tile and of the blocks.

``python -m tests.kernels.matrix`` runs them in a process of its own and prints a JSON line: which
kernels computed, and what was wrong. That is how each instruction set of a machine is tested.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import numpy as np

from tensorops.kernels.gemm import family
from tests.kernels.operands import (
    DTYPES,
    PACKING,
    edge_sizes,
    rotation,
    selected_row,
    small_blocks,
    whole_numbers,
)
from tests.kernels.oracles import failure, gemm

SEED = 20260802
Dims = tuple[int, int, int]


def edges(dtype: str, kc: int) -> Iterator[Dims]:
    """Yield (M, K, N) with every combination of edge sizes."""
    return itertools.product(edge_sizes(selected_row(dtype), kc), repeat=3)


def thin(dtype: str) -> Iterator[Dims]:
    """Yield products with few rows, or of little depth, and their mirror images."""
    lanes = selected_row(dtype).vector_bytes // np.dtype(dtype).itemsize
    wide = (64, 64 + lanes - 1, 64 + 2 * lanes, 512 + lanes + 1)
    for m, k, n in itertools.product((2, 3, 4, 7, 8, 9), (1, 7, 8, 9, 17), wide):
        yield m, k, n
        yield n, k, m
    # With more than a MiB of B, a few more rows are taken along.
    yield 9, 270, 1030
    yield 16, 270, 1030
    yield 1030, 270, 13
    # Deeper than what is added up at once, and wider than what is at once added up.
    yield 3, 1031, 70
    yield 70, 1537, 9
    yield 5, 513, 4100


def vectors(dtype: str) -> Iterator[Dims]:
    """Yield matrix-vector, vector-matrix, dot and outer products."""
    lanes = selected_row(dtype).vector_bytes // np.dtype(dtype).itemsize
    long = (1, lanes - 1, lanes, 2 * lanes - 1, 2 * lanes, 2 * lanes + 1, 5 * lanes + 3, 130)
    for size, k in itertools.product((1, 2, 3, 4, 5, 17), long):
        yield size, k, 1
        yield 1, k, size
    for m, n in itertools.product((1, 5, 70), repeat=2):
        yield m, 1, n
    # Too long to be gathered when it is strided.
    yield 3, 16_500, 1


def dots(dtype: str) -> Iterator[Dims]:
    """Yield products of few rows and few columns and a long depth, and their mirror images."""
    lanes = selected_row(dtype).vector_bytes // np.dtype(dtype).itemsize
    for m, n in itertools.product((1, 2, 3, 4, 7, 17), (1, 2, 3, 5, 16)):
        for k in (8 * lanes - 1, 8 * lanes, 9 * lanes + 1):
            yield m, k, n
            yield n, k, m
    # Deeper than the columns that are gathered at once.
    yield 3, 4099, 2
    yield 6, 8193, 4


def tall(dtype: str) -> Iterator[Dims]:
    """Yield long products of few columns and little depth, and their mirror images."""
    row = selected_row(dtype)
    for k, n in itertools.product((1, 2, 3, 4, 7, 9), (1, 2, 3, 4, 6, 8, 9)):
        yield 2 * row.nr + 5, k, n
        yield n, k, 7 * row.mr + 3


def large_enough_for_threads(dtype: str) -> Iterator[Dims]:
    """Yield products that three threads share, by rows, by columns or by both."""
    row = selected_row(dtype)
    m, n = 8 * row.mr, 7 * row.nr
    for extra_m, extra_n in itertools.product((-1, 0, 1), repeat=2):
        yield m + extra_m, -(-(900_000) // (m * n)), n + extra_n
    yield 8, 170, 650
    yield 650, 170, 8
    yield 1700, 520, 1
    yield 1, 520, 1700
    yield 1700, 170, 4
    yield 4, 170, 1700
    yield 950, 1, 950


def failures(dtype: str, dims: Iterator[Dims], pack: str, threads: int) -> list[str]:
    """Run every product, in layouts that change from one to the next; return what is wrong."""
    rng = np.random.default_rng(SEED)
    kernel = gemm(pack, threads)
    found = []
    for (m, k, n), layouts in zip(dims, rotation(), strict=False):
        a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
        found.append(failure(kernel, a, b, layouts))
    assert found
    return [what for what in found if what is not None]


def main() -> None:
    """Run a part of the matrix and print what came of it."""
    found = []
    for dtype, pack in itertools.product(DTYPES, PACKING):
        with small_blocks(dtype) as kc:
            found += failures(dtype, edges(dtype, kc), pack, 1)
    for dtype in DTYPES:
        found += failures(dtype, thin(dtype), "auto", 1)
        found += failures(dtype, vectors(dtype), "auto", 1)
        found += failures(dtype, dots(dtype), "auto", 1)
        found += failures(dtype, tall(dtype), "auto", 1)
        found += failures(dtype, large_enough_for_threads(dtype), "auto", 3)
    names = {dtype: family.kernel_name(dtype) for dtype in DTYPES}
    print(json.dumps({"kernels": names, "failures": found[:5]}))


if __name__ == "__main__":
    main()
