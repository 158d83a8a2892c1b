"""How many floating-point operations and bytes a call of NumPy's counts for: the conventions.

A floating-point operation is one of the results that a call computes element by element, whatever it
costs: an addition, a comparison and a tangent count 1 each. What only copies, selects or tests bits
counts 0, and so does arithmetic on integers and booleans. A function whose operations depend on the
values, or for which no number is agreed, has None instead of a number.

Bytes are the least memory traffic: each array operand read once, each result written once. Python
numbers and sequences among the operands have none.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Cost = tuple[int | None, int]
Convention = Callable[[tuple[Any, ...], dict[str, Any], Any], Cost]

# Ufuncs that count other than 1 for each element of the result.
UFUNC_FLOPS = {
    **dict.fromkeys(("conjugate", "copysign", "nextafter", "positive", "signbit", "spacing"), 0),
    **dict.fromkeys(("isfinite", "isinf", "isnan", "isnat"), 0),
    **dict.fromkeys(("logical_and", "logical_not", "logical_or", "logical_xor"), 0),
    "divmod": 2,
}
# Products, and what each of their elements adds up.
UFUNC_PRODUCTS = ("matmul", "matvec", "vecdot", "vecmat")
# Real operations that one operation on complex numbers stands for, where that is agreed.
COMPLEX_FACTORS = {
    **dict.fromkeys(("add", "subtract", "negative", "sum", "mean"), 2),
    **dict.fromkeys(("multiply", "square", "prod"), 6),
    **dict.fromkeys((*UFUNC_PRODUCTS, "dot", "inner", "vdot"), 4),
}

VALUES_DECIDE = "how many operations it takes depends on the values"
NOT_AGREED = "there is no agreed number of operations for it"
OTHER_TYPES = "there is no agreed number of operations for objects, or for this on complex numbers"
FAILED = "its arguments could not be read the way NumPy reads them"


def nbytes(*values: object) -> int:
    """Return the bytes of all arrays among the values, and in tuples and lists of them.

    Parameters
    ----------
    *values : object
        Operands or results of a call.

    Returns
    -------
    int
        Bytes; a NumPy scalar counts only as a result, see `result_bytes`.

    Examples
    --------
    >>> nbytes(np.zeros(4), [np.zeros(2), 1.0], 3)
    48
    """
    total = 0
    for value in values:
        if isinstance(value, np.ndarray):
            total += value.nbytes
        elif isinstance(value, list | tuple):
            total += nbytes(*(item for item in value if isinstance(item, np.ndarray | list | tuple)))
    return total


def result_bytes(result: object) -> int:
    """Return the bytes of a result: an array, a NumPy scalar or a tuple of them."""
    if isinstance(result, np.generic):
        return int(result.nbytes)
    if isinstance(result, tuple):
        return sum(map(result_bytes, result))
    return nbytes(result)


def flops_of_types(operations: int, factor: int, *values: object) -> int | None:
    """Turn operations into floating-point operations by the types of operands and results.

    Parameters
    ----------
    operations : int
        Operations on real numbers.
    factor : int
        Real operations for one on complex numbers; 0 where that is not agreed.
    *values : object
        Operands and results; what is no number or array does not decide.

    Returns
    -------
    int or None
        None for objects, types that NumPy does not define, and complex numbers without a factor.

    Examples
    --------
    >>> flops_of_types(10, 2, np.zeros(10, complex)), flops_of_types(10, 2, np.zeros(10, int), 3)
    (20, 0)
    """
    kinds = set()
    for value in values:
        if value is not None and not isinstance(value, tuple | str):
            dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
            kinds.add("O" if dtype.num >= 256 else dtype.kind)
    if operations == 0:
        return 0
    if "O" in kinds or ("c" in kinds and not factor):
        return None
    if "c" in kinds:
        return factor * operations
    return operations if "f" in kinds else 0


@dataclass(frozen=True)
class Formula:
    """A function whose operations are proportional to the sizes of operands and result.

    Attributes
    ----------
    parameters : tuple of str
        Names of the positional parameters; the operands come first.
    per_operand, per_result : int
        Operations for each element of the first operand, and of the result.
    operands : int
        How many of the parameters are operands.
    product : int
        As `profiling.collect.call_hooks.Rule` has it.
    complex_factor : int
        Real operations for one on complex numbers; 0 where that is not agreed.
    """

    parameters: tuple[str, ...]
    per_operand: int = 0
    per_result: int = 0
    operands: int = 1
    product: int = 0
    complex_factor: int = 0

    def __call__(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
        """Return the cost of any call, also of one with lists, ``where=`` or ``initial=``."""
        named = dict(zip(self.parameters, arguments, strict=False)) | dict(keywords)
        operands = [named.get(name) for name in self.parameters[: self.operands]]
        results = result if isinstance(result, tuple) else (result,)
        mask = named.get("where", True)
        size = nbytes(*operands) + result_bytes(result)
        first = np.asarray(operands[0]) if operands else np.empty(0)
        count = np.asarray(results[0]).size
        if mask is not True and isinstance(mask, np.ndarray | list | tuple | bool | np.bool):
            size += nbytes(mask)
            shape = first.shape if self.per_operand else np.shape(results[0])
            selected = int(
                np.count_nonzero(mask if np.shape(mask) == shape else np.broadcast_to(mask, shape))
            )
            operations = (
                self.per_operand * selected + self.per_result * count
                if self.per_operand
                else self.per_result * selected
            )
        else:
            operations = self.per_operand * first.size + self.per_result * count
        if self.per_operand and isinstance(named.get("initial"), int | float | complex | np.generic):
            operations += count
        if self.product:
            operations = self._products(first, named, count)
        return flops_of_types(max(0, operations), self.complex_factor, *operands, *results), size

    def _products(self, first: np.ndarray[Any, Any], named: Mapping[str, Any], count: int) -> int:
        if self.product == 2:
            return 2 * int(first.size) * count
        if first.ndim == 0:
            return count
        axis = named.get("axis", -1)
        if named.get("axes") is not None:
            axis = named["axes"][0]
            axis = axis if isinstance(axis, int) else axis[-1]
        return 2 * int(first.shape[axis]) * count


def cumulative(
    arguments: tuple[Any, ...],
    keywords: Mapping[str, Any],
    result: Any,
    *,
    factor: int = 0,
    axis: int | None = None,
) -> Cost:
    """Return the cost of a running sum or product: one operation less than elements on each line."""
    named = (
        {"axis": axis} | dict(zip(("a", "axis", "dtype", "out"), arguments, strict=False)) | dict(keywords)
    )
    operand, along = np.asarray(named.get("a", named.get("array"))), named["axis"]
    length = operand.size if along is None or operand.ndim == 0 else operand.shape[along]
    lines = operand.size // length if length else 0
    size = nbytes(operand) + result_bytes(result)
    return flops_of_types(operand.size - lines, factor, operand, result), size


def updated(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any, *, factor: int = 0) -> Cost:
    """Return the cost of ``ufunc.at``: one operation for each element that the index names."""
    target, index, *values = arguments
    if isinstance(index, tuple | slice):
        return None, nbytes(target, target, *values)
    chosen = np.asarray(index)
    whole = chosen.ndim if chosen.dtype == bool else 1
    count = np.count_nonzero(chosen) if chosen.dtype == bool else chosen.size
    touched = int(count) * math.prod(target.shape[whole:])
    size = 2 * touched * target.itemsize + nbytes(index, *values)
    return flops_of_types(touched, factor, target, *values), size


def spread(formula: Formula) -> Callable[..., Cost]:
    """Return the convention of ``var`` and ``std``: with ``mean=`` the mean is not taken again."""
    without = replace(formula, per_operand=formula.per_operand - 1)

    def cost(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
        given = isinstance(keywords.get("mean"), np.ndarray | np.generic)
        return (without if given else formula)(arguments, keywords, result)

    return cost


def clipped(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
    """Return the cost of ``clip``: a comparison for each element and each bound given."""
    named = dict(zip(("a", "a_min", "a_max", "out"), arguments, strict=False)) | dict(keywords)
    lower = named.get("min", named.get("a_min"))
    upper = named.get("max", named.get("a_max"))
    bounds = [bound for bound in (lower, upper) if isinstance(bound, np.ndarray | list) or is_number(bound)]
    operations = len(bounds) * np.size(result)
    return flops_of_types(operations, 0, named["a"], result), nbytes(named["a"], *bounds) + result_bytes(
        result
    )


def is_number(value: object) -> bool:
    """Tell whether a value is a number, of Python's or NumPy's."""
    return isinstance(value, int | float | complex | np.number)


def contracted(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
    """Return the cost of ``tensordot``: two operations for each product that is added up."""
    a, b = (np.asarray(operand) for operand in arguments[:2])
    axes = arguments[2] if len(arguments) > 2 else keywords.get("axes", 2)
    if isinstance(axes, int):
        length = math.prod(a.shape[a.ndim - axes :])
    else:
        left = axes[0] if isinstance(axes[0], Sequence) else (axes[0],)
        length = math.prod(a.shape[axis] for axis in left)
    flops = flops_of_types(2 * length * np.size(result), 4, a, b)
    return flops, nbytes(arguments[0], arguments[1]) + result_bytes(result)


def convolved(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
    """Return the cost of ``convolve`` and ``correlate``: the overlaps of the two, multiplied and added."""
    named = dict(zip(("a", "v", "mode"), arguments, strict=False)) | dict(keywords)
    operands = [np.asarray(named["a"]), np.asarray(named["v"])]
    short, long = sorted(operand.size for operand in operands)
    # Results with a part of an overlap, at the left and the right end.
    partial = np.size(result) - (long - short + 1)
    left = short // 2 if 0 < partial < 2 * (short - 1) else partial // 2
    products = short * (long - short + 1)
    products += sum(short - step for step in range(1, left + 1))
    products += sum(short - step for step in range(1, partial - left + 1))
    operations = 2 * products - np.size(result)
    return flops_of_types(operations, 4, *operands) if operations else 0, nbytes(
        named["a"], named["v"]
    ) + result_bytes(result)


def summed(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
    """Return the cost of one ``einsum`` without a path: its loops over all indices, as NumPy runs them.

    Each step of the innermost loop multiplies all operands and adds the product to the result, if
    anything is added up at all.
    """
    subscripts, operands = _subscripts(arguments)
    steps, adds = _steps(subscripts, tuple(operand.shape for operand in operands))
    operations = steps * (len(operands) - 1 + adds)
    if len(operands) == 1:
        # A plain sum: one addition less than terms.
        operations = max(0, operations - np.size(result)) if adds else 0
    factor = {1: 2, 2: 4 if adds else 6}.get(len(operands), 0)
    size = nbytes(*operands) + result_bytes(result)
    return flops_of_types(operations, factor, *operands, result), size


@functools.lru_cache(maxsize=1024)
def _steps(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, bool]:
    """Return how often the innermost loop of an ``einsum`` runs, and whether anything is added up."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    met: list[str] = []
    for term, shape in zip(inputs.split(","), shapes, strict=True):
        names = _indices(term, len(shape))
        met += names
        for name, length in zip(names, shape, strict=True):
            sizes[name] = length if sizes.get(name, 1) == 1 else sizes[name]
    # Without an arrow the result has the indices that occur once, and those of an ellipsis.
    kept = {name for name in sizes if (name in output if arrow else met.count(name) == 1)}
    if "..." in output or not arrow:
        kept |= {name for name in sizes if name.startswith("...")}
    return math.prod(sizes.values()), len(kept) < len(sizes)


