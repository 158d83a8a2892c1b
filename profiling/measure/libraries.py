"""A library that computes cases, and the loops around its calls."""

from __future__ import annotations

import importlib
import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..cases import SPECS, Case, Results
from .timer import loop_of, loop_with_out

Array = NDArray[Any]
Loop = Callable[[int], float]

RESTORED_AFTER = 8
"""Calls in place after which the operands get their first values again."""


class Library(ABC):
    """One library that computes the cases.

    A library is imported when it is first asked for, never before: two OpenMP runtimes in one process
    disturb each other, and PyTorch takes a second to load.

    Attributes
    ----------
    name : str
        Name in tables and on the command line.
    own_bounds : bool
        Whether its results must keep the bounds that this library promises; of others they need only be
        right within what rounding explains.
    """

    name: str
    own_bounds: ClassVar[bool] = False

    def unavailable(self) -> str | None:
        """Return why the library cannot be used here, or None."""
        if importlib.util.find_spec(self.name) is None:
            return f"{self.name} is not installed"
        return None

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        return None

    def lacks_case(self, case: Case) -> str | None:
        """Return why the library cannot compute a case, or None."""
        return self.lacks(case.op)

    def version(self) -> str:
        """Return the library's version."""
        return str(importlib.import_module(self.name).__version__)

    @abstractmethod
    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""

    @abstractmethod
    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Loop:
        """Return ``loop(n)``: n calls whose result is in `out` afterwards, and their elapsed seconds."""


class Rival(Library):
    """A library whose calls are prepared once for a case."""

    @abstractmethod
    def prepare(
        self, case: Case, operands: Sequence[Array], out: Array | tuple[Array, ...]
    ) -> Callable[[], Any]:
        """Return a call that computes the case.

        Parameters
        ----------
        case : Case
            What is computed.
        operands : sequence of ndarray
            Its operands; what an operation changes may be changed.
        out : ndarray or tuple of ndarray
            For the result; for an operation in place, what it changes.

        Returns
        -------
        callable
            Gives the result, or None where it was written to `out`.
        """

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Loop:
        """Return ``loop(n)``: n calls whose result is in `out` afterwards, and their elapsed seconds."""
        reason = self.lacks_case(case)
        if reason is not None:
            raise ValueError(reason)
        if SPECS[case.op].in_place:
            return changing_loop(case, operands, out, partial(self.prepare, case))
        return returning_loop(self.prepare(case, operands, out), out)


def operation_loop(
    function: Callable[..., Any], case: Case, operands: tuple[Array, ...], out: Results, *, twin: bool = False
) -> Loop:
    """Return a loop over the calls of an operation on fixed operands.

    Parameters
    ----------
    function : callable
        The operation: takes the operands, ``out=`` where the registry says so, and the case's parameters.
    case : Case
        What is computed.
    operands : tuple of ndarray
        Its operands.
    out : ndarray or tuple of ndarray
        The result, as `Case.results` makes it. What an operation in place changes is a copy.
    twin : bool
        Whether it is NumPy's form, which takes ``out=`` for an operation in place too.

    Returns
    -------
    callable
        ``loop(n) -> float``, elapsed seconds of n calls.

    Examples
    --------
    >>> case = Case("matmul", "float64", ((2, 2), (2, 2)))
    >>> out = np.empty((2, 2))
    >>> operation_loop(np.matmul, case, (np.eye(2), np.eye(2)), out)(1) > 0
    True
    """
    spec, params = SPECS[case.op], dict(case.params)
    if spec.in_place:

        def prepare(arguments: Sequence[Array], written: Any) -> Callable[[], Any]:
            return partial(function, *arguments, **params, **({"out": written} if twin else {}))

        return changing_loop(case, operands, out, prepare, stored=False)
    if "out=" not in spec.signature:
        return returning_loop(partial(function, *operands, **params), out)
    if len(operands) == 2 and not params:
        return loop_with_out(function, *operands, out)
    return loop_of(partial(function, *operands, out=out, **params))


def returning_loop(call: Callable[[], Any], out: Results) -> Loop:
    """Return a loop over a call whose last result is stored after the clock has stopped.

    Parameters
    ----------
    call : callable
        Returns the result, or None where it has written it itself.
    out : ndarray or tuple of ndarray
        Where the result goes.

    Returns
    -------
    callable
        ``loop(n) -> float``, elapsed seconds of n calls.

    Examples
    --------
    >>> out = np.zeros(2)
    >>> returning_loop(lambda: [1.0, 2.0], out)(3) > 0, out
    (True, array([1., 2.]))
    """

    def loop(n: int) -> float:
        result = None
        start = time.perf_counter()
        for _ in repeat(None, n):
            result = call()
        elapsed = time.perf_counter() - start
        if result is not None:
            _store(result, out)
        return elapsed

    return loop


def changing_loop(
    case: Case,
    operands: tuple[Array, ...],
    out: Results,
    prepare: Callable[[Sequence[Array], Any], Callable[[], Any]],
    *,
    stored: bool = True,
) -> Loop:
    """Return a loop over a call that changes operands, on copies that are put back again and again.

    Parameters
    ----------
    case : Case
        An operation in place.
    operands : tuple of ndarray
        Its operands, which stay as they are.
    out : ndarray or tuple of ndarray
        What the changed operands hold in the end.
    prepare : callable
        ``prepare(arguments, written)`` returns the call on the copies.
    stored : bool
        Whether a result that the call returns stands for what it should have changed.

    Returns
    -------
    callable
        ``loop(n) -> float``, elapsed seconds of n calls.
    """
    changed = SPECS[case.op].changed
    arguments = [x.copy(order="K") if place in changed else x for place, x in enumerate(operands)]
    written = [arguments[place] for place in changed]
    call = prepare(arguments, written[0] if len(written) == 1 else tuple(written))

    def loop(n: int) -> float:
        elapsed, left = 0.0, n
        result = None
        while left > 0:
            # Values that shrink or grow from call to call must not reach the slow ends of the range.
            count = min(left, RESTORED_AFTER)
            for place, array in zip(changed, written, strict=True):
                np.copyto(array, operands[place])
            # One exponential of another overflows, and NumPy would say so.
            with np.errstate(all="ignore"):
                start = time.perf_counter()
                for _ in repeat(None, count):
                    result = call()
                elapsed += time.perf_counter() - start
            left -= count
        if stored and result is not None:
            _store(result, out)
        else:
            _store(written[0] if isinstance(out, np.ndarray) else written, out)
        return elapsed

    return loop


def _store(result: Any, out: Results) -> None:
    if isinstance(out, np.ndarray):
        out[...] = result
    else:
        for part, target in zip(result, out, strict=False):
            target[...] = part
