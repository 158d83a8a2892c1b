"""Every operation on rows against its definition: lengths around the vectors, axes, strides, gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tensorops
from tensorops.kernels.rows import family
from tensorops.operations import OPERATIONS, OpSpec
from tensorops.runtime import cpu

Array = NDArray[Any]
DTYPES = ("float32", "float64")
SPECS = {name: spec for name, spec in OPERATIONS.items() if spec.cost_class == "rows"}
WITH_AXIS = ("softmax", "softmax_", "log_softmax", "softmax_backward")
WITH_OUT = tuple(name for name, spec in SPECS.items() if "out=" in spec.signature)
# Around one vector and several, more than a piece of a row.
COLUMNS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 65, 129, 4097)

EVERY = pytest.mark.parametrize("name", SPECS)
EACH_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


def operands_of(name: str, rows: Sequence[int], columns: int, dtype: str, seed: int = 0) -> list[Array]:
    """Return valid operands; of softmax_backward a softmax, of norms rows away from 0."""
    rng = np.random.default_rng(seed)
    spec = SPECS[name]
    shapes = [
        (*rows, columns) if len(shape) == 2 else (columns,) if shape == (7,) else tuple(rows)
        for shape in spec.shapes_of((5, 7, 1, 1))
    ]
    if spec.operands is not None:
        return [rng.normal(0, 3, shapes[0]).astype(dtype), rng.integers(0, columns, shapes[1])]
    arrays = [rng.normal(0.5, 3, shape).astype(dtype) for shape in shapes]
    if name == "softmax_backward":
        arrays[1] = spec_of("softmax").reference(arrays[1]).astype(dtype)
    return arrays


def spec_of(name: str) -> OpSpec:
    return SPECS[name]


def check(name: str, operands: Sequence[Array], found: Any, **params: Any) -> None:
    """Compare one result or several with the oracle."""
    spec = SPECS[name]
    expected, bounds = spec.reference(*operands, **params), spec.error_bound(*operands, **params)
    if spec.outputs == 1:
        found, expected, bounds = (found,), (expected,), (bounds,)
    assert len(found) == spec.outputs
    for one, right, bound in zip(found, expected, bounds, strict=True):
        assert np.shape(one) == right.shape
        assert isinstance(one, float) or one.dtype == operands[0].dtype
        with np.errstate(all="ignore"):
            wrong = ~((np.abs(np.asarray(one, np.float64) - right) <= bound) | (one == right))
        assert not wrong.any(), (name, np.asarray(one)[wrong][:3], right[wrong][:3], bound[wrong][:3])


def run(name: str, operands: Sequence[Array], **params: Any) -> Any:
    return getattr(tensorops, name)(*operands, **params)


def fresh(operands: Sequence[Array]) -> list[Array]:
    return [x.copy("K") for x in operands]


@EVERY
@EACH_DTYPE
def test_rows_of_every_length(name: str, dtype: str) -> None:
    for columns in COLUMNS:
        operands = operands_of(name, (3,), columns, dtype)
        check(name, operands, run(name, fresh(operands)))


@EVERY
@EACH_DTYPE
def test_large_arrays_by_threads(name: str, dtype: str) -> None:
    operands = operands_of(name, (2, 151), 301, dtype)
    check(name, operands, run(name, fresh(operands)))


def layouts(x: Array) -> list[Array]:
    """Return arrays with the values of `x` and other strides."""
    turned = np.ascontiguousarray(np.swapaxes(x, 0, -1))
    return [
        np.swapaxes(turned, 0, -1),
        np.repeat(x, 2, axis=-1)[..., ::2],
        np.ascontiguousarray(x[..., ::-1])[..., ::-1],
        np.repeat(np.swapaxes(turned, 0, -1), 3, axis=0)[::3],
    ]


@EVERY
@EACH_DTYPE
def test_any_strides(name: str, dtype: str) -> None:
    operands = operands_of(name, (9, 5), 21, dtype)
    for number in range(4):
        views = [layouts(x)[number] if x.ndim > 1 else np.repeat(x, 2)[::2] for x in operands]
        before = [view.base.copy() if view.base is not None else view for view in views]
        check(name, operands, run(name, views))
        kept = slice(1, None) if SPECS[name].changed else slice(None)
        for view, copy in list(zip(views, before, strict=True))[kept]:
            assert view.base is None or np.array_equal(view.base, copy)


@pytest.mark.parametrize("name", WITH_AXIS)
@EACH_DTYPE
def test_every_axis(name: str, dtype: str) -> None:
    shape = (6, 70, 19)
    rng = np.random.default_rng(1)
    operands = [rng.normal(0, 2, shape).astype(dtype) for _ in SPECS[name].shapes_of((1, 1, 1, 1))]
    for view in (operands, [np.swapaxes(x, 0, 2) for x in operands], [x[:, ::2, ::-1] for x in operands]):
        for axis in range(-3, 3):
            check(name, view, run(name, fresh(view), axis=axis), axis=axis)
    for axis in (3, -4, 10**30):
        with pytest.raises(ValueError, match="out of range"):
            run(name, fresh(operands), axis=axis)
    with pytest.raises(TypeError):
        run(name, fresh(operands), axis=1.0)


@settings(max_examples=25)
@given(st.data())
@EVERY
def test_any_shape(name: str, data: st.DataObject) -> None:
    rows = tuple(data.draw(st.lists(st.integers(0, 4), max_size=3), label="rows"))
    # A label needs a class.
    columns = data.draw(st.integers(1 if SPECS[name].operands else 0, 40), label="columns")
    dtype = data.draw(st.sampled_from(DTYPES), label="dtype")
    operands = operands_of(name, rows, columns, dtype, data.draw(st.integers(0, 99), label="seed"))
    found = run(name, fresh(operands))
    if name == "cross_entropy" and 0 in rows:
        assert np.isnan(found)
    elif name != "softmax_" or found.size:
        check(name, operands, found)


@pytest.mark.parametrize("name", WITH_OUT)
@EACH_DTYPE
def test_out_is_written_and_returned(name: str, dtype: str) -> None:
    operands = operands_of(name, (6,), 37, dtype)
    whole = operands[0].shape
    outs = [
        np.empty(whole, dtype),
        np.empty(whole, dtype, order="F"),
        np.empty((6, 74), dtype)[:, ::2],
        np.empty(whole, "float64"),
        np.empty(whole, np.dtype(dtype).newbyteorder()),
    ]
    for out in outs:
        assert run(name, operands, out=out) is out
        check(name, operands, out.astype(dtype))
    target = fresh(operands)
    assert run(name, target, out=target[0]) is target[0]
    check(name, operands, target[0])
    for other, copy in zip(target[1:], operands[1:], strict=True):
        assert np.array_equal(other, copy)


def test_softmax_backward_may_write_over_the_result() -> None:
    for layout in ("C", "F"):
        grad, y = (np.asarray(x, order=layout) for x in operands_of("softmax_backward", (40,), 30, "float32"))
        target = y.copy("K")
        assert tensorops.softmax_backward(grad, target, out=target) is target
        check("softmax_backward", [grad, y], target)


@pytest.mark.parametrize("name", WITH_OUT)
def test_what_cannot_be_written_is_refused_before_anything_is(name: str) -> None:
    operands = operands_of(name, (6,), 8, "float32")
    copies = fresh(operands)
    memory = np.zeros(100, "float32")
    first = memory[:48].reshape(6, 8)
    cases: list[tuple[Any, type[Exception], str]] = [
        (np.zeros((8, 6), "float32"), ValueError, r"\(8, 6\)"),
        (np.zeros((6, 8), "int32"), TypeError, "int32"),
        ([[0.0] * 8] * 6, TypeError, "must be an array"),
        (np.lib.stride_tricks.as_strided(memory, (6, 8), (0, 4)), ValueError, "share memory"),
        (np.broadcast_to(np.float32(0), (6, 8)), ValueError, "read-only"),
    ]
    for out, error, message in cases:
        with pytest.raises(error, match=message):
            run(name, operands, out=out)
    with pytest.raises(ValueError, match="overlaps"):
        run(name, [first, *operands[1:]], out=memory[1:49].reshape(6, 8))
    assert not memory.any()
    assert all(np.array_equal(a, b) for a, b in zip(operands, copies, strict=True))


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_a_weight_must_not_be_written(name: str) -> None:
    x = np.ones((1, 4))
    with pytest.raises(ValueError, match="overlaps"):
        run(name, [x, x[0]], out=x)


def test_softmax_in_place() -> None:
    x = np.linspace(0, 3, 12, dtype="float32").reshape(3, 4)
    expected = tensorops.softmax(x)
    kept = x[:, 1:].copy()
    assert tensorops.softmax_(x[:, :1]).tolist() == [[1.0]] * 3
    assert np.array_equal(x[:, 1:], kept)
    x[:, 0] = np.linspace(0, 3, 12, dtype="float32").reshape(3, 4)[:, 0]
    assert np.array_equal(tensorops.softmax_(x), expected)
    with pytest.raises(TypeError, match="must be an array"):
        tensorops.softmax_([1.0, 2.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tensorops.softmax_(np.array([1, 2]))
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        tensorops.softmax_(x)


@EVERY
def test_shapes_that_do_not_fit_are_named(name: str) -> None:
    operands = operands_of(name, (6,), 8, "float32")
    with pytest.raises(ValueError, match=r"out of range|do not fit"):
        run(name, [np.zeros((), "float32"), *operands[1:]])
    with pytest.raises(ValueError):
        run(name.removesuffix("_"), [[[1.0, 2.0], [3.0]], *operands[1:]])
    for place in range(1, len(operands)):
        wrong = list(operands)
        wrong[place] = np.zeros((5, 5), operands[place].dtype)
        with pytest.raises(ValueError, match=r"\(5, 5\)"):
            run(name, wrong)


@EACH_DTYPE
@pytest.mark.parametrize("columns", [3, 40, 9000])
@pytest.mark.parametrize("axis", [0, 1])
def test_rows_without_a_finite_largest_element(dtype: str, columns: int, axis: int) -> None:
    inf, nan = np.inf, np.nan
    x = np.zeros((5, columns), dtype)
    x[0] = -inf
    x[1, 1] = inf
    x[2, columns - 1] = nan
    x[3, : columns // 2] = -inf
    x[4, 0] = -np.finfo(dtype).max
    given = x if axis == 1 else np.ascontiguousarray(x.T)
    y, log_y = tensorops.softmax(given, axis), tensorops.log_softmax(given, axis)
    y, log_y = (y, log_y) if axis == 1 else (y.T, log_y.T)
    for found in (y, log_y):
        assert np.isnan(found[:3]).all() or (found is log_y and np.isnan(found[[0, 2]]).all())
    share = 1 / (columns - columns // 2)
    assert np.allclose(y[3], [0] * (columns // 2) + [share] * (columns - columns // 2), rtol=1e-5)
    assert (log_y[3, : columns // 2] == -inf).all()
    assert y[4, 0] == 0
    assert np.allclose(y[4, 1:], 1 / (columns - 1), rtol=1e-5)


@EACH_DTYPE
@pytest.mark.parametrize("columns", [5, 9000])
def test_powers_that_are_subnormal(dtype: str, columns: int) -> None:
    gaps = np.array([0, -87, -95, -100] if dtype == "float32" else [0, -708, -720, -740], dtype)
    x = np.full((1, columns), -np.inf, dtype)
    x[0, :: max(1, columns // 4)][:4] = gaps
    check("softmax", [x], tensorops.softmax(x))
    check("softmax", [x.T], tensorops.softmax(x.T, axis=0), axis=0)
    assert np.count_nonzero(tensorops.softmax(x)) == 4


@EACH_DTYPE
def test_large_and_equal_elements(dtype: str) -> None:
    big = np.array([[1e30, 1e30, -1e30]], dtype)
    assert tensorops.softmax(big).tolist() == [[0.5, 0.5, 0.0]]
    same = np.full((2, 1000), 1234.5678, dtype)
    assert np.abs(tensorops.layer_norm(same)).max() <= 4 * np.finfo(dtype).eps * 1234.6 / np.sqrt(1e-5)
    far = np.random.default_rng(0).normal(10_000, 1, (4, 1000)).astype(dtype)
    check("layer_norm", [far], tensorops.layer_norm(far))


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
@EACH_DTYPE
def test_norms_with_and_without_weight_and_bias(name: str, dtype: str) -> None:
    operands = operands_of(name, (7,), 50, dtype)
    for count in range(1, len(operands) + 1):
        for eps in (1e-5, 0.5):
            check(name, operands[:count], run(name, operands[:count], eps=eps), eps=eps)
    if name == "layer_norm":
        x, _, bias = operands
        found = tensorops.layer_norm(x, None, bias)
        check(name, [x, np.ones_like(bias), bias], found)
        rows = tensorops.layer_norm(np.array([[1.0, np.nan], [np.inf, 1.0], [1.0, 3.0]]))
        assert np.isnan(rows[:2]).any(axis=1).all()
        assert np.isfinite(rows[2]).all()


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ([0, 4], ValueError, "label 4"),
        ([-1, 0], ValueError, "label -1"),
        ([0.0, 1.0], TypeError, "whole numbers"),
        ([True, False], TypeError, "whole numbers"),
        ([0], ValueError, r"\(1,\)"),
        ([[0, 1]], ValueError, r"\(1, 2\)"),
        ([2**64 - 1, 0], ValueError, "label 18446744073709551615"),
    ],
)
def test_wrong_labels(targets: Any, error: type[Exception], message: str) -> None:
    logits = np.zeros((2, 4), "float32")
    labels = np.array(targets, np.uint64 if max(np.ravel(targets)) > 2**60 else None)
    for function in (tensorops.cross_entropy, tensorops.cross_entropy_backward):
        with pytest.raises(error, match=message):
            function(logits, labels)
    with pytest.raises(error):
        tensorops.cross_entropy_backward(logits, labels, out=logits)
    assert not logits.any()


def test_labels_of_any_integer_dtype_and_strides() -> None:
    logits, labels = operands_of("cross_entropy", (20,), 9, "float32")
    expected = tensorops.cross_entropy(logits, labels)
    assert isinstance(expected, float)
    for kind in ("int8", "uint8", "int32", "uint64", ">i4"):
        assert tensorops.cross_entropy(logits, labels.astype(kind)) == expected
    assert tensorops.cross_entropy(logits, np.repeat(labels, 2)[::2]) == expected
    assert tensorops.cross_entropy(logits.tolist(), labels.tolist()) == pytest.approx(expected)
    assert tensorops.cross_entropy(logits[0], labels[0]) == tensorops.cross_entropy(logits[:1], labels[:1])


def slopes(function: Callable[[Array], float], x: Array) -> Array:
    """Return a function's partial derivatives by central differences."""
    found = np.empty(x.shape)
    for place in np.ndindex(*x.shape):
        shift = np.zeros(x.shape)
        shift[place] = 1e-6
        found[place] = (function(x + shift) - function(x - shift)) / 2e-6
    return found


