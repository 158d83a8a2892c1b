"""What the boundaries of operations with several kinds of operands check before anything is computed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Later", "answers_for_itself", "common_arrays", "folds_onto_itself", "result_for"]


class Later:
    """A function of a module that is imported when it is called for the first time.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    name : str
        Name of the function.

    Examples
    --------
    >>> Later("math", "gcd")(12, 18)
    6
    """

    __slots__ = ("_function", "_module", "_name")

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name
        self._function: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        if self._function is None:
            self._function = getattr(importlib.import_module(self._module), self._name)
        return self._function(*arguments)


def answers_for_itself(operand: object) -> bool:
    """Tell whether an operand's type decides what NumPy's functions do with it or return.

    Parameters
    ----------
    operand : object
        As the caller gave it.

    Returns
    -------
    bool
        True for subclasses of ndarray, and for other types with NumPy's protocols.

    Examples
    --------
    >>> answers_for_itself(np.ma.ones(2)), answers_for_itself(np.ones(2)), answers_for_itself([1.0])
    (True, False, False)
    """
    kind = type(operand)
    if kind is np.ndarray or isinstance(operand, np.generic):
        return False
    return hasattr(kind, "__array_ufunc__") or hasattr(kind, "__array_wrap__")


def common_arrays(operands: Sequence[Any]) -> tuple[list[np.ndarray[Any, Any]], np.dtype[Any]]:
    """Return operands as arrays, and the dtype that they are computed in.

    Parameters
    ----------
    operands : sequence of array_like
        As the caller gave them.

    Returns
    -------
    arrays : list of ndarray
        Where the dtype is float32 or float64: native and aligned, of this dtype; those that were so already
        are not copied.
    dtype : numpy.dtype
        NumPy's common dtype.

    Examples
    --------
    >>> arrays, dtype = common_arrays([np.ones(2, np.float32), [1.0]])
    >>> dtype, len(arrays)
    (dtype('float64'), 2)
    """
    arrays = [np.asarray(operand) for operand in operands]
    dtype = np.result_type(*arrays)
    if dtype.char in "fd":
        arrays = [np.require(array, dtype, "A") for array in arrays]
    return arrays, dtype


def folds_onto_itself(array: np.ndarray[Any, Any]) -> bool:
    """Tell whether two elements of an array may be one and the same in memory.

    Parameters
    ----------
    array : ndarray
        The array to be written.

    Returns
    -------
    bool
        False where each element has a place of its own.

    Examples
    --------
    >>> folds_onto_itself(np.broadcast_to(np.ones(2), (3, 2))), folds_onto_itself(np.ones((3, 2)))
    (True, False)
    """
    if array.size == 0 or array.flags.c_contiguous:
        return False
    covered = array.itemsize
    for stride, size in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if stride < covered:
            return True
        covered += stride * (size - 1)
    return False


def result_for(
    op: str,
    out: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    operands: Sequence[np.ndarray[Any, Any]],
) -> np.ndarray[Any, Any]:
    """Return the array to compute into: `out` if it can be written straight away, else a new one.

    Parameters
    ----------
    op : str
        The operation, for the messages.
    out : object
        What the caller wants to be written, or None.
    shape : tuple of int
        Shape of the result.
    dtype : numpy.dtype
        Dtype of the result.
    operands : sequence of ndarray
        What is read.

    Returns
    -------
    ndarray
        Of this shape and dtype, native and aligned.

    Raises
    ------
    TypeError
        If `out` is no array, or the result's dtype cannot be cast to its own.
    ValueError
        If `out` has another shape, is read-only, has several elements in one place, or overlaps an operand.

    Examples
    --------
    >>> result_for("conv2d", None, (2,), np.dtype("f4"), []).shape
    (2,)
    """
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{op}: out must be an array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"{op}: out has the shape {out.shape}, but the operands give {shape}")
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{op}: out has the dtype {out.dtype}, which cannot take results of {dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{op}: out is read-only")
    if folds_onto_itself(out):
        raise ValueError(f"{op}: several elements of out share memory")
    if any(np.may_share_memory(out, operand) and np.shares_memory(out, operand) for operand in operands):
        raise ValueError(f"{op}: out overlaps an operand")
    if type(out) is np.ndarray and out.dtype == dtype and out.flags.behaved and out.dtype.isnative:
        return out
    return np.empty(shape, dtype)
