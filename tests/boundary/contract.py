"""Two calls compared: what came back or was raised, and what became of the arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tensorops
from tensorops.operations import OPERATIONS

Array = np.ndarray[Any, Any]
Matmul = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: a value, or the built-in class of its error."""

    value: object = None
    error: type[BaseException] | None = None
    message: str = ""


def builtin_class(error: BaseException) -> type[BaseException]:
    """Return the class that a caller catches: NumPy raises subclasses of its own."""
    return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")


def outcome(call: Callable[[Matmul], object], function: Matmul) -> Outcome:
    """Make a call with one of the two functions."""
    try:
        with np.errstate(all="ignore"):
            return Outcome(call(function))
    except Exception as error:
        return Outcome(error=builtin_class(error), message=str(error))


def difference(call: Callable[[Matmul], object]) -> str | None:
    """Return how `tensorops.matmul` and `numpy.matmul` differ on a call, or None if they agree.

    `call` makes its arguments anew each time.
    """
    ours, numpy_s = outcome(call, tensorops.matmul), outcome(call, np.matmul)
    if ours.error is not numpy_s.error:
        return f"{ours} where NumPy has {numpy_s}"
    return None if ours.error is not None else value_difference(ours.value, numpy_s.value)


def value_difference(ours: Any, numpy_s: Any) -> str | None:
    """Return how two results differ in type, dtype, shape or numbers."""
    if type(ours) is type(numpy_s) and not isinstance(ours, np.ndarray | np.generic):
        # What another type answered, or an element of an array of objects.
        return None if ours == numpy_s else f"{ours} where NumPy has {numpy_s}"
    for name, of in (
        ("type", type),
        ("dtype", lambda x: getattr(x, "dtype", None)),
        ("shape", np.shape),
        ("mask", lambda x: np.array_str(np.ma.getmaskarray(x)) if isinstance(x, np.ma.MaskedArray) else None),
    ):
        if of(ours) != of(numpy_s):
            return f"{name} {of(ours)} where NumPy has {of(numpy_s)}"
    number = np.asarray(ours).dtype.kind in "fc"
    if not np.array_equal(ours, numpy_s, equal_nan=number):
        return f"{ours} where NumPy has {numpy_s}"
    return None


def closer_than_the_bound(result: Any, a: Array, b: Array) -> bool:
    """Tell whether a float product is within the documented bound of the float64 definition."""
    spec = OPERATIONS["matmul"]
    return bool(np.all(np.abs(result - spec.reference(a, b)) <= spec.error_bound(a, b)))
