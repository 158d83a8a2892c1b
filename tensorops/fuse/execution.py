"""One call of a compiled expression: its operands brought into form, its result allocated and returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tensorops.fuse.building import Built
from tensorops.fuse.errors import FuseError
from tensorops.fuse.planning import Plan
from tensorops.fuse.types import BOOL, FLOATS

Array = np.ndarray[Any, Any]
STARTS = {"sum": 0.0, "mean": 0.0, "max": -np.inf, "min": np.inf}


def prepared(value: Any) -> Any:
    """Return an argument as a kernel can read it.

    Parameters
    ----------
    value : object
        As the caller gave it.

    Returns
    -------
    ndarray or number
        An aligned array of this machine's byte order, or a number.

    Raises
    ------
    FuseError
        If it is of a type that decides for itself what is done with it.

    Examples
    --------
    >>> prepared(np.array(2.0)), prepared([1, 2])
    (np.float64(2.0), array([1, 2]))
    """
    if type(value) in (float, int, bool) or isinstance(value, np.generic):
        return value
    if type(value) in (list, tuple):
        value = np.asarray(value)
    if type(value) is not np.ndarray:
        raise FuseError(
            f"an argument of type {type(value).__module__}.{type(value).__qualname__} is not fused"
        )
    if value.ndim == 0:
        return value[()]
    if value.dtype.kind not in "fiub":
        raise FuseError(f"an array of {value.dtype} is not fused")
    if not value.flags.aligned or not value.dtype.isnative:
        return value.astype(value.dtype.newbyteorder("="))
    return value


def is_plain(plan: Plan, built: Built, count: int) -> bool:
    """Tell whether calls like this one may go straight to the kernel.

    Parameters
    ----------
    plan : Plan
        What is computed.
    built : Built
        By which kernel.
    count : int
        Arguments given by position.

    Returns
    -------
    bool
        Whether the kernel reads all arguments as they are and writes the result as it is.
    """
    graph = plan.graph
    return (
        graph.reduction is None
        and not plan.before_kernel
        and count == len(graph.parameters)
        and len(plan.arrays) + len(plan.numbers) == count
        and built.dtype == built.kernel.dtype
        and all(built.types.kinds[number] == built.kernel.dtype for number in plan.arrays)
        and all(built.types.kinds[number] in (float, int) for number in plan.numbers)
    )


def is_empty_reduction(plan: Plan, arguments: Sequence[Any]) -> bool:
    """Tell whether nothing is reduced, on which NumPy has its own say.

    Parameters
    ----------
    plan : Plan
        What is computed.
    arguments : sequence
        All of the call.

    Returns
    -------
    bool
        Whether the expression ends with a reduction and an array is empty.
    """
    return plan.graph.reduction is not None and any(arguments[number].size == 0 for number in plan.arrays)


def compute(
    name: str, plan: Plan, built: Built, arguments: Sequence[Any], values: dict[int, Any], out: Array | None
) -> Any:
    """Compute a call.

    Parameters
    ----------
    name : str
        Of the function, for messages.
    plan : Plan
        What is computed.
    built : Built
        By which kernel.
    arguments : sequence
        All of the call, as `prepared` returns them.
    values : dict of int to number
        What the plan's numbers come to.
    out : ndarray or None
        Where to write the result.

    Returns
    -------
    ndarray or number
        The result, `out` if that was given.

    Raises
    ------
    TypeError
        If the result cannot be cast to the dtype of `out`.
    ValueError
        If shapes do not fit, or `out` cannot be written.
    """
    arrays = [arguments[number] for number in plan.arrays]
    try:
        shape = np.broadcast_shapes(*[array.shape for array in arrays])
    except ValueError:
        raise ValueError(
            f"{name}: operands of shapes {', '.join(str(array.shape) for array in arrays)} do not broadcast"
        ) from None
    _check_growth(name, plan, arguments)
    numbers = [float(values[number]) for number in plan.numbers]
    if plan.graph.reduction is not None:
        return _reduced(name, plan, built, arguments, arrays, shape, numbers, out)
    if out is None:
        result = _empty(arrays, shape, built.dtype)
        if built.dtype not in (*FLOATS, BOOL):
            return _run(built, arrays, numbers, np.empty(shape, built.kernel.dtype)).astype(built.dtype)
        return _run(built, arrays, numbers, result)
    check_out(name, out, shape, built.dtype)
    direct = (built.dtype in FLOATS and out.dtype in FLOATS) or (built.dtype == BOOL and out.dtype == BOOL)
    if not direct or type(out) is not np.ndarray or not out.flags.aligned:
        np.copyto(out, compute(name, plan, built, arguments, values, None), casting="same_kind")
        return out
    for place, array in enumerate(arrays):
        if np.may_share_memory(array, out) and not _is_same(array, out):
            arrays[place] = array.copy()
    return _run(built, arrays, numbers, out)


def _run(built: Built, arrays: Sequence[Array], numbers: Sequence[float], result: Array) -> Array:
    operands = [
        array if array.shape == result.shape else np.broadcast_to(array, result.shape) for array in arrays
    ]
    built.kernel.run(operands, numbers, result)
    return result


def _empty(arrays: Sequence[Array], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return a new array that lies in memory as NumPy would lay the result."""
    for array in arrays:
        if array.shape == shape:
            return np.empty_like(array, dtype=dtype)
    return np.empty(shape, dtype)


