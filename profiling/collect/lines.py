"""Hits and times line by line, of Python functions and of compiled ones built with line tracing.

Under tracing an event costs far more (0.2 to 1 us) than the line of an inner loop (0.3 ns). Hits are
exact; a time says something only where a line lasts `MEANINGFUL_SECONDS` or more per hit.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEANINGFUL_SECONDS = 2e-6
INNERMOST_SHARE = 0.9
RUNS = 3
UNTRACEABLE = "line_profiler cannot trace Cython modules on Python 3.12; use Python 3.11 or 3.13"


@dataclass(frozen=True, slots=True)
class LineHits:
    """What was counted on one line.

    Attributes
    ----------
    line : int
        Number of the line.
    hits : int
        How often it ran; exact.
    seconds : float
        Time with the tracer's own cost in it; the least of several runs.
    source : str
        Text of the line, without the white space at its end.
    """

    line: int
    hits: int
    seconds: float
    source: str

    @property
    def seconds_per_hit(self) -> float | None:
        """Seconds per hit, or None where the tracer's cost hides the line's own."""
        per_hit = self.seconds / self.hits
        return per_hit if per_hit >= MEANINGFUL_SECONDS else None


@dataclass(frozen=True, slots=True)
class FunctionLines:
    """The lines of one function that ran.

    Attributes
    ----------
    function : str
        Name of the function.
    filename : str
        Absolute path of its source.
    lines : tuple of LineHits
        In the order of the source; lines that never ran are absent.
    """

    function: str
    filename: str
    lines: tuple[LineHits, ...]

    @property
    def total_hits(self) -> int:
        """Hits of all lines together."""
        return sum(entry.hits for entry in self.lines)

    @property
    def hottest(self) -> LineHits:
        """The last line of the innermost loop, whose head runs a few times more often than its body."""
        most = max(entry.hits for entry in self.lines)
        return [entry for entry in self.lines if entry.hits >= INNERMOST_SHARE * most][-1]

    @property
    def hotspot(self) -> str:
        """The hottest line as ``file:line``."""
        return f"{Path(self.filename).name}:{self.hottest.line}"


def why_untraceable(version: tuple[int, int] = sys.version_info[:2]) -> str | None:
    """Tell why lines of compiled functions cannot be counted here, or return None.

    Parameters
    ----------
    version : tuple of int
        Major and minor version of Python.

    Returns
    -------
    str or None
        A sentence for people.

    Examples
    --------
    >>> why_untraceable((3, 11)) is None
    True
    >>> why_untraceable((3, 12))
    'line_profiler cannot trace Cython modules on Python 3.12; use Python 3.11 or 3.13'
    """
    return UNTRACEABLE if version == (3, 12) else None


def count_lines(functions: Iterable[Callable[..., Any]], call: Callable[[], Any]) -> list[FunctionLines]:
    """Run a call a few times and return what one run of it does on each line of some functions.

    Parameters
    ----------
    functions : iterable of callable
        Python functions, or functions of a module built with ``linetrace=True`` and
        ``CYTHON_TRACE_NOGIL=1``. All specialisations of a fused function are counted.
    call : callable
        Runs the functions; takes no argument.

    Returns
    -------
    list of FunctionLines
        One per function that ran, in the order of the source.

    Raises
    ------
    RuntimeError
        If a function is not built with tracing, its source is not found, or no line ran: an empty
        table would look like a result.

    Examples
    --------
    >>> def twice(x):
    ...     return x + x
    >>> count_lines([len], lambda: None)
    Traceback (most recent call last):
    ...
    RuntimeError: len cannot be traced: it is not a Python function, nor compiled with line tracing
    """
    parts = [part for function in functions for part in _specialisations(function)]
    runs = [_run_traced(parts, call) for _ in range(RUNS)]
    found = []
    for key, lines in runs[0].items():
        filename, name = key
        counted = tuple(
            LineHits(
                line,
                hits,
                # What interrupted one run, such as another process, hardly hits the same line in all.
                min([seconds, *(run[key][line][1] for run in runs[1:] if line in run.get(key, {}))]),
                linecache.getline(filename, line).rstrip(),
            )
            for line, (hits, seconds) in sorted(lines.items())
        )
        found.append(FunctionLines(_plain_name(name), filename, counted))
    if not found:
        raise RuntimeError("no line ran under the tracer: the functions were not called, or not traced")
    return sorted(found, key=lambda entry: (entry.filename, entry.lines[0].line))


def _run_traced(
    functions: Iterable[Callable[..., Any]], call: Callable[[], Any]
) -> dict[tuple[str, str], dict[int, tuple[int, float]]]:
    """Return hits and seconds by function (file and name) and line, of one run of `call`."""
    from line_profiler import LineProfiler

    profiler = LineProfiler()
    for function in functions:
        before = len(profiler.functions)
        profiler.add_callable(function)
        if len(profiler.functions) == before:
            raise RuntimeError(_why_not_added(function))
    profiler.runcall(call)
    stats = profiler.get_stats()
    return {
        (filename, name): {line: (hits, ticks * stats.unit) for line, hits, ticks in timings}
        for (filename, _, name), timings in stats.timings.items()
        if timings
    }


def _specialisations(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    # The signature table of a fused function holds one function for each of its types.
    return list(getattr(function, "__signatures__", {"": function}).values())


def _plain_name(name: str) -> str:
    """Return a function's name without its class, and without the types of its specialisation."""
    return name.partition("[")[0].rpartition(".")[2]


def _why_not_added(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", repr(function))
    if not hasattr(function, "__code__"):
        return f"{name} cannot be traced: it is not a Python function, nor compiled with line tracing"
    reason = why_untraceable()
    if reason is not None and not inspect.isfunction(function):
        return reason
    return f"{name} cannot be traced: its source {function.__code__.co_filename} was not found"
