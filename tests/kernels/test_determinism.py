"""Same inputs give the same bits; and how many threads compute changes none of them.

Threads divide the rows and columns of the result and never the depth of a product, so every element
is summed by one thread, in an order that depends on shapes, strides and block sizes alone.
"""

from __future__ import annotations

import numpy as np
import pytest

from tensorops.kernels.gemm.batched import matmul_into
from tests.kernels.operands import DTYPES, PACKING, arrange, small_blocks

DIMS = [
    (97, 101, 99),
    (300, 40, 80),
    (40, 300, 80),
    (8, 200, 700),
    (700, 200, 8),
    (1700, 400, 1),
    (900, 1, 900),
    (1701, 170, 3),
    (5, 170, 1701),
]

pytestmark = [pytest.mark.parametrize("dtype", DTYPES), pytest.mark.parametrize("pack", PACKING)]


@pytest.mark.parametrize("dims", DIMS, ids=str)
@pytest.mark.parametrize("layouts", [("C", "C"), ("F", "F"), ("strided", "columns reversed")], ids=str)
def test_bits_depend_neither_on_the_run_nor_on_the_threads(
    dtype: str, pack: str, dims: tuple[int, int, int], layouts: tuple[str, str], rng: np.random.Generator
) -> None:
    m, k, n = dims
    a = arrange(rng.standard_normal((m, k)).astype(dtype), layouts[0])
    b = arrange(rng.standard_normal((k, n)).astype(dtype), layouts[1])
    first = np.empty((m, n), dtype)
    matmul_into(a, b, first, pack, 1)
    for threads in (1, 2, 2, 3):
        again = np.full((m, n), np.nan, dtype)
        matmul_into(a, b, again, pack, threads)
        assert again.tobytes() == first.tobytes()


def test_bits_of_a_stack(dtype: str, pack: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((40, 31, 33)).astype(dtype), rng.standard_normal((40, 33, 35)).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        out = np.empty((40, 31, 35), dtype)
        matmul_into(a, b, out, pack, threads)
        results.append(out.tobytes())
    for number in range(40):
        matmul_into(a[number], b[number], out[number], pack, 1)
    assert {*results} == {out.tobytes()}


def test_real_numbers_do_show_another_order_of_summation(
    dtype: str, pack: str, rng: np.random.Generator
) -> None:
    # Else the tests above could not fail.
    a, b = rng.standard_normal((60, 200)).astype(dtype), rng.standard_normal((200, 60)).astype(dtype)
    results = set()
    for kc in (200, 16):
        out = np.empty((60, 60), dtype)
        with small_blocks(dtype, kc):
            matmul_into(a, b, out, pack, 1)
        results.add(out.tobytes())
    assert len(results) == 2
