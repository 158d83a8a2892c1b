from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.operations import OPERATIONS, OpSpec, product_dims

SPEC = OPERATIONS["matmul"]
SIZES = st.integers(0, 4)
LEGAL = st.one_of(
    st.tuples(SIZES).map(lambda k: (k, k)),
    st.tuples(SIZES, SIZES).map(lambda s: (s, s[1:])),
    st.tuples(SIZES, SIZES).map(lambda s: (s[:1], s)),
    st.tuples(SIZES, SIZES, SIZES).map(lambda s: (s[:2], s[1:])),
    st.tuples(SIZES, SIZES, SIZES, SIZES).map(lambda s: (s[:3], s[2:])),
    st.tuples(SIZES, SIZES, SIZES, SIZES).map(lambda s: ((s[0], 1, *s[1:3]), (3, *s[2:]))),
)
ILLEGAL = [
    ((2, 3), (4, 5)),
    ((), (3,)),
    ((3,), ()),
    ((2,), (3,)),
    ((2, 2, 3), (3, 3, 4)),
    ((-1, 2), (2, 3)),
]


@given(LEGAL)
def test_shapes_follow_numpy(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    expected = np.matmul(*(np.zeros(shape) for shape in shapes))
    dims = product_dims(shapes)
    assert dims.out == expected.shape
    assert dims.count * dims.m * dims.n == expected.size
    assert SPEC.flops(shapes) == 2 * dims.k * expected.size
    assert SPEC.out_shape(shapes) == expected.shape
    assert SPEC.bytes(shapes, 4) == 4 * (sum(map(math.prod, shapes)) + expected.size)


@pytest.mark.parametrize("shapes", ILLEGAL, ids=str)
def test_illegal_shapes_are_named_in_the_error(shapes: Sequence[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="matmul") as caught:
        product_dims(shapes)
    assert all(str(shape) in str(caught.value) for shape in shapes)
    with pytest.raises(ValueError, match="takes two operands, got 3"):
        product_dims([(2, 2)] * 3)


def test_sizes_whose_product_overflows_a_word_are_counted() -> None:
    assert SPEC.flops([(2**40, 2**40), (2**40, 2**40)]) == 2 * 2**120


@given(LEGAL, st.integers(0, 2**32 - 1))
def test_the_reference_is_numpy_s_product(shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-50, 50, size=shape) for shape in shapes)
    product = SPEC.reference(a, b)
    assert product.dtype == np.float64
    assert product.shape == np.matmul(a, b).shape
    assert np.array_equal(product, np.matmul(a, b))


@pytest.mark.parametrize("shapes", ILLEGAL[:-1], ids=str)
def test_the_reference_refuses_what_numpy_refuses(shapes: Sequence[tuple[int, ...]]) -> None:
    operands = [np.zeros(shape) for shape in shapes]
    with pytest.raises(ValueError):
        np.matmul(*operands)
    with pytest.raises(ValueError, match="matmul"):
        SPEC.reference(*operands)


def test_the_reference_passes_on_what_is_not_a_number() -> None:
    product = SPEC.reference([[np.inf, 1.0], [np.nan, 1.0]], [[0.0], [1.0]])
    assert np.all(np.isnan(product))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_bound_holds_numpy_and_catches_a_lost_term(dtype: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((20, 30)).astype(dtype), rng.standard_normal((30, 10)).astype(dtype)
    exact, bound = SPEC.reference(a, b), SPEC.error_bound(a, b)
    assert bound.shape == exact.shape
    assert np.all(np.abs(a @ b - exact) <= bound)
    assert np.any(np.abs(a[:, :-1] @ b[:-1] - exact) > bound)
    # Only the sizes and the dtype decide beside the operands: (8 sqrt(K) + 16) eps |A| |B|.
    factor = (8 * math.sqrt(30) + 16) * float(np.finfo(dtype).eps)
    assert np.allclose(bound, factor * (np.abs(a).astype(float) @ np.abs(b).astype(float)), rtol=1e-12)


@pytest.mark.parametrize("spec", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_is_filed_under_its_name(spec: OpSpec) -> None:
    assert OPERATIONS[spec.name] is spec
    assert spec.signature.startswith("(")
    twin = spec.numpy_function()
    assert (twin is None) is (spec.numpy_twin is None)
    assert twin is None or twin in (spec.numpy_twin, getattr(np, str(spec.numpy_twin), None))


@given(st.tuples(*[st.integers(0, 50)] * 4))
@pytest.mark.parametrize("spec", OPERATIONS.values(), ids=OPERATIONS)
def test_a_call_of_given_sizes_has_these_sizes(spec: OpSpec, sizes: tuple[int, int, int, int]) -> None:
    representative = spec.sizes(spec.shapes_of(sizes))
    assert len(representative) == 4
    assert spec.sizes(spec.shapes_of(representative)) == representative
    if spec.name == "matmul":
        assert representative == sizes
