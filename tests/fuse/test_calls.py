"""Calls of fused functions are NumPy's, whatever the operands' dtypes, shapes and strides."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tensorops
from tensorops.fuse.errors import FuseError, FuseWarning
from tests.fuse import fused

Array = np.ndarray[Any, Any]


def assert_as_numpy(function: Any, *operands: Any, exact: bool = True, **options: Any) -> None:
    """Compare a fused function with itself run by NumPy."""
    with np.errstate(all="ignore"):
        expected = function.fused_function(*operands, **options)
    result = function(*operands, **options)
    assert type(result) is type(expected)
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    if exact:
        assert np.array_equal(result, expected, equal_nan=expected.dtype.kind == "f")
    else:
        assert np.allclose(result, expected, rtol=1e-5 if expected.dtype == np.float32 else 1e-13, atol=1e-6)


@st.composite
def laid_out(draw: st.DrawFn, shape: tuple[int, ...], dtype: str) -> Array:
    """Draw an array that lies in memory in some way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -3])) for _ in shape]
    order = draw(st.permutations(range(len(shape))))
    large = [abs(steps[axis]) * shape[axis] for axis in order]
    values = rng.standard_normal(large).astype(dtype)
    values[rng.random(large) < 0.1] = draw(st.sampled_from([np.nan, np.inf, -0.0, 7.0]))
    array = values.transpose(np.argsort(order))[tuple([slice(None, None, step) for step in steps])]
    return array[tuple([slice(size) for size in shape])]