def test_gradients_against_finite_differences() -> None:
    rng = np.random.default_rng(3)
    x, grad = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    weight, bias, labels = rng.normal(size=5), rng.normal(size=5), np.array([4, 0, 2])

    def along(forward: Callable[..., Array], *operands: Array, place: int) -> Array:
        def loss(moved: Array) -> float:
            return float((grad * forward(*operands[:place], moved, *operands[place + 1 :])).sum())

        return slopes(loss, operands[place])

    pairs: list[tuple[Array, Array]] = [
        (
            tensorops.softmax_backward(grad, tensorops.softmax(x)),
            along(tensorops.softmax, x, place=0),
        ),
        (
            tensorops.cross_entropy_backward(x, labels),
            slopes(lambda moved: tensorops.cross_entropy(moved, labels), x),
        ),
    ]
    for place, found in enumerate(tensorops.layer_norm_backward(grad, x, weight)):
        pairs.append((found, along(tensorops.layer_norm, x, weight, bias, place=place)))
    for place, found in enumerate(tensorops.rms_norm_backward(grad, x, weight)):
        pairs.append((found, along(tensorops.rms_norm, x, weight, place=place)))
    for found, expected in pairs:
        assert np.allclose(found, expected, atol=1e-8)


def test_gradients_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    arrays = [rng.normal(size=shape) for shape in ((6, 11), (6, 11), (11,), (11,))]
    x, grad, weight = arrays[:3]
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    labels = rng.integers(0, 11, 6)

    def gradients(result: Any, given: Any = None) -> list[Array]:
        for tensor in tensors:
            tensor.grad = None
        result.backward(given)
        return [tensor.grad.numpy() for tensor in tensors if tensor.grad is not None]

    function = torch.nn.functional
    upstream = torch.tensor(grad)
    cases = [
        (
            gradients(tensors[0].softmax(-1), upstream),
            [tensorops.softmax_backward(grad, tensorops.softmax(x))],
        ),
        (
            gradients(function.layer_norm(tensors[0], (11,), tensors[2], tensors[3]), upstream),
            tensorops.layer_norm_backward(grad, x, weight),
        ),
        (
            gradients(function.rms_norm(tensors[0], (11,), tensors[2], 1e-5), upstream),
            tensorops.rms_norm_backward(grad, x, weight),
        ),
        (
            gradients(function.cross_entropy(tensors[0], torch.tensor(labels))),
            [tensorops.cross_entropy_backward(x, labels)],
        ),
    ]
    for expected, found in cases:
        assert all(np.allclose(a, b, atol=1e-12) for a, b in zip(expected, found, strict=True))
    loss = function.cross_entropy(tensors[0], torch.tensor(labels)).item()
    assert tensorops.cross_entropy(x, labels) == pytest.approx(loss, rel=1e-12)


