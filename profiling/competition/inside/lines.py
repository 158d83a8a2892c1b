"""Where a kernel spends its time, line by line: for ``check`` only, never while anything is timed."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

MOST_LINES = 100


def hottest(kernel: Callable[..., Any], path: str, arguments: Sequence[Any], calls: int) -> list[list[Any]]:
    """Run a kernel under line_profiler.

    Parameters
    ----------
    kernel : callable
        The submission's function.
    path : str
        Its file; other functions of the same file are followed, too.
    arguments : sequence
        Of the call.
    calls : int
        How often.

    Returns
    -------
    list of [str, int, int, float]
        Function, line, hits and seconds, the hottest first.
    """
    from line_profiler import LineProfiler

    profiler = LineProfiler()
    for value in list(kernel.__globals__.values()):
        if isinstance(value, types.FunctionType) and value.__code__.co_filename == path:
            profiler.add_callable(value)
    for _ in range(calls):
        profiler.runcall(kernel, *arguments)
    found = profiler.get_stats()
    lines: list[list[Any]] = [
        [name, line, hits, time * found.unit]
        for (_, _, name), entries in found.timings.items()
        for line, hits, time in entries
    ]
    return sorted(lines, key=lambda entry: -entry[3])[:MOST_LINES]
