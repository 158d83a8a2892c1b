"""dask: arrays larger than the memory, or on many machines, part by part with this library's kernels.

The result is a dask array, nothing is computed before it is asked for, and no dask array is ever
turned into an ndarray. Each part is a call of the public function, on whatever machine the scheduler
chose.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tensorops.backends.base import FLOAT_DTYPES, Array, Call, ComputeBackend
from tensorops.operations import OPERATIONS, product_dims
from tensorops.runtime import openmp

Part = Callable[..., Any]


class DaskBackend(ComputeBackend):
    """Products, elementwise operations and rows on dask arrays, and by name on arrays in memory.

    Examples
    --------
    >>> DaskBackend().paths()
    ('dask',)
    """

    name = "dask"
    array_types = ("dask.array.core.Array",)

    def available(self) -> str | None:
        """Return why dask cannot be used, without importing it: see `ComputeBackend`."""
        return None if _installed() else "dask is not installed: python -m pip install 'dask[array]'"

    def automatic(self) -> str | None:
        """Return why arrays in memory are not given to dask: see `ComputeBackend`."""
        return "it computes dask arrays, and what asks for it by name"

    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can: see `ComputeBackend`."""
        if _kind(call.op) is None or call.in_place:
            return f"it has no {call.op}"
        if call.dtype not in FLOAT_DTYPES:
            return f"dtype {call.dtype} is not {' or '.join(FLOAT_DTYPES)}"
        return None

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute `op` on arrays in memory, one part after the other: see `ComputeBackend`."""
        da = importlib.import_module("dask.array")
        threads = params.pop("threads", 0)
        lazy = self.apply(op, [da.from_array(x, name=False) for x in arrays], params, self.name)
        before = openmp.limit_this_thread(threads)
        try:
            out[...] = lazy.compute(scheduler="synchronous")
        finally:
            openmp.limit_this_thread(before)
        return out

    def apply(self, op: str, operands: Sequence[Any], params: Mapping[str, Any], backend: str | None) -> Any:
        """Return the dask array of the result: see `ComputeBackend`.

        Raises
        ------
        TypeError
            If `op` changes its first operand.
        ValueError
            If the shapes do not fit each other, or a size that has to be known is not.
        NotImplementedError
            If `op` cannot be computed part by part.
        """
        kind = _kind(op)
        if OPERATIONS[op].in_place:
            raise TypeError(f"{op} changes its first operand, and a dask array cannot be changed")
        if kind is None:
            raise NotImplementedError(f"{op} cannot be computed on dask arrays")
        da = importlib.import_module("dask.array")
        arrays = [da.asanyarray(x) for x in operands]
        if any(type(x._meta) is not np.ndarray for x in arrays):
            # Parts that are no plain arrays, such as masked ones: NumPy's rules for their type hold.
            return NotImplemented
        chosen = None if backend is None else (None if backend == self.name else backend,)
        return kind(da, functools.partial(compute_part, op, dict(params), chosen), op, arrays, params)

    def part_of(self, op: str, operands: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of a part, of the largest chunks: see `ComputeBackend`."""
        da = importlib.import_module("dask.array")
        arrays = [da.asanyarray(x) for x in operands]
        shapes = [x.chunksize for x in arrays]
        if OPERATIONS[op].cost_class == "product" and len(arrays) > 1 and arrays[1].ndim > 1:
            # The second operand is cut along the contracted dimension as the first one is.
            shapes[1] = (*shapes[1][:-2], shapes[0][-1], shapes[1][-1])
        return tuple(shapes)


