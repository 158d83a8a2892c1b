"""``tensorops.matmul`` is ``numpy.matmul``: shapes, dtypes, arrangements in memory, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorops
from tests.boundary.contract import Array, Matmul, closer_than_the_bound, difference
from tests.boundary.strategies import DTYPES, FLOATS, Shape, arrays, repeatable, shape_pairs


@repeatable
@given(st.data())
def test_floats_of_every_shape(data: st.DataObject) -> None:
    shapes = data.draw(shape_pairs())
    dtype = data.draw(st.sampled_from(FLOATS))
    a, b = (data.draw(arrays(shape, dtype)) for shape in shapes)
    kept = a.copy(), b.copy()
    assert difference(lambda matmul: matmul(a, b)) is None
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])


@repeatable
@given(st.data())
def test_dtypes_and_their_mixtures(data: st.DataObject) -> None:
    shapes = data.draw(shape_pairs())
    a, b = (data.draw(arrays(shape, data.draw(st.sampled_from(DTYPES)))) for shape in shapes)
    assert difference(lambda matmul: matmul(a, b)) is None


@repeatable
@given(st.data())
def test_shapes_that_may_not_fit(data: st.DataObject) -> None:
    shapes = data.draw(shape_pairs(fitting=False))
    a, b = (np.ones(shape, data.draw(st.sampled_from(("float32", "float64", "int32")))) for shape in shapes)
    assert difference(lambda matmul: matmul(a, b)) is None


@pytest.mark.parametrize(("left", "right"), list(itertools.product(DTYPES, repeat=2)))
def test_every_pair_of_dtypes(left: str, right: str) -> None:
    a, b = np.arange(6).reshape(2, 3).astype(left), np.arange(12).reshape(3, 4).astype(right)
    assert difference(lambda matmul: matmul(a, b)) is None


REFUSED = [
    np.zeros((2, 2), "i4,f4"),
    np.zeros((2, 2), "U1"),
    np.zeros((2, 2), "S1"),
    np.zeros((2, 2), "M8[s]"),
    np.zeros((2, 2), "m8[s]"),
    np.zeros((2, 2), "V4"),
]


@pytest.mark.parametrize("array", REFUSED, ids=lambda array: str(array.dtype))
def test_dtypes_that_cannot_be_multiplied(array: Array) -> None:
    for other in (np.ones((2, 2)), np.ones((2, 2), np.float32), np.ones((2, 2), int), array):
        assert difference(lambda matmul, other=other: matmul(array, other)) is None
        assert difference(lambda matmul, other=other: matmul(other, array)) is None
    with pytest.raises(TypeError):
        tensorops.matmul(array, np.ones((2, 2)))


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3), (4, 5)),
        ((3,), (4,)),
        ((3,), (4, 5)),
        ((2, 3), (2,)),
        ((2, 2, 3), (3, 3, 4)),
        ((2, 3, 3), (3, 4, 3, 4)),
        ((), (3, 3)),
        ((3, 3), ()),
        ((), ()),
        ((0, 3), (0, 3)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_shapes_that_do_not_fit(shapes: tuple[Shape, Shape], dtype: str) -> None:
    a, b = (np.ones(shape, dtype) for shape in shapes)
    with pytest.raises(ValueError) as raised:
        tensorops.matmul(a, b)
    assert str(a.shape) in str(raised.value)
    assert str(b.shape) in str(raised.value)
    assert difference(lambda matmul: matmul(a, b)) is None


@pytest.mark.parametrize("dtype", FLOATS)
def test_vectors(dtype: str) -> None:
    x, a = np.arange(1, 4).astype(dtype), np.arange(9).reshape(3, 3).astype(dtype)
    stack = np.arange(54).reshape(2, 3, 3, 3).astype(dtype)
    for left, right in itertools.product((x, x[::-1], np.broadcast_to(x[:1], 3), a, stack), repeat=2):
        assert difference(lambda matmul, left=left, right=right: matmul(left, right)) is None
    # Many at once: a scalar that is not its own owner would end the process.
    numbers = [tensorops.matmul(x, x) for _ in range(2000)]
    assert {float(number) for number in numbers} == {14.0}
    assert type(numbers[0]) is np.dtype(dtype).type


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "shapes",
    [
        ((70, 80), (80, 90)),
        ((1, 500), (500, 300)),
        ((3, 70, 80), (80, 90)),
        ((5, 64, 32), (5, 32, 64)),
        ((600,), (600,)),
    ],
    ids=str,
)
def test_real_numbers(dtype: str, shapes: tuple[Shape, Shape], rng: np.random.Generator) -> None:
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    result = tensorops.matmul(a, b)
    assert result.dtype == dtype
    assert closer_than_the_bound(result, a, b)
    # The check itself: one term of one element lost.
    wrong = np.array(result)
    wrong.flat[0] -= a.reshape(-1, a.shape[-1])[0, 0] * (b[0] if b.ndim == 1 else b[..., 0, 0].flat[0])
    assert not closer_than_the_bound(wrong, a, b)


def test_special_values_are_numpy_s(rng: np.random.Generator) -> None:
    special = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan, 1e-310], np.float64)
    for shape in [(2, 2), (9, 20), (40, 70), (1, 70), (70, 1)]:
        a = np.where(rng.random(shape) < 0.05, rng.choice(special, size=shape), 1.0)
        b = np.where(rng.random(shape[::-1]) < 0.05, rng.choice(special, size=shape[::-1]), 1.0)
        assert difference(lambda matmul, a=a, b=b: matmul(a, b)) is None


@pytest.mark.parametrize(
    ("left", "right"),
    [((2**40, 1), (1, 2**40)), ((2**24, 1), (1, 2**24)), ((2**30, 1, 1, 1), (2**33, 1, 1))],
    ids=str,
)
@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_results_that_no_memory_can_hold(left: Shape, right: Shape, dtype: str) -> None:
    # Operands of one number each, repeated by strides of zero.
    a, b = (np.broadcast_to(np.ones((), dtype), shape) for shape in (left, right))
    assert difference(lambda matmul: matmul(a, b)) is None
    with pytest.raises((ValueError, MemoryError)):
        tensorops.matmul(a, b)


def test_a_long_stack_of_nothing() -> None:
    assert tensorops.matmul(np.empty((2**40, 0, 3)), np.empty((3, 4))).shape == (2**40, 0, 4)


def test_no_depth_gives_zeros() -> None:
    for shapes in [
        ((3, 0), (0, 4)),
        ((0,), (0,)),
        ((0,), (0, 4)),
        ((2, 3, 0), (0, 4)),
        ((2, 3, 0), (2, 0, 1)),
    ]:
        a, b = (np.ones(shape, np.float32) for shape in shapes)
        assert difference(lambda matmul, a=a, b=b: matmul(a, b)) is None
        assert not np.any(tensorops.matmul(a, b))


def test_the_result_is_new_and_in_rows() -> None:
    a = np.asfortranarray(np.eye(4))
    result = tensorops.matmul(a, a)
    assert result.flags.owndata
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, a)


@pytest.mark.parametrize(
    "name", ["casting", "order", "dtype", "subok", "axes", "axis", "keepdims", "signature", "where"]
)
def test_keywords_of_ufuncs_are_not_taken(name: str) -> None:
    # The documented signature: what `numpy.matmul` has as a ufunc, and we have not, is no silent no-op.
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        tensorops.matmul(np.eye(2), np.eye(2), **{name: None})


@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_number_of_positional_arguments(count: int) -> None:
    def call(matmul: Matmul) -> object:
        return matmul(*[np.eye(2)] * count)

    assert difference(call) is None


@pytest.mark.parametrize("name", ["a", "b", "x1", "x2"])
def test_operands_have_no_names(name: str) -> None:
    assert difference(lambda matmul: matmul(np.eye(2), **{name: np.eye(2)})) is None
