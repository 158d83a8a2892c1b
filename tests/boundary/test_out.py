"""``out``: any strides, any overlap with an operand or itself; nothing is written where it does not fit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

import tensorops
from tests.boundary.contract import Array, Matmul, difference
from tests.boundary.strategies import ARRANGEMENTS, FLOATS, arrays, repeatable, shape_pairs

SHAPE_A, SHAPE_B, SHAPE = (2, 3), (3, 4), (2, 4)


def operands(dtype: str = "float32") -> tuple[Array, Array]:
    return np.arange(6).reshape(SHAPE_A).astype(dtype), np.arange(12).reshape(SHAPE_B).astype(dtype)


@repeatable
@given(st.data())
def test_out_of_any_arrangement(data: st.DataObject) -> None:
    a, b = (data.draw(arrays(shape, "float32")) for shape in data.draw(shape_pairs()))
    arrangement = data.draw(st.sampled_from(ARRANGEMENTS[:-1]))
    out = arrangement(np.full(np.matmul(a, b).shape, np.nan, data.draw(st.sampled_from(FLOATS))))
    assert tensorops.matmul(a, b, out) is out
    assert np.array_equal(out, np.matmul(a, b))


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_way_to_pass_it(dtype: str) -> None:
    a, b = operands(dtype)
    for pass_it in (
        lambda out: tensorops.matmul(a, b, out),
        lambda out: tensorops.matmul(a, b, out=out),
        lambda out: tensorops.matmul(a, b, out=(out,)),
    ):
        out = np.full(SHAPE, np.nan, dtype)
        assert pass_it(out) is out
        assert np.array_equal(out, a @ b)
    for nothing in (lambda: tensorops.matmul(a, b, None), lambda: tensorops.matmul(a, b, out=(None,))):
        assert np.array_equal(nothing(), a @ b)


def test_what_lies_around_it_is_kept() -> None:
    for step_m, step_n in itertools.product((1, 2, -1, -2), repeat=2):
        block = np.full((12, 20), 7.0, np.float32)
        inside = np.zeros(block.shape, bool)
        rows, columns = slice(5, 5 + 2 * step_m, step_m), slice(9, 9 + 4 * step_n, step_n)
        inside[rows, columns] = True
        tensorops.matmul(*operands(), out=block[rows, columns])
        assert np.array_equal(block[rows, columns], np.matmul(*operands()))
        assert (block[~inside] == 7).all()


OUTS: dict[str, Callable[[], Any]] = {
    "wrong rows": lambda: np.zeros((3, 4), np.float32),
    "wrong columns": lambda: np.zeros((2, 5), np.float32),
    "turned": lambda: np.zeros((4, 2), np.float32),
    "one dimension": lambda: np.zeros(8, np.float32),
    "one row": lambda: np.zeros(4, np.float32),
    "no dimension": lambda: np.zeros((), np.float32),
    "one row of two": lambda: np.zeros((1, 4), np.float32),
    "a leading one": lambda: np.zeros((1, 2, 4), np.float32),
    "repeated": lambda: np.zeros((3, 2, 4), np.float32),
    "empty": lambda: np.zeros((0, 4), np.float32),
    "an empty stack": lambda: np.zeros((0, 2, 4), np.float32),
    "float64": lambda: np.zeros(SHAPE),
    "float16": lambda: np.zeros(SHAPE, np.float16),
    "integers": lambda: np.zeros(SHAPE, int),
    "booleans": lambda: np.zeros(SHAPE, bool),
    "complex": lambda: np.zeros(SHAPE, complex),
    "objects": lambda: np.zeros(SHAPE, object),
    "text": lambda: np.zeros(SHAPE, "U8"),
    "records": lambda: np.zeros(SHAPE, "f4,f4"),
    "other bytes": lambda: np.zeros(SHAPE, np.dtype(np.float32).newbyteorder("S")),
    "unaligned": lambda: np.zeros(33, np.uint8)[1:].view(np.float32).reshape(SHAPE),
    "matrix": lambda: np.zeros(SHAPE, np.float32).view(np.matrix),
    "list": lambda: [[0.0] * 4] * 2,
    "text itself": lambda: "out",
    "number": lambda: 3.0,
    "NumPy's number": lambda: np.float32(3),
    "class": lambda: np.ndarray,
    "tuple of none": lambda: (),
    "tuple of two": lambda: (np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)),
    "tuple of list": lambda: ([0.0],),
    "tuple of tuple": lambda: ((np.zeros(SHAPE, np.float32),),),
}


@pytest.mark.parametrize("name", OUTS)
@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_what_numpy_takes_or_refuses(name: str, dtype: str) -> None:
    a, b = operands(dtype)
    assert difference(lambda matmul: matmul(a, b, out=OUTS[name]())) is None
    if not name.startswith("tuple"):
        assert difference(lambda matmul: matmul(a, b, OUTS[name]())) is None


def test_a_tuple_means_the_same_by_position() -> None:
    # One parameter takes both: NumPy has tuples as a keyword only.
    out = np.zeros(SHAPE, np.float32)
    assert tensorops.matmul(*operands(), (out,)) is out
    assert np.array_equal(out, np.matmul(*operands()))
    with pytest.raises(ValueError, match="exactly one"):
        tensorops.matmul(*operands(), (out, out))


@pytest.mark.parametrize(
    ("shapes", "out"),
    [
        (((1, 2, 3), (3, 4)), (5, 2, 4)),
        (((1, 2, 3), (3, 4)), (2, 4)),
        (((1, 2, 3), (1, 3, 4)), (2, 4)),
        (((2, 2, 3), (3, 4)), (2, 4)),
        (((2, 2, 3), (3, 4)), (3, 2, 4)),
        (((2, 2, 3), (3, 4)), (1, 2, 4)),
        (((2, 1, 2, 3), (3, 4)), (2, 6, 2, 4)),
        (((3,), (3, 4)), (4,)),
        (((3,), (3, 4)), (1, 4)),
        (((3,), (3, 4)), (2, 4)),
        (((3,), (3,)), ()),
        (((3,), (3,)), (1,)),
        (((3,), (3,)), (4,)),
        (((2, 3), (3,)), (2,)),
        (((2, 3), (3,)), (2, 1)),
        (((5, 2, 3), (3,)), (5, 2)),
        (((1, 2, 3), (3,)), (5, 2)),
        (((3,), (1, 3, 4)), (5, 4)),
    ],
    ids=str,
)
def test_out_takes_part_in_broadcasting(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], out: tuple[int, ...]
) -> None:
    a, b = (np.arange(np.prod(shape)).reshape(shape).astype(np.float32) for shape in shapes)
    assert difference(lambda matmul: matmul(a, b, out=np.full(out, np.nan, np.float32))) is None


@pytest.mark.parametrize("name", OUTS)
def test_a_refused_out_and_its_operands_are_untouched(name: str) -> None:
    a, b = operands()
    kept, out = (a.copy(), b.copy()), OUTS[name]()
    before = np.array(out, copy=True) if isinstance(out, np.ndarray) else None
    try:
        tensorops.matmul(a, b, out=out)
    except (TypeError, ValueError):
        if before is not None:
            assert np.array_equal(out, before)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])


@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_a_read_only_out_is_refused(dtype: str) -> None:
    def call(matmul: Matmul) -> object:
        out = np.zeros(SHAPE, dtype)
        out.flags.writeable = False
        return matmul(*operands(dtype), out=out)

    assert difference(call) is None
    with pytest.raises(ValueError, match="read-only"):
        call(tensorops.matmul)


def test_errors_name_the_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(2, 3\).*\(2, 4\)"):
        tensorops.matmul(*operands(), out=np.zeros((3, 4), np.float32))


# Each takes a block of memory and gives (a, b, out) as views of it.
OVERLAPS: dict[str, Callable[[Array], tuple[Array, Array, Array]]] = {
    "out is a": lambda x: (x[:6, :6], x[6:12, :6], x[:6, :6]),
    "out is b": lambda x: (x[:6, :6], x[6:12, :6], x[6:12, :6]),
    "all three": lambda x: (x[:6, :6], x[:6, :6], x[:6, :6]),
    "a turned": lambda x: (x[:6, :6], x[6:12, :6], x[:6, :6].T),
    "b turned": lambda x: (x[:6, :6], x[6:12, :6].T, x[6:12, :6]),
    "a reversed": lambda x: (x[:6, :6], x[6:12, :6], x[5::-1, 5::-1]),
    "a one row down": lambda x: (x[:6, :6], x[12:18, :6], x[1:7, :6]),
    "a one row up": lambda x: (x[1:7, :6], x[12:18, :6], x[:6, :6]),
    "a one column on": lambda x: (x[:6, :6], x[12:18, :6], x[:6, 1:7]),
    "b one column back": lambda x: (x[:6, :6], x[12:18, 1:7], x[12:18, :6]),
    "a corner": lambda x: (x[:6, :6], x[12:18, :6], x[5:11, 5:11]),
    "columns between": lambda x: (x[:6, 0:12:2], x[12:18, :6], x[:6, 1:13:2]),
    "rows between": lambda x: (x[0:12:2, :6], x[12:18, :6], x[1:13:2, :6]),
    "operands repeated": lambda x: (np.broadcast_to(x[:1, :6], (6, 6)), x[12:18, :6], x[:6, :6]),
    "a vector": lambda x: (x[:6, :6], x[0, :6], x[0, :6]),
    "a column": lambda x: (x[:6, :6], x[:6, 0], x[:6, 0]),
    "a stack": lambda x: (x[:12, :6].reshape(2, 6, 6), x[:6, :6], x[1:13, :6].reshape(2, 6, 6)),
    "a stack and its vector": lambda x: (x[:12, :6].reshape(2, 6, 6), x[0, :6], x[:2, :6]),
    "many rows": lambda x: (x[:, :6], x[:6, :6], x[:, 3:9]),
    "the whole": lambda x: (x, x.T, x),
}


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("size", [20, 90], ids=["small", "large"])
@pytest.mark.parametrize("dtype", [*FLOATS, "int64"])
def test_overlap_with_an_operand(name: str, size: int, dtype: str, rng: np.random.Generator) -> None:
    values = rng.integers(-3, 4, size=(size, size)).astype(dtype)

    def call(matmul: Matmul) -> object:
        block = values.copy()
        a, b, out = OVERLAPS[name](block)
        expected = np.matmul(a.copy(), b.copy())
        result = matmul(a, b, out=out)
        assert result is out
        assert np.array_equal(out, expected)
        # All of the memory, not out alone.
        return block

    assert difference(call) is None


@pytest.mark.parametrize("shift", range(-8, 9))
def test_overlap_by_any_shift(shift: int) -> None:
    values = np.arange(40, dtype=np.float32) % 7

    def call(matmul: Matmul) -> object:
        line = values.copy()
        a, out = line[10:19].reshape(3, 3), line[10 + shift : 19 + shift].reshape(3, 3)
        matmul(a, a, out=out)
        return line

    assert difference(call) is None


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((4, 4), (0, 4)),
        ((4, 4), (4, 0)),
        ((4, 4), (4, 4)),
        ((4, 4), (8, 4)),
        ((4, 4), (12, 8)),
        ((2, 4, 4), (0, 16, 4)),
    ],
    ids=str,
)
def test_an_out_that_folds_onto_itself(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    # Which of the elements at one place wins is left open; that it is one of them, and that no other
    # memory is written, is not.
    a = np.arange(np.prod(shape)).reshape(shape).astype(np.float32)
    expected = np.matmul(a, a)
    line = np.full(64, np.nan, np.float32)
    out = as_strided(line[8:], shape, strides)
    assert tensorops.matmul(a, a, out=out) is out
    offsets = sum(
        np.ogrid[tuple(slice(size) for size in shape)][d] * strides[d] // 4 for d in range(len(shape))
    )
    places = 8 + np.broadcast_to(offsets, shape)
    for place in np.unique(places):
        assert line[place] in expected[places == place]
    outside = np.ones(64, bool)
    outside[np.unique(places)] = False
    assert np.isnan(line[outside]).all()


def test_an_unwritten_out_keeps_its_nan_out_of_the_result() -> None:
    for shape in [(2, 2), (40, 70), (1, 100), (100, 1), (3, 0)]:
        a = np.ones(shape, np.float32)
        out = np.full((shape[0], shape[0]), np.nan, np.float32)
        tensorops.matmul(a, a.T, out=out)
        assert (out == shape[1]).all()
