"""Resident memory line by line, by memory_profiler.

It is coarse: the operating system counts in pages, keeps freed pages, and gives untouched ones for
nothing. It shows where a process grows by many MiB; how many buffers a line allocates is what
`profiling.collect.allocations` counts.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MIB = 2**20


@dataclass(frozen=True, slots=True)
class LineMemory:
    """Resident memory at one line.

    Attributes
    ----------
    line : int
        Number of the line.
    growth : int
        Bytes by which the process grew while the line ran; can be negative.
    resident : int
        Bytes resident after the line.
    hits : int
        How often it ran.
    """

    line: int
    growth: int
    resident: int
    hits: int


def resident_by_line(function: Callable[..., Any], *arguments: Any) -> list[LineMemory]:
    """Call a Python function and return the resident memory at each of its lines.

    Parameters
    ----------
    function : callable
        A function written in Python.
    *arguments : object
        Its arguments.

    Returns
    -------
    list of LineMemory
        Lines that ran, in the order of the source.

    Raises
    ------
    TypeError
        For a compiled function, of whose lines memory_profiler sees nothing.
    RuntimeError
        If it recorded nothing, as when another tool traces the process.

    Examples
    --------
    >>> def twice(x):
    ...     return x + x
    >>> resident_by_line(len, "")
    Traceback (most recent call last):
    ...
    TypeError: len is not written in Python: memory_profiler sees none of its lines
    """
    if not isinstance(function, types.FunctionType):
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"{name} is not written in Python: memory_profiler sees none of its lines")
    from memory_profiler import LineProfiler

    profiler = LineProfiler(backend="psutil")
    profiler(function)(*arguments)
    found = []
    head = function.__code__.co_firstlineno
    for _, lines in profiler.code_map.items():
        for line, measured in lines:
            # At the head of the function "growth" is all that the process holds.
            if measured is not None and line != head:
                growth, resident, hits = measured
                found.append(LineMemory(line, round(growth * MIB), round(resident * MIB), hits))
    if not found:
        raise RuntimeError("memory_profiler recorded nothing: is another tool tracing this process?")
    return sorted(found, key=lambda entry: entry.line)
