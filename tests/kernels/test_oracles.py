"""The checks of these tests notice a kernel that is wrong in one place only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorops.kernels.gemm.batched import matmul_into
from tests.kernels.operands import DTYPES, LAYOUTS, Array, Framed, arrange, whole_numbers
from tests.kernels.oracles import exact_product, failure, too_far, wrong_numbers


def drops_the_last_k(a: Array, b: Array, out: Array) -> None:
    out[...] = a[:, :-1] @ b[:-1]


def drops_the_first_k(a: Array, b: Array, out: Array) -> None:
    out[...] = a[:, 1:] @ b[1:]


def adds_to_what_was_there(a: Array, b: Array, out: Array) -> None:
    out += a @ b


def leaves_the_last_row(a: Array, b: Array, out: Array) -> None:
    out[:-1] = a[:-1] @ b


def leaves_the_last_column(a: Array, b: Array, out: Array) -> None:
    out[:, :-1] = a @ b[:, :-1]


def repeats_the_last_column(a: Array, b: Array, out: Array) -> None:
    out[...] = a @ b
    out[:, -1] = out[:, -2]


def exchanges_two_elements(a: Array, b: Array, out: Array) -> None:
    out[...] = a @ b
    out[0, 0] += 1
    out[0, 1] -= 1


def takes_a_neighbour_of_b(a: Array, b: Array, out: Array) -> None:
    out[...] = a @ np.roll(b, 1, axis=1)


def one_column_more(x: Array) -> Array:
    return np.lib.stride_tricks.as_strided(x, (x.shape[0], x.shape[1] + 1), x.strides)


def writes_one_element_too_many(a: Array, b: Array, out: Array) -> None:
    out[...] = a @ b
    one_column_more(out)[-1, -1] = 0


def reads_one_element_too_many(a: Array, b: Array, out: Array) -> None:
    out[...] = a @ b + 0 * (a @ one_column_more(b)[:, 1:])


def changes_an_operand(a: Array, b: Array, out: Array) -> None:
    out[...] = a @ b
    b[-1, -1] += 1


WRONG = [
    drops_the_last_k,
    drops_the_first_k,
    adds_to_what_was_there,
    leaves_the_last_row,
    leaves_the_last_column,
    repeats_the_last_column,
    exchanges_two_elements,
    takes_a_neighbour_of_b,
    writes_one_element_too_many,
    reads_one_element_too_many,
    changes_an_operand,
]
Kernel = Callable[[Array, Array, Array], None]


def right(a: Array, b: Array, out: Array) -> None:
    out[...] = a @ b


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", WRONG, ids=lambda kernel: kernel.__name__)
@pytest.mark.parametrize("dims", [(2, 3, 4), (7, 5, 17), (1, 300, 2)], ids=str)
def test_a_wrong_kernel_is_caught(
    dtype: str, kernel: Kernel, dims: tuple[int, int, int], rng: np.random.Generator
) -> None:
    m, k, n = dims
    a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
    for layout in LAYOUTS:
        assert failure(right, a, b, (layout, layout, layout)) is None
    assert failure(kernel, a, b, ("C", "C", "C")) is not None
    assert failure(kernel, a, b, ("C", "C with gaps", "C with gaps")) is not None


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bound_passes_numpy_and_catches_a_lost_term(dtype: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((9, 50)).astype(dtype), rng.standard_normal((50, 9)).astype(dtype)
    assert too_far(a @ b, a, b) is None
    assert too_far(a @ b, a, b, exact_product(a, b)) is None
    for wrong in (a[:, :-1] @ b[:-1], (a @ b) * np.array(1 + 1e-4, dtype), np.full((9, 9), np.nan, dtype)):
        assert too_far(wrong, a, b) is not None
    # One element of 81, off by ten times the bound.
    nearly = a @ b
    nearly[8, 8] += 10 * (8 * np.sqrt(50) + 16) * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b))[8, 8]
    assert too_far(nearly, a, b) is not None


def test_a_float32_product_passed_off_as_float64_is_caught(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((4, 6)), rng.standard_normal((6, 4))
    half = (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float64)
    assert too_far(half, a, b) is not None


def test_rational_arithmetic_rounds_once() -> None:
    a, b = np.array([[1.0, 1e30, -1e30]]), np.array([[2.0**-60], [1.0], [1.0]])
    assert exact_product(a, b)[0, 0] == 2.0**-60


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_unit_in_the_last_place_of_a_whole_number_is_caught(dtype: str, rng: np.random.Generator) -> None:
    a, b = whole_numbers(rng, (5, 8), dtype), whole_numbers(rng, (8, 5), dtype)
    out = np.empty((5, 5), dtype)
    matmul_into(a, b, out)
    assert wrong_numbers(out, a, b) is None
    assert wrong_numbers(np.nextafter(out, np.array(np.inf, dtype)), a, b) is not None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_hold_what_they_say(layout: str, rng: np.random.Generator) -> None:
    values = rng.standard_normal((5, 7))
    assert np.array_equal(arrange(values, layout), values)
    framed = Framed((5, 7), "float64", layout)
    assert np.isnan(framed.out).all()
    framed.out[...] = 0
    assert framed.stray_writes() == 0
