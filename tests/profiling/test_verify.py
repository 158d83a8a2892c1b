"""The checks must fail for wrong results, in every element."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiling.cases import product_case
from profiling.measure.verify import check_equal, check_product

dims = st.integers(1, 9)


@given(
    dims, dims, dims, st.sampled_from(["float32", "float64"]), st.sampled_from([(), (3,)]), st.integers(0, 99)
)
def test_right_products_pass(m, k, n, dtype, batch, seed):
    a, b = product_case(m, k, n, dtype, batch=batch).operands(seed)
    assert check_product(a, b, np.matmul(a, b)) is None


@given(dims, dims, dims, st.data())
def test_one_wrong_element_is_caught(m, k, n, data):
    a, b = product_case(m, k, n, "float32").operands(1)
    c = np.matmul(a, b)
    at = data.draw(st.integers(0, m - 1)), data.draw(st.integers(0, n - 1))
    c[at] += data.draw(st.sampled_from([1.0, -1.0, 0.5, np.nan, np.inf]))
    assert check_product(a, b, c) == f"wrong result in 1 of {m} rows"


@given(dims, dims, st.integers(2, 9))
def test_a_lost_term_is_caught(m, n, k):
    a, b = (np.abs(operand) + 1 for operand in product_case(m, k, n, "float64").operands(2))
    assert check_product(a, b, np.matmul(a[:, :-1], b[:-1])) == f"wrong result in {m} of {m} rows"


def test_a_result_that_was_not_written_is_caught():
    a, b = product_case(4, 4, 4, "float32").operands()
    assert check_product(a, b, np.full((4, 4), np.nan, np.float32)) == "wrong result in 4 of 4 rows"


@pytest.mark.parametrize("shape", [(4, 5), (4,), (1, 4, 4)])
def test_a_wrong_shape_is_told(shape):
    a, b = product_case(4, 4, 4, "float32").operands()
    assert "wrong shape" in check_product(a, b, np.zeros(shape))
    assert "wrong shape" in check_equal(np.zeros(shape), np.zeros((4, 4)))


def test_equality_counts_the_wrong_elements():
    assert (
        check_equal(np.array([1.0, np.nan, 3.0]), np.array([1.0, 2.0, 4.0]))
        == "wrong result in 2 of 3 elements"
    )
    assert check_equal(np.array([1.0]), np.array([1.0])) is None
