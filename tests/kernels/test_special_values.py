"""NaN, infinities, signed zeros and subnormal numbers come out as the definition and NumPy give them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from tensorops import reference
from tensorops.kernels.gemm.batched import matmul_into
from tests.kernels.operands import (
    DTYPES,
    PACKING,
    Array,
    Framed,
    arrange,
    selected_row,
    small_blocks,
    whole_numbers,
)

LAYOUTS = (("C", "C", "C"), ("F", "F", "F with gaps"), ("strided", "columns reversed", "strided"))

pytestmark = [pytest.mark.parametrize("dtype", DTYPES), pytest.mark.parametrize("pack", PACKING)]


def ragged_dims(dtype: str) -> Iterator[tuple[int, int, int]]:
    """Yield products whose last tile is padded, and one for every other kernel."""
    row = selected_row(dtype)
    yield row.mr + 1, 5, row.nr + 1
    yield 2 * row.mr - 1, 9, 2 * row.nr - 1
    yield row.mr, 3, row.nr
    yield from [(1, 5, 1), (3, 17, 1), (1, 17, 3), (2, 9, 67), (67, 9, 2), (5, 1, 7), (70, 1, 70)]


def product(a: Array, b: Array, layouts: tuple[str, str, str], pack: str) -> Array:
    framed = Framed((a.shape[0], b.shape[1]), a.dtype.name, layouts[2])
    matmul_into(arrange(a, layouts[0]), arrange(b, layouts[1]), framed.out, pack, 1)
    assert framed.stray_writes() == 0
    return framed.out


def same_values(result: Array, expected: Array) -> bool:
    """Tell whether two arrays are equal, NaN to NaN, and zeros have the same sign."""
    same_sign = np.signbit(result) == np.signbit(expected)
    return np.array_equal(result, expected, equal_nan=True) and bool(np.all(same_sign | (expected != 0)))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_one_special_number_reaches_its_row_or_column_only(
    dtype: str, pack: str, special: float, rng: np.random.Generator
) -> None:
    with small_blocks(dtype, kc=4):
        for m, k, n in ragged_dims(dtype):
            for layouts in LAYOUTS:
                a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
                a[m - 1, k - 1] = special
                expected = reference.matmul(a, b)
                assert np.isfinite(expected[: m - 1]).all()
                assert same_values(product(a, b, layouts, pack), expected)
                with np.errstate(all="ignore"):
                    assert same_values(np.matmul(a, b), expected)
                a[m - 1, k - 1] = 1
                b[k - 1, n - 1] = special
                expected = reference.matmul(a, b)
                assert same_values(product(a, b, layouts, pack), expected)


def test_padding_never_meets_an_infinity(dtype: str, pack: str) -> None:
    # Padding is zeros, and zero times infinity is NaN: it must stay in what is not stored.
    with small_blocks(dtype, kc=4):
        for m, k, n in ragged_dims(dtype):
            ones, infinities = np.ones((m, k), dtype), np.full((k, n), np.inf, dtype)
            for layouts in LAYOUTS:
                assert np.isposinf(product(ones, infinities, layouts, pack)).all()
                assert np.isposinf(product(infinities.T.copy(), ones.T.copy(), layouts, pack)).all()


def test_infinity_times_zero_is_nan_where_it_stands(dtype: str, pack: str) -> None:
    for m, k, n in ragged_dims(dtype):
        a, b = np.ones((m, k), dtype), np.ones((k, n), dtype)
        a[0, 0], b[0, n - 1] = np.inf, 0
        out = product(a, b, ("C", "C", "C"), pack)
        assert np.isnan(out[0, n - 1])
        assert np.isposinf(out[0, : n - 1]).all()
        assert np.isfinite(out[1:]).all()


def test_infinities_of_both_signs_give_nan(dtype: str, pack: str) -> None:
    for m, n in itertools.product((1, 7, 66), repeat=2):
        a, b = np.ones((m, 6), dtype), np.ones((6, n), dtype)
        a[:, 1], a[:, 4] = np.inf, -np.inf
        assert np.isnan(product(a, b, ("C", "C", "C"), pack)).all()


@pytest.mark.parametrize("signs", [(-0.0, 1.0), (-0.0, -0.0), (0.0, -1.0), (-0.0, 0.0)])
def test_sums_of_zeros_have_numpy_s_sign(dtype: str, pack: str, signs: tuple[float, float]) -> None:
    for m, k, n in ragged_dims(dtype):
        a, b = np.full((m, k), signs[0], dtype), np.full((k, n), signs[1], dtype)
        for layouts in LAYOUTS:
            assert same_values(product(a, b, layouts, pack), np.matmul(a, b))


def test_subnormal_numbers_are_kept(dtype: str, pack: str, rng: np.random.Generator) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    for m, k, n in ragged_dims(dtype):
        numbers, factors = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
        # Whole multiples of the smallest number: exact, and nothing but subnormal.
        expected = reference.matmul(numbers, factors).astype(dtype) * tiny
        assert same_values(product(numbers * tiny, factors, ("C", "C", "C"), pack), expected)
        assert same_values(product(numbers, factors * tiny, ("F", "F", "C"), pack), expected)


def test_too_large_is_an_infinity_of_the_right_sign(dtype: str, pack: str) -> None:
    largest = np.finfo(dtype).max
    for m, k, n in ragged_dims(dtype):
        a, b = np.full((m, k), largest, dtype), np.full((k, n), 4, dtype)
        b[:, 0] = -4
        out = product(a, b, ("C", "C", "C"), pack)
        assert np.isneginf(out[:, 0]).all()
        assert np.isposinf(out[:, 1:]).all()
