"""Small products on shorter vectors, where the instruction set's own would leave most of a row unused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tensorops.kernels.gemm.batched import matmul_into
from tensorops.kernels.table import KERNELS, KernelRow
from tests.kernels.operands import DTYPES, whole_numbers
from tests.kernels.oracles import failure, gemm, wrong_numbers


@pytest.mark.parametrize("row", [row for row in KERNELS if row.narrow], ids=lambda row: row.name)
def test_narrow_rows_are_weaker_and_have_shorter_vectors(row: KernelRow) -> None:
    weaker = [other for other in KERNELS[: KERNELS.index(row)] if other.dtype == row.dtype]
    (narrow,) = [other for other in weaker if other.isa == row.narrow]
    assert narrow.vector_bytes < row.vector_bytes
    assert set(row.machines) <= set(narrow.machines)
    assert narrow.narrow == ""


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_around_the_bound_between_both(dtype: str, rng: np.random.Generator) -> None:
    sizes = (1, 4, 8, 20, 24, 32, 33)
    kernel = gemm("auto", 1)
    found = []
    for m, k, n in itertools.product(sizes, repeat=3):
        a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
        found += [failure(kernel, a, b, ("C", "C", "C")), failure(kernel, a, b, ("F", "strided", "F"))]
    assert [what for what in found if what is not None] == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_stack_of_small_products(dtype: str, rng: np.random.Generator) -> None:
    a, b = whole_numbers(rng, (300, 8, 8), dtype), whole_numbers(rng, (300, 8, 20), dtype)
    for threads in (1, 2):
        out = np.full((300, 8, 20), np.nan, dtype)
        matmul_into(a, b, out, "auto", threads)
        assert [wrong_numbers(*triple) for triple in zip(out, a, b, strict=True)] == [None] * 300
