"""Work memory is bounded by the blocks: a larger product takes no more of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tensorops.kernels.gemm import family
from tensorops.kernels.gemm.batched import matmul_into
from tensorops.runtime import workspace
from tests.kernels.operands import DTYPES, THREADS

Dims = tuple[int, int, int]


def bytes_for(dtype: str, dims: Dims, threads: int) -> int:
    """Return the work memory of a thread that has computed one product."""

    def compute() -> int:
        m, k, n = dims
        a, b, out = np.ones((m, k), dtype), np.ones((k, n), dtype), np.empty((m, n), dtype)
        # Bytes allocated so far, not those in use: another thread's buffer may be freed meanwhile.
        before = workspace.statistics()["bytes"]
        matmul_into(a, b, out, "auto", threads)
        return workspace.statistics()["bytes"] - before

    # A new thread has no buffer yet.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(compute).result()


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_products_take_the_same(dtype: str, threads: int) -> None:
    largest = bytes_for(dtype, (4096, 600, 4096), threads)
    for dims in [(1024, 1024, 1024), (1000, 1000, 1000), (2048, 1024, 1536)]:
        assert bytes_for(dtype, dims, threads) == largest


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_is_bounded_by_the_blocks(dtype: str, threads: int) -> None:
    mc, kc, nc = family.block_sizes_in_use(dtype)
    blocks = (nc + threads * mc) * kc * np.dtype(dtype).itemsize
    # Rounded up to huge pages.
    assert bytes_for(dtype, (2048, 1024, 2048), threads) <= blocks + (2 << 20)


@pytest.mark.parametrize("dtype", DTYPES)
def test_streamed_products_take_no_more_for_more_columns(dtype: str) -> None:
    assert bytes_for(dtype, (8, 600, 9000), 1) == bytes_for(dtype, (8, 600, 5000), 1) > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_products_take_little(dtype: str) -> None:
    assert bytes_for(dtype, (64, 64, 64), 1) <= 64 << 10