@EVERY
def test_backends_compute_the_same(name: str) -> None:
    operands = operands_of(name, (5,), 9, "float64")
    expected = run(name, fresh(operands))
    for backend in ("numpy", "blocked"):
        with tensorops.use_backend(backend):
            found = run(name, fresh(operands))
        pairs = zip(found, expected, strict=True) if SPECS[name].outputs > 1 else [(found, expected)]
        assert all(np.allclose(one, other, rtol=1e-12, atol=1e-14) for one, other in pairs)


def test_other_dtypes_go_to_numpy() -> None:
    assert tensorops.softmax(np.array([1, 1])).tolist() == [0.5, 0.5]
    assert tensorops.softmax(np.zeros(2, np.float16)).dtype == np.float16
    assert tensorops.layer_norm([[1, 3]], eps=0.0).tolist() == [[-1.0, 1.0]]
    assert tensorops.softmax(np.ones((2, 2), ">f4")).dtype == np.float32
    masked = np.ma.masked_array([1.0, 2.0, 2.0], [True, False, False])
    assert isinstance(tensorops.softmax(masked), np.ma.MaskedArray)
    mixed = tensorops.softmax_backward(np.ones(3, np.float32), np.ones(3))
    assert mixed.dtype == np.float64
    with pytest.raises(TypeError):
        tensorops.softmax(np.array(["a", "b"]))