def _reduced(
    name: str,
    plan: Plan,
    built: Built,
    arguments: Sequence[Any],
    arrays: Sequence[Array],
    shape: tuple[int, ...],
    numbers: Sequence[float],
    out: Array | None,
) -> Any:
    reduction = plan.graph.reduction
    assert reduction is not None
    every = range(len(shape)) if reduction.axis is None else reduction.axis
    axes = normalize_axis_tuple(tuple(every) if isinstance(every, range) else every, len(shape))
    kept = tuple([1 if axis in axes else size for axis, size in enumerate(shape)])
    final = (
        kept if reduction.keepdims else tuple([size for axis, size in enumerate(shape) if axis not in axes])
    )
    if out is not None:
        check_out(name, out, final, None)
    total = np.full(kept, STARTS[reduction.kind])
    kind = "sum" if reduction.kind == "mean" else reduction.kind
    operands = [np.broadcast_to(array, shape) for array in arrays]
    built.kernel.run(operands, numbers, np.broadcast_to(total, shape), kind)
    if reduction.kind == "mean":
        total /= np.prod([shape[axis] for axis in axes], dtype=np.float64)
    with np.errstate(all="ignore"):
        result: Any = total.astype(built.dtype, copy=False).reshape(final)[()]
    if plan.after:
        result = plan.finish(arguments, result)
    return result if out is None else written(name, result, out)


def _check_growth(name: str, plan: Plan, arguments: Sequence[Any]) -> None:
    """Refuse ``y += value`` where the value has more elements than y, as NumPy does."""
    graph = plan.graph
    for before, after, place in graph.grown:
        shapes = []
        for root in (before, after):
            parts = [n for n in graph.needed([root], {}) if n in plan.arrays]
            shapes.append(np.broadcast_shapes(*[arguments[n].shape for n in parts]))
        if shapes[0] != shapes[1] and shapes[0] != ():
            where = "" if place is None else f"\n{place.pointed()}"
            raise ValueError(
                f"{name}: a value of shape {shapes[1]} does not fit into one of {shapes[0]}{where}"
            )


def check_out(name: str, out: Array, shape: tuple[int, ...], dtype: np.dtype[Any] | None) -> None:
    """Check an array to be written.

    Parameters
    ----------
    name : str
        Of the function, for messages.
    out : ndarray
        The array.
    shape : tuple of int
        The result's.
    dtype : dtype or None
        The result's, if it is known.

    Raises
    ------
    TypeError
        If the result cannot be cast to its dtype.
    ValueError
        If it has another shape, is read-only or has elements that share memory.
    """
    if out.shape != shape:
        raise ValueError(
            f"{name}: a result of shape {shape} does not fit the array to be written, of shape {out.shape}"
        )
    if not out.flags.writeable:
        raise ValueError(f"{name}: the array to be written is read-only")
    if dtype is not None and not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{name}: a result of {dtype} cannot be written to an array of {out.dtype}")
    covered = out.itemsize
    for stride, size in sorted(zip(map(abs, out.strides), out.shape, strict=True)):
        if size > 1:
            if stride < covered and out.size:
                raise ValueError(f"{name}: several elements of the array to be written share memory")
            covered += stride * (size - 1)


def written(name: str, result: Any, out: Array) -> Array:
    """Write NumPy's result.

    Parameters
    ----------
    name : str
        Of the function, for messages.
    result : array_like
        What was computed.
    out : ndarray
        The array to be written.

    Returns
    -------
    ndarray
        `out`.

    Raises
    ------
    TypeError
        If the result cannot be cast to its dtype.
    ValueError
        If it has another shape, is read-only or has elements that share memory.
    """
    check_out(name, out, np.shape(result), np.asarray(result).dtype)
    np.copyto(out, result, casting="same_kind")
    return out


def _is_same(x: Array, out: Array) -> bool:
    """Tell whether two arrays have the same elements in the same places."""
    return (
        x.__array_interface__["data"][0] == out.__array_interface__["data"][0]
        and x.shape == out.shape
        and x.strides == out.strides
        and x.dtype == out.dtype
    )