def _subscripts(arguments: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Return the subscripts as a string and the operands, from both forms that einsum takes."""
    if isinstance(arguments[0], str):
        return arguments[0], [np.asarray(operand) for operand in arguments[1:]]
    pairs, rest = divmod(len(arguments), 2)
    operands = [np.asarray(arguments[2 * place]) for place in range(pairs)]
    terms = ["".join(_letter(index) for index in arguments[2 * place + 1]) for place in range(pairs)]
    text = ",".join(terms)
    if rest:
        text += "->" + "".join(_letter(index) for index in arguments[-1])
    return text, operands


def _letter(index: Any) -> str:
    return "..." if index is Ellipsis else chr(0x100 + int(index))


def _indices(term: str, ndim: int) -> list[str]:
    """Name each dimension of an operand; those of an ellipsis by their distance from its end."""
    if "..." not in term:
        return list(term)
    before, after = term.split("...")
    hidden = ndim - len(before) - len(after)
    return [*before, *(f"...{hidden - place}" for place in range(hidden)), *after]


def moved(operands: int) -> Callable[..., Cost]:
    """Return the convention of what only copies: no operations, its operands read and its result written.

    A result that is a view, or the operand itself, costs nothing.
    """

    def cost(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
        inputs = (*arguments[:operands], *(value for name, value in keywords.items() if name != "out"))
        if result is None:
            return 0, nbytes(*inputs)
        shared = [value for value in inputs if isinstance(value, np.ndarray)]
        if "out" not in keywords and any(result is value for value in shared):
            return 0, 0
        if isinstance(result, np.ndarray) and result.base is not None and "out" not in keywords:
            # np.ndarray.ravel and the like give a view where they can.
            if any(np.may_share_memory(result, value) for value in shared):
                return 0, 0
        return 0, nbytes(*inputs) + result_bytes(result)

    return cost


def sized(in_place: bool = False) -> Callable[..., Cost]:
    """Return the convention of what has no agreed number: bytes of all array arguments and results.

    Parameters
    ----------
    in_place : bool
        Whether the first argument is read and written.
    """

    def cost(arguments: tuple[Any, ...], keywords: Mapping[str, Any], result: Any) -> Cost:
        inputs = (*arguments, *(value for name, value in keywords.items() if name != "out"))
        again = arguments[:1] if in_place else ()
        return None, nbytes(*inputs, *again) + result_bytes(result)

    return cost