@st.composite
def operands(draw: st.DrawFn, count: int) -> list[Array]:
    """Draw arrays that broadcast."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=4, max_side=9, min_side=0))
    found = []
    for shape in shapes.input_shapes:
        if draw(st.integers(0, 4)) == 0 and shape:
            # Long enough for several blocks.
            shape = tuple(
                [
                    size if size < 2 else size * 40 if axis == len(shape) - 1 else size
                    for axis, size in enumerate(shape)
                ]
            )
        found.append(draw(laid_out(shape, draw(st.sampled_from(["f4", "f8"])))))
    try:
        np.broadcast_shapes(*[array.shape for array in found])
    except ValueError:
        return [array[..., :1] for array in found]
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(operands(2), st.sampled_from([2.0, np.float32(0.5), 3]))
def test_any_layout(arrays: list[Array], factor: Any) -> None:
    if all(array.dtype == arrays[0].dtype for array in arrays):
        assert_as_numpy(fused.scaled, *arrays, factor)
    else:
        # NumPy rounds part of it to float32.
        assert_as_numpy(fused.scaled, *[array.astype(np.float64) for array in arrays], factor)


@given(operands(2), st.data())
def test_any_layout_reduced(arrays: list[Array], data: st.DataObject) -> None:
    arrays = [np.nan_to_num(array, posinf=3, neginf=-3) for array in arrays]
    shape = np.broadcast_shapes(*[array.shape for array in arrays])
    if 0 in shape or not shape:
        return
    assert_as_numpy(fused.total, *[np.abs(array) for array in arrays], exact=False)
    assert_as_numpy(fused.largest, *arrays, exact=arrays[0].dtype == arrays[1].dtype)
    assert_as_numpy(fused.root_mean_square, *arrays, exact=False)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(3, 70001), (70001, 3), (200, 300), (40, 50, 60), (2, 2, 50000)])
def test_threads_share_the_work(shape: tuple[int, ...], threads: int, rng: np.random.Generator) -> None:
    before = tensorops.get_num_threads()
    tensorops.set_num_threads(threads)
    try:
        x, y = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        assert_as_numpy(fused.scaled, x, y)
        assert_as_numpy(fused.scaled, x, y[:1])
        assert_as_numpy(fused.total, x, x, exact=False)
        assert_as_numpy(fused.largest, x, y)
        assert_as_numpy(fused.root_mean_square, x.T, y.T, exact=False)
        assert_as_numpy(fused.count, x)
    finally:
        tensorops.set_num_threads(before)


def test_sums_are_as_exact_as_numpy_s(rng: np.random.Generator) -> None:
    x = rng.random(1_000_000, dtype=np.float32)
    one = np.ones(1, np.float32)
    exact = np.sum(x, dtype=np.float64)
    assert abs(fused.total(x, one) - exact) <= abs(np.sum(x) - exact) + np.spacing(np.float32(exact))


def test_extremes_keep_nan() -> None:
    x = np.zeros((50, 40), np.float32)
    x[17, 3] = np.nan
    assert_as_numpy(fused.largest, x, 0.0)
    assert_as_numpy(fused.largest, np.full((5, 3), -np.inf), 0.0)
    assert_as_numpy(fused.smallest, np.ones((2, 3, 4)))


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">f4", ">i4"]
)
def test_any_dtype_is_read(dtype: str) -> None:
    x = np.arange(12).astype(dtype)
    for y in (np.linspace(-1, 9, 12), np.linspace(-1, 9, 12, dtype=np.float32)):
        with np.errstate(all="ignore"):
            expected = fused.masked.fused_function(y, x > 3)
        assert np.array_equal(fused.masked(y, x > 3), expected)
    if dtype not in ("?", ">f4") and np.result_type(x, 1.5) != np.float16:
        assert_as_numpy(fused.shifted, x)


def test_masks() -> None:
    for dtype in (np.float32, np.float64):
        x = np.array([-1, 0, 0.5, np.nan, 7, np.inf, -0.0], dtype)
        assert_as_numpy(fused.inside, x, 0, np.array([0.5], dtype))
        assert_as_numpy(fused.count, np.stack([x, -x]))
    out = np.zeros(7, bool)
    assert fused.inside(x, 0.0, 1.0, out=out) is out
    assert out.tolist() == [False, True, True, False, True, False, True]


def test_powers_are_products(rng: np.random.Generator) -> None:
    for dtype, rtol in ((np.float32, 2e-6), (np.float64, 4e-15)):
        x = rng.uniform(0.1, 5, 100).astype(dtype)
        expected = fused.whole_powers.fused_function(x)
        assert np.allclose(fused.whole_powers(x), expected, rtol=rtol, atol=0)
    assert "power(" not in fused.whole_powers.source[fused.whole_powers.source.index("element") :]
    with np.errstate(all="ignore"):
        assert_as_numpy(fused.whole_powers, np.array([0.0, 1.0, np.inf, np.nan]))


def test_calls_of_fused_functions_are_read_in_their_place(rng: np.random.Generator) -> None:
    x = rng.standard_normal((7, 5)).astype(np.float32)
    assert_as_numpy(fused.outer, x)
    assert_as_numpy(fused.outer, x, low=np.full((7, 1), 0.5, np.float32))


def test_numbers_alone_are_left_to_numpy() -> None:
    assert fused.scaled(2.0, 1.0) == fused.scaled.fused_function(2.0, 1.0)
    assert_as_numpy(fused.shifted, np.float32(2))
    assert_as_numpy(fused.shifted, np.array(2.0))


def test_lists_become_arrays() -> None:
    assert fused.shifted([1.0, 2.0]).tolist() == [2.75, 5.75]


def test_defaults_and_names() -> None:
    x = np.ones(3)
    assert np.array_equal(fused.scaled(x, y=x), fused.scaled(x, x, 2.0))
    with pytest.raises(TypeError, match="missing"):
        fused.scaled(x)
    with pytest.raises(TypeError, match="unexpected keyword"):
        fused.scaled(x, x, other=1)
    with pytest.raises(TypeError, match="too many"):
        fused.shifted(x, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_place(dtype: Any, rng: np.random.Generator) -> None:
    whole = rng.standard_normal((6, 8)).astype(dtype)
    for x in (whole.copy(), whole.T.copy().T, whole[::2, ::-1], np.asfortranarray(whole)):
        expected = fused.scaled.fused_function(x, x[:1].copy())
        assert fused.scaled.inplace(x, x[:1].copy()) is x
        assert np.array_equal(x, expected)


def test_an_operand_that_overlaps_is_read_first(rng: np.random.Generator) -> None:
    data = rng.standard_normal(3001)
    for x, y, out in (
        (data[:-1], data[1:], data[:-1]),
        (data[1:], data[:-1], data[:-1]),
        (data[:1500], data[1500:3000], data[700:2200]),
        (data, data[::-1], data),
    ):
        saved = data.copy()
        expected = fused.scaled.fused_function(x.copy(), y.copy())
        assert np.array_equal(fused.scaled(x, y, out=out), expected)
        data[:] = saved


def test_out_of_another_dtype_is_cast() -> None:
    x = np.linspace(0, 1, 50)
    for dtype in (np.float32, np.float64, np.complex128):
        out = np.empty(50, dtype)
        assert fused.shifted(x, out=out) is out
        assert np.array_equal(out, fused.shifted(x).astype(dtype))
    mean = np.empty((1,), np.float32)
    fused.root_mean_square(x, 0.0, out=mean)
    assert np.allclose(mean, np.sqrt(np.mean(x**2)))


@pytest.mark.parametrize(
    "out, error, message",
    [
        (np.empty(4), ValueError, r"shape \(3,\) does not fit .* \(4,\)"),
        (np.empty((1, 3)), ValueError, "does not fit"),
        (np.empty(3, np.int64), TypeError, "cannot be written to an array of int64"),
        (np.broadcast_to(np.empty(1), 3), ValueError, "read-only"),
        (np.lib.stride_tricks.as_strided(np.zeros(1), (3,), (0,)), ValueError, "share memory"),
        ([0.0, 0.0, 0.0], TypeError, "must be an array"),
    ],
)
def test_a_wrong_out_is_refused_before_anything_is_written(out: Any, error: type, message: str) -> None:
    before = copy.deepcopy(out) if isinstance(out, list) else out.copy()
    for call in (lambda: fused.shifted(np.ones(3), out=out), lambda: fused.shifted([1, 2, 3], out=out)):
        with pytest.raises(error, match=message):
            call()
    assert np.array_equal(before, out, equal_nan=True)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"scaled: operands of shapes \(3,\), \(4,\) do not broadcast"):
        fused.scaled(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="does not fit"):
        fused.scaled.inplace(np.ones(3), np.ones((2, 3)))
    with pytest.raises(TypeError, match="changes its first argument"):
        fused.scaled.inplace([1.0], 2.0)
    with pytest.raises(np.exceptions.AxisError):
        fused.count(np.ones(3))


def test_a_value_that_would_have_to_grow_is_refused() -> None:
    x = np.ones(3)
    for factor in (np.ones((2, 1)), np.ones((2, 3))):
        with pytest.raises(ValueError):
            fused.scaled.fused_function(x, x, factor)
        with pytest.raises(ValueError, match="does not fit into one of"):
            fused.scaled(x, x, factor)


def test_empty_arrays() -> None:
    assert_as_numpy(fused.shifted, np.empty((0, 3), np.float32))
    assert_as_numpy(fused.total, np.empty(0), np.empty(0))
    with pytest.raises(ValueError, match="zero-size"):
        fused.smallest(np.empty((2, 3, 0)))


def test_backend_numpy_runs_the_function_itself() -> None:
    x = np.linspace(0, 1, 9)
    with tensorops.use_backend("numpy"):
        assert np.array_equal(fused.shifted(x), fused.shifted.fused_function(x))
        out = np.empty(9)
        assert fused.shifted(x, out=out) is out


def test_explanation_counts_what_numpy_does() -> None:
    x, y = np.ones((10, 4), np.float32), np.ones(4, np.float32)
    found = fused.scaled.explain(x, y)
    # x*y, factor*x, their sum, x>y, z-0.25, maximum, where.
    assert (found.numpy_passes, found.temporaries, found.elements) == (7, 6, 40)
    assert found.fused_bytes == 4 * (40 + 4 + 40)
    assert found.fused and "7 -> 1" in str(found)
    assert fused.total.explain(x, y).temporaries == 1
    assert "float32" in str(fused.shifted.explain())


def test_the_source_is_that_of_the_kernel() -> None:
    fused.shifted(np.ones(3))
    assert "cdef void kernel(" in fused.shifted.source
    assert "SPLAT(0.25)" in fused.shifted.source
    assert "SPLAT(0.25)" in tensorops.fuse(fused.shifted.fused_function).source


def test_it_looks_like_the_function() -> None:
    assert fused.scaled.__name__ == "scaled"
    assert fused.scaled.__doc__ == "Return arithmetic that NumPy rounds in the same way."
    assert repr(fused.scaled) == "<fused function scaled>"
    assert pickle.loads(pickle.dumps(fused.scaled)) is fused.scaled
    assert pickle.loads(pickle.dumps(FuseError("why"))).reason == "why"


def test_arguments_are_never_changed(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    x.flags.writeable = y.flags.writeable = False
    fused.scaled(x, y)
    fused.total(x, y)


def test_one_warning_for_each_reason() -> None:
    function = tensorops.fuse(fused.shifted.fused_function)
    with pytest.warns(FuseWarning, match="complex128") as heard:
        function(np.ones(3, complex))
        function(np.ones(3, complex))
    assert len(heard) == 1
