"""Which kernel a product takes: each of them is in use, and what it computes is exact there."""

from __future__ import annotations

import numpy as np
import pytest

from tensorops.kernels.gemm.batched import kernel_of
from tests.kernels.operands import DTYPES, arrange, whole_numbers
from tests.kernels.oracles import failure, gemm

CASES = [
    ("dots", (4, 2000, 4), ("C", "F", "C")),
    ("dots", (300, 200, 1), ("C", "C", "C")),
    ("dots", (300, 200, 1), ("C", "strided", "C")),
    ("dots", (1, 200, 300), ("C", "F", "F")),
    ("thin", (4, 50, 700), ("C", "C", "C")),
    ("thin", (700, 50, 4), ("F", "C", "C")),
    ("thin", (700, 50, 4), ("F", "C", "F")),
    ("thin", (90, 3, 700), ("C", "C", "C")),
    ("tile", (20, 20, 4), ("C", "C", "C")),
    ("tile", (700, 20, 4), ("C", "C", "C")),
    ("blocks", (90, 80, 70), ("C", "C", "C")),
    ("blocks", (90, 80, 70), ("F", "F", "F")),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "dims", "layouts"), CASES, ids=str)
def test_each_kernel_is_in_use(
    dtype: str,
    kernel: str,
    dims: tuple[int, int, int],
    layouts: tuple[str, str, str],
    rng: np.random.Generator,
) -> None:
    m, k, n = dims
    a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
    operands = arrange(a, layouts[0]), arrange(b, layouts[1]), arrange(np.empty((m, n), dtype), layouts[2])
    assert kernel_of(*operands) == kernel
    assert kernel_of(*operands, "always") == "blocks"
    assert failure(gemm("auto", 1), a, b, layouts) is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_kernel_is_needed_without_elements_or_depth(dtype: str) -> None:
    assert kernel_of(np.ones((0, 3), dtype), np.ones((3, 2), dtype), np.ones((0, 2), dtype)) == "nothing"
    assert kernel_of(np.ones((2, 0), dtype), np.ones((0, 2), dtype), np.ones((2, 2), dtype)) == "zero"
