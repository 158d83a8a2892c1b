"""Anybody's callables as contenders: what is refused, the first call, and equal results."""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from .timer import Contender

Check = Callable[[Any], object]
EMPTY_CALLS = 20_000


def name_of(function: Callable[..., Any]) -> str:
    """Return a name for a callable.

    Parameters
    ----------
    function : callable
        A function, a method, a partial, an object with ``__call__``.

    Returns
    -------
    str
        Its own name, or its type's.

    Examples
    --------
    >>> name_of(sorted), name_of(functools.partial(sorted, reverse=True)), name_of(lambda: 0)
    ('sorted', 'sorted', 'lambda')
    """
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


def refuse_lazy(function: Callable[..., Any]) -> None:
    """Refuse a function whose call does not run its body.

    Parameters
    ----------
    function : callable
        To be timed.

    Raises
    ------
    TypeError
        For something that cannot be called, a generator function or a coroutine function.

    Examples
    --------
    >>> refuse_lazy(len)
    """
    if not callable(function):
        raise TypeError(f"expected a callable, got {type(function).__name__}")
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    candidates = (inner, getattr(inner, "__call__", None))  # noqa: B004 - the method itself is asked for
    for candidate in candidates:
        if inspect.isgeneratorfunction(candidate) or inspect.isasyncgenfunction(candidate):
            raise TypeError(_lazy_text(name_of(function), "a generator"))
        if inspect.iscoroutinefunction(candidate):
            raise TypeError(_lazy_text(name_of(function), "a coroutine"))


def _lazy_text(name: str, made: str) -> str:
    run = "list(f())" if made == "a generator" else "asyncio.run(f())"
    return f"a call of {name} only makes {made} and runs nothing of it; time a function that runs it: {run}"


def _refuse_lazy_result(name: str, result: Any) -> None:
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise TypeError(_lazy_text(name, "a generator"))
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(_lazy_text(name, "a coroutine"))


@dataclass(frozen=True, slots=True)
class Call:
    """A callable with its arguments, as a contender.

    Attributes
    ----------
    name : str
        Name under which its samples are kept.
    function : callable
        What is timed.
    arguments : tuple
        Positional arguments of every call.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()

    def first(self) -> tuple[float, Any]:
        """Call it once and return the seconds and the result.

        Returns
        -------
        seconds : float
            Of this call, which may import, compile or fill caches.
        result : object
            What it returned.

        Raises
        ------
        TypeError
            If the result is a generator or a coroutine, of which nothing has run.
        Exception
            What the callable raises, with a note that names it.
        """
        with _named(self.name):
            start = time.perf_counter()
            result = self.function(*self.arguments)
            elapsed = time.perf_counter() - start
        _refuse_lazy_result(self.name, result)
        return max(elapsed, 1e-9), result

    def sample(self, loops: int) -> float:
        """Run the call `loops` times and return the seconds per call."""
        function, arguments = self.function, self.arguments
        with _named(self.name):
            start = time.perf_counter()
            if arguments:
                for _ in repeat(None, loops):
                    function(*arguments)
            else:
                for _ in repeat(None, loops):
                    function()
            elapsed = time.perf_counter() - start
        return max(elapsed, 1e-9) / loops


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"raised by {name!r} while it was benchmarked")
        raise


def empty_call_seconds() -> float:
    """Return what calling a Python function that does nothing takes, loop included.

    Returns
    -------
    float
        Seconds per call, the least of five.

    Examples
    --------
    >>> 0 < empty_call_seconds() < 1e-4
    True
    """

    def nothing() -> None:
        pass

    call = Call("nothing", nothing)
    return min(call.sample(EMPTY_CALLS) for _ in range(5))


def single_turn(contenders: Sequence[Contender], samples: dict[str, list[float]]) -> float:
    """Take one single call of each contender, for calls of which a budget holds only a few.

    Parameters
    ----------
    contenders : sequence of Contender
        In the order of the turn.
    samples : dict
        Filled in, by name.

    Returns
    -------
    float
        Seconds of the whole turn.

    Examples
    --------
    >>> taken = {}
    >>> single_turn([Call("zero", int)], taken) > 0
    True
    >>> len(taken["zero"])
    1
    """
    begun = time.perf_counter()
    for contender in contenders:
        samples.setdefault(contender.name, []).append(contender.sample(1))
    return time.perf_counter() - begun


def check_result(result: Any, expected: Any, verify: Check | bool) -> str | None:
    """Tell what is wrong with a result, or return None.

    Parameters
    ----------
    result : object
        Of the contender in question.
    expected : object
        Of the first contender.
    verify : callable or True
        ``verify(result)`` says True or None for a right result, False or a sentence for a wrong one, or
        raises AssertionError. True compares with `expected`.

    Returns
    -------
    str or None
        A sentence for people, or None.

    Examples
    --------
    >>> check_result(np.ones(3), np.ones(3), True) is None
    True
    >>> check_result(3, 4, True)
    'returned 3, the first contender 4'
    >>> check_result(3, None, lambda value: value > 5)
    'wrong result'
    """
    if callable(verify):
        try:
            said = verify(result)
        except AssertionError as error:
            return " ".join(str(error).split()) or "wrong result"
        if isinstance(said, str):
            return said or None
        return None if said is None or bool(said) else "wrong result"
    return _difference(result, expected)


def _difference(result: Any, expected: Any) -> str | None:
    if isinstance(result, Mapping) and isinstance(expected, Mapping):
        if result.keys() != expected.keys():
            return "returned other keys than the first contender"
        parts = [_difference(result[key], expected[key]) for key in expected]
        return next((part for part in parts if part), None)
    if isinstance(result, (list, tuple)) and isinstance(expected, (list, tuple)):
        if len(result) != len(expected):
            return f"returned {len(result)} values, the first contender {len(expected)}"
        parts = [_difference(one, other) for one, other in zip(result, expected, strict=True)]
        return next((part for part in parts if part), None)
    if hasattr(result, "__array__") or hasattr(expected, "__array__") or isinstance(result, float):
        return _array_difference(np.asarray(result), np.asarray(expected))
    if result is expected or bool(result == expected):
        return None
    return f"returned {_short(result)}, the first contender {_short(expected)}"


def _array_difference(result: Any, expected: Any) -> str | None:
    if result.shape != expected.shape:
        return f"returned shape {result.shape}, the first contender {expected.shape}"
    if not all(np.issubdtype(array.dtype, np.inexact) for array in (result, expected)):
        wrong = int(np.count_nonzero(result != expected))
    else:
        # Sums in another order differ by some units in the last place of the coarser dtype.
        precision = max(float(np.finfo(array.dtype).eps) for array in (result, expected))
        scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
        tolerance = precision**0.75
        close = np.isclose(result, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
        wrong = int(np.count_nonzero(~close))
    return f"differs from the first contender in {wrong} of {expected.size} elements" if wrong else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Limit the threads of the libraries loaded in this process.

    Parameters
    ----------
    threads : int or None
        At most so many in BLAS and OpenMP pools, in tensorops and PyTorch; None changes nothing.

    Yields
    ------
    None
        The limits from before hold again at the end.

    Examples
    --------
    >>> with limited_threads(1):
    ...     pass
    """
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    libraries = [sys.modules[name] for name in ("tensorops", "torch") if name in sys.modules]
    before = [library.get_num_threads() for library in libraries]
    with threadpool_limits(threads):
        try:
            for library in libraries:
                library.set_num_threads(threads)
            yield
        finally:
            for library, count in zip(libraries, before, strict=True):
                library.set_num_threads(count)
