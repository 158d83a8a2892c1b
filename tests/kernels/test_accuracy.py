"""The error of long sums: how many products are added up in one run, and how it compares with NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from tensorops.kernels.gemm.batched import matmul_into
from tests.kernels.operands import DTYPES, PACKING, Framed

pytestmark = pytest.mark.parametrize("dtype", DTYPES)

LONGEST_RUN = 192
"""As ``kernels.pxd`` sets it."""
SEEDS = range(4)


def products_lost(dtype: str, m: int, k: int, n: int, at: int, pack: str, layout: str) -> float:
    """Return how many of `k` ones vanish in a number as large as the last whole one, met at depth `at`.

    Added one by one they round away, so those vanish that are added after it in the same run; of the
    sums of other runs at most the last bit does.
    """
    huge = 2.0 ** (np.finfo(dtype).nmant + 1)
    a, b = np.ones((m, k), dtype), np.ones((k, n), dtype)
    b[at] = huge
    out = Framed((m, n), dtype, layout).out
    matmul_into(a, b, out, pack, 1)
    return float((k - 1) - (out - huge).min())


@pytest.mark.parametrize("layout", ["C", "strided"])
@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize("dims", [(33, 50), (64, 64), (1, 40), (5, 3), (12, 1)], ids=str)
@pytest.mark.parametrize("k", [193, 256, 384, 512, 700, 1500])
def test_no_sum_runs_longer_than_it_may(
    dtype: str, k: int, dims: tuple[int, int], pack: str, layout: str
) -> None:
    m, n = dims
    rounded = k // 8
    lost = [products_lost(dtype, m, k, n, at, pack, layout) for at in range(0, k, 64)]
    assert max(lost) < LONGEST_RUN + rounded


def errors(dtype: str, m: int, k: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of our product and of NumPy's on the same numbers."""
    wide = np.longdouble if dtype == "float64" else np.float64
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    expected = a.astype(wide) @ b.astype(wide)
    out = np.empty((m, n), dtype)
    matmul_into(a, b, out, "auto", 1)
    ours, numpy_s = (np.abs(result - expected).astype(float) for result in (out, np.matmul(a, b)))
    return ours, numpy_s


@pytest.mark.parametrize("dims", [(40, 72), (8, 96), (3, 80), (96, 1)], ids=str)
@pytest.mark.parametrize("k", [64, 192, 256, 320, 384, 512, 768, 1024, 2048, 4096, 16384])
def test_error_stays_beside_numpy_s(dtype: str, k: int, dims: tuple[int, int]) -> None:
    pairs = [errors(dtype, dims[0], k, dims[1], seed) for seed in SEEDS]
    ours, numpy_s = (np.sqrt(np.mean([which**2 for which in side])) for side in zip(*pairs, strict=True))
    assert ours <= 1.5 * numpy_s
    # The largest of a sample's errors is a matter of luck: the middle one of several samples is less so.
    assert np.median([ours.max() / numpy_s.max() for ours, numpy_s in pairs]) <= 2