def test_a_long_row_that_is_not_contiguous() -> None:
    x = np.random.default_rng(0).normal(size=700_000).astype(np.float32)
    assert np.array_equal(tensorops.softmax(x[::2]), tensorops.softmax(x[::2].copy()))


@EVERY
def test_the_same_call_gives_the_same_bits(name: str) -> None:
    operands = operands_of(name, (300,), 400, "float32")
    results = [run(name, fresh(operands)) for _ in range(2)]
    first, second = (result if SPECS[name].outputs > 1 else (result,) for result in results)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@EACH_DTYPE
def test_the_selected_instruction_set_computes(dtype: str) -> None:
    assert family.kernel_name(dtype) == f"rows_{cpu.selected_isa()}_{dtype}"
    with pytest.raises(TypeError, match="int8"):
        family.kernel_name("int8")


@EVERY
def test_the_oracle_catches_a_wrong_element(name: str) -> None:
    operands = operands_of(name, (3,), 10, "float32")
    found = run(name, fresh(operands))
    with pytest.raises(AssertionError):
        if SPECS[name].outputs > 1:
            check(name, operands, (*found[:-1], found[-1] * np.float32(1.0001)))
        else:
            check(name, operands, found * (1.0001 if isinstance(found, float) else np.float32(1.0001)))