def compute_part(op: str, params: Mapping[str, Any], chosen: tuple[str | None] | None, /, *parts: Any) -> Any:
    """Compute one part of the result: what a task of the graph calls, in any process.

    Parameters
    ----------
    op : str
        Name in the operation registry.
    params : mapping of str to object
        The operation's parameters.
    chosen : tuple of (str or None), optional
        The backend for the parts, None in a tuple for the automatic choice; without it, the one that
        the process doing the work would take.
    *parts : ndarray
        Parts of the operands.

    Returns
    -------
    ndarray
        A new array.
    """
    library = importlib.import_module("tensorops")
    function = getattr(library, op)
    before = openmp.limit_this_thread(-1)
    if threading.current_thread() is not threading.main_thread():
        # The scheduler has given the other cores to other parts.
        openmp.limit_this_thread(1)
    try:
        if chosen is None and os.environ.get("TENSOROPS_BACKEND", "") != DaskBackend.name:
            return function(*parts, **params)
        with library.use_backend(chosen[0] if chosen else None):
            return function(*parts, **params)
    finally:
        openmp.limit_this_thread(before)


def _product(da: Any, part: Part, op: str, arrays: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Multiply part by part, and add along the contracted dimension as a tree."""
    a, b = arrays
    _check_product(op, a.shape, b.shape)
    row, column = a.ndim == 1, b.ndim == 1
    a = a[np.newaxis, :] if row else a
    b = b[:, np.newaxis] if column else b
    if a.chunks[-1] != b.chunks[-2]:
        # The smaller one is cut as the larger one is.
        if a.nbytes < b.nbytes:
            a = a.rechunk({a.ndim - 1: b.chunks[-2]})
        else:
            b = b.rechunk({b.ndim - 2: a.chunks[-1]})
    dims = max(a.ndim, b.ndim) - 2
    batch, (m, k, n) = tuple(range(dims)), range(dims, dims + 3)
    indices = ((*batch[dims + 2 - a.ndim :], m, k), (*batch[dims + 2 - b.ndim :], k, n))
    dtype = np.result_type(a.dtype, b.dtype)
    if a.numblocks[-1] == 1:
        options: dict[str, Any] = {"concatenate": True, "meta": np.empty((0,) * (dims + 2), dtype)}
        result = da.blockwise(part, (*batch, m, n), a, indices[0], b, indices[1], dtype=dtype, **options)
    else:
        options = {"adjust_chunks": {k: 1}, "meta": np.empty((0,) * (dims + 3), dtype)}
        terms = da.blockwise(
            functools.partial(_term, part), (*batch, m, k, n), a, indices[0], b, indices[1],
            dtype=dtype, concatenate=False, **options,
        )  # fmt: skip
        result = da.reduction(terms, _sum, _sum, axis=dims + 1, dtype=dtype, concatenate=False)
    if column:
        result = result[..., 0]
    if row:
        result = result[..., 0] if column else result[..., 0, :]
    return result


def _layer(da: Any, part: Part, op: str, arrays: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Compute parts that hold whole rows of the input: an activation follows the complete sum."""
    x, weight, *bias = arrays
    shapes = [array.shape for array in arrays]
    if any(math.isnan(size) for size in (*x.shape[-1:], *itertools.chain(*shapes[1:]))):
        raise ValueError(
            f"{op}: shapes {', '.join(map(str, shapes))}: all but the leading dimensions must be known; call "
            "compute_chunk_sizes() on the operand first"
        )
    OPERATIONS[op].out_shape([[1 if math.isnan(size) else size for size in shape] for shape in shapes])
    leading, k, n = tuple(range(x.ndim - 1)), x.ndim - 1, x.ndim
    x, weight = x.rechunk({k: -1}), weight.rechunk({0: -1})
    pairs = [x, (*leading, k), weight, (k, n)]
    for row in bias:
        pairs += [row.rechunk({0: weight.chunks[1]}), (n,)]
    dtype = part(*(np.ones((1,) * array.ndim, array.dtype) for array in arrays)).dtype
    meta = np.empty((0,) * x.ndim, dtype)
    return da.blockwise(part, (*leading, n), *pairs, dtype=dtype, meta=meta, concatenate=True)


def _check_product(op: str, left: Sequence[float], right: Sequence[float]) -> None:
    """Raise an error for shapes that do not fit; rows of the left and columns of the right may be unknown."""
    shapes = [list(left), list(right)]
    if len(left) > 1 and math.isnan(left[-2]):
        shapes[0][-2] = 1
    if len(right) > 1 and math.isnan(right[-1]):
        shapes[1][-1] = 1
    if any(math.isnan(size) for shape in shapes for size in shape):
        raise ValueError(
            f"{op}: shapes {tuple(left)} and {tuple(right)}: the contracted and the leading dimensions must "
            "be known; call compute_chunk_sizes() on the operand first"
        )
    product_dims([[int(size) for size in shape] for shape in shapes])


def _term(part: Part, a: Any, b: Any) -> Any:
    """Return one term of a product's sum, with a dimension of 1 for the contracted one."""
    return part(a, b)[..., np.newaxis, :]


def _sum(terms: Any, axis: Any, keepdims: bool) -> Any:
    """Add terms, given as nested lists. None is changed: the scheduler may need it again."""
    blocks = list(_flat(terms))
    total = blocks[0]
    if len(blocks) > 1:
        total = np.add(blocks[0], blocks[1])
        for block in blocks[2:]:
            np.add(total, block, out=total)
    return total if keepdims else total.squeeze(axis)


def _flat(blocks: Any) -> Any:
    if isinstance(blocks, list | tuple):
        for block in blocks:
            yield from _flat(block)
    else:
        yield blocks


def _elementwise(da: Any, part: Part, op: str, arrays: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Compute the parts that lie on each other; a dimension of 1 lies on all parts of another operand's."""
    try:
        dims = len(np.broadcast_shapes(*(x.shape for x in arrays)))
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ValueError(f"{op}: operands of shapes {shapes} do not broadcast") from None
    return _blocks(da, part, arrays, [tuple(range(dims - x.ndim, dims)) for x in arrays], dims)


def _rows(da: Any, part: Part, op: str, arrays: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Compute whole rows: no part ends inside of one. Further operands hold one value for each column."""
    first = arrays[0]
    axis = int(params.get("axis", -1))
    if not -first.ndim <= axis < first.ndim:
        raise ValueError(f"{op}: axis {axis} does not exist in an operand of shape {first.shape}")
    axis %= first.ndim
    columns = first.shape[axis]
    whole = [first.rechunk({axis: -1})]
    for x in arrays[1:]:
        if x.shape != (columns,) and x.shape != first.shape:
            raise ValueError(
                f"{op}: shapes {first.shape} and {x.shape} do not fit: rows of {columns} columns"
            )
        whole.append(x.rechunk({axis if x.ndim == first.ndim else 0: -1}))
    indices = [tuple(range(first.ndim)) if x.ndim == first.ndim else (axis,) for x in whole]
    return _blocks(da, part, whole, indices, first.ndim)


def _blocks(da: Any, part: Part, arrays: Sequence[Any], indices: Sequence[Any], dims: int) -> Any:
    """Call `part` on the parts of operands that share the numbers of their dimensions."""
    dtype = part(*(np.ones((1,) * x.ndim, x.dtype) for x in arrays)).dtype
    pairs = [item for pair in zip(arrays, indices, strict=True) for item in pair]
    meta = np.empty((0,) * dims, dtype)
    return da.blockwise(part, tuple(range(dims)), *pairs, dtype=dtype, meta=meta, concatenate=True)


_KINDS: Mapping[str, Callable[..., Any]] = {
    "product": _product,
    "elementwise": _elementwise,
    "rows": _rows,
}
"""By cost class: ``function(da, part, op, arrays, params)``, the lazy result."""


def _kind(op: str) -> Callable[..., Any] | None:
    """Return the function that puts an operation together from parts."""
    spec = OPERATIONS.get(op)
    if spec is None or spec.outputs > 1 or spec.operands is not None:
        # Sums over the rows, or operands that are no real numbers.
        return None
    return _layer if op == "linear" else _KINDS.get(spec.cost_class)


@functools.cache
def _installed() -> bool:
    if "dask.array" in sys.modules:
        return True
    try:
        return importlib.util.find_spec("dask") is not None
    except (ImportError, ValueError):
        return False
