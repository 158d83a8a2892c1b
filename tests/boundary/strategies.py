"""Operands for the property tests: shapes by NumPy's rules, dtypes, arrangements in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

# The same examples in every run, and none kept from one run to the next.
repeatable = settings(derandomize=True, database=None, deadline=None, max_examples=150)

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
OTHERS = ("bool", "float16", "longdouble", "complex64", "complex128", "clongdouble", "object")
DTYPES = (*FLOATS, *INTEGERS, *OTHERS)

sizes = st.sampled_from([0, 1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33])


@st.composite
def shape_pairs(draw: st.DrawFn, *, fitting: bool = True) -> tuple[Shape, Shape]:
    """Draw the shapes of two operands that can be multiplied, or two that mostly cannot."""
    m, k, n = draw(st.tuples(sizes, sizes, sizes))
    batch = draw(st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=3))
    batches = []
    for _ in range(2):
        # Broadcasting: an operand lacks leading dimensions, or has a 1 where the other has more.
        kept = batch[draw(st.integers(0, len(batch))) :]
        batches.append(tuple(1 if draw(st.booleans()) and draw(st.booleans()) else size for size in kept))
    a: Shape = (*batches[0], m, k)
    b: Shape = (*batches[1], k, n)
    if draw(st.integers(0, 4)) == 0:
        a = (k,)
    if draw(st.integers(0, 4)) == 0:
        b = (k,)
    if not fitting:
        a, b = (draw(st.sampled_from([shape, shape[1:], (*shape, 2), shape[::-1], ()])) for shape in (a, b))
    return a, b


@st.composite
def arrays(draw: st.DrawFn, shape: Sequence[int], dtype: str) -> Array:
    """Draw an array of small whole numbers that lies in memory in one of many ways."""
    seed = draw(st.integers(0, 2**16))
    values = np.random.default_rng(seed).integers(0, 6, size=shape).astype(dtype)
    if dtype not in ("bool", "object") and np.dtype(dtype).kind in "ifc":
        values -= np.array(2, dtype)
    values = draw(st.sampled_from(ARRANGEMENTS))(values)
    if dtype != "object" and draw(st.integers(0, 5)) == 0:
        values = values.astype(values.dtype.newbyteorder("S"))
    if draw(st.booleans()):
        values.flags.writeable = False
    return values


def _gaps(x: Array) -> Array:
    block = np.zeros(tuple(2 * size + 1 for size in x.shape), x.dtype)
    view = block[(..., *(slice(1, None, 2) for _ in x.shape))]
    view[...] = x
    return view


def _reversed(x: Array) -> Array:
    return np.flip(np.ascontiguousarray(np.flip(x))) if x.ndim else x


def _unaligned(x: Array) -> Array:
    if x.dtype == object:
        return x
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    view = memory.view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def _field(x: Array) -> Array:
    # Elements that are a part of larger records, not at a multiple of their size.
    if x.dtype == object:
        return x
    records = np.zeros(x.shape, np.dtype([("before", "u1"), ("value", x.dtype), ("after", "u2")]))
    records["value"] = x
    return records["value"]


def _repeated(x: Array) -> Array:
    return np.broadcast_to(x[..., :1], x.shape).view() if x.ndim and x.shape[-1] else x


def _columns_first(x: Array) -> Array:
    return np.array(x, order="F")


def _matrices_turned(x: Array) -> Array:
    return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if x.ndim > 1 else x


def _axes_rolled(x: Array) -> Array:
    if x.ndim < 2:
        return x
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)


ARRANGEMENTS = (
    np.array,
    _columns_first,
    _matrices_turned,
    _axes_rolled,
    _gaps,
    _reversed,
    _unaligned,
    _field,
    _repeated,
)
