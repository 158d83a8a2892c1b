"""Resident memory line by line, by memory_profiler's tracer.

It is coarse: the operating system counts in pages, keeps freed pages, and gives untouched ones for
nothing. It shows where a process grows by many MiB; how many buffers a line allocates is what
`profiling.collect.allocations` counts.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

MIB = 2**20
Place = tuple[str, str, int]
MAX_EVENTS = 100_000
"""Events that are recorded by default; one costs 10 us and more."""

_NO_EVENTS = (
    "Cython reports lines of compiled functions to sys.monitoring from Python 3.13 on, which "
    "memory_profiler does not use; use Python 3.11"
)


@dataclass(frozen=True, slots=True)
class LineMemory:
    """Resident memory at one line.

    Attributes
    ----------
    filename : str
        The source file.
    function : str
        Name of the function.
    line : int
        Number of the line.
    growth : int
        Bytes by which the process grew while the line ran, without what followed functions that it
        called grew by; can be negative.
    resident : int
        Most bytes resident after the line.
    hits : int
        How often it ran.
    """

    filename: str
    function: str
    line: int
    growth: int
    resident: int
    hits: int


@dataclass(frozen=True, slots=True)
class ResidentMemory:
    """What one run showed.

    Attributes
    ----------
    lines : tuple of LineMemory
        Lines that ran, by file and number.
    stopped : str or None
        Where recording ended before the run did, or None.
    notes : tuple of str
        Sentences about what was not seen.
    value : object
        What the call returned.
    """

    lines: tuple[LineMemory, ...]
    stopped: str | None
    notes: tuple[str, ...]
    value: object


def why_unavailable() -> str | None:
    """Tell why resident memory cannot be recorded here, or return None.

    Returns
    -------
    str or None
        A sentence for people.

    Examples
    --------
    >>> why_unavailable() is None
    True
    """
    if importlib.util.find_spec("memory_profiler") is None:
        return "memory_profiler is not installed; install it with: python -m pip install memory_profiler"
    return None


def why_no_compiled_lines(version: tuple[int, int] = sys.version_info[:2]) -> str | None:
    """Tell why lines of compiled functions cannot be recorded here, or return None.

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
    >>> why_no_compiled_lines((3, 11)) is None
    True
    """
    return _NO_EVENTS if version >= (3, 13) else None


def resident_by_line(
    call: Callable[[], object],
    functions: Iterable[Callable[..., Any]] | None = None,
    *,
    is_wanted: Callable[[str], bool] | None = None,
    max_events: int = MAX_EVENTS,
    max_seconds: float | None = None,
) -> ResidentMemory:
    """Run a call once and return the resident memory at each line of some functions.

    Parameters
    ----------
    call : callable
        What to run; takes no argument.
    functions : iterable of callable, optional
        Functions to follow: of Python, or of a module built with ``linetrace=True`` and
        ``CYTHON_TRACE_NOGIL=1``. Without `functions` and `is_wanted`, the call itself is followed.
    is_wanted : callable, optional
        Instead, follow every function whose file's name it returns True for.
    max_events : int
        Recording ends after as many calls, lines and returns; the call goes on at its own speed.
    max_seconds : float, optional
        The same after so many seconds.

    Returns
    -------
    ResidentMemory
        The lines, and what was not seen. If nothing was recorded, a note says so.

    Raises
    ------
    TypeError
        For a compiled function, of whose lines memory_profiler sees nothing.
    RuntimeError
        If there is no memory_profiler, or the lines of a function cannot be recorded here.
    ValueError
        If a budget is not positive, or both `functions` and `is_wanted` are given.

    Notes
    -----
    The thread that calls is followed, no other. An exception of the call is passed on.

    Examples
    --------
    >>> def twice(x):
    ...     return x + x
    >>> found = resident_by_line(lambda: twice(21), [twice])
    >>> found.value, [entry.hits for entry in found.lines]
    (42, [1])
    >>> resident_by_line(lambda: len(""), [len])
    Traceback (most recent call last):
    ...
    TypeError: len is not written in Python, nor compiled with line tracing: it has no lines to follow
    """
    if max_events < 1 or (max_seconds is not None and max_seconds <= 0):
        raise ValueError(f"the budget must be positive, got {max_events} events and {max_seconds} seconds")
    if functions is not None and is_wanted is not None:
        raise ValueError("give functions or is_wanted, not both")
    if (reason := why_unavailable()) is not None:
        raise RuntimeError(reason)
    if is_wanted is not None:
        asked = is_wanted
        recorder = LineRecorder(lambda code: asked(code.co_filename), max_events, max_seconds)
    else:
        keys = {_key(code) for function in functions or [call] for code in _codes(function)}
        recorder = LineRecorder(lambda code: _key(code) in keys, max_events, max_seconds)
    recorder.start()
    try:
        value = call()
    finally:
        recorder.stop()
    lines = tuple(recorder.lines())
    notes = list(recorder.notes)
    if not lines:
        notes.append("No line was recorded: none of the followed functions ran in this thread.")
    return ResidentMemory(lines, recorder.stopped, tuple(notes), value)


def _codes(function: Callable[..., Any]) -> list[CodeType]:
    """Return the code of a function; of all specialisations, if it is a fused one."""
    function = getattr(function, "__func__", function)
    parts = list(getattr(function, "__signatures__", {"": function}).values())
    codes = [code for part in parts if isinstance(code := getattr(part, "__code__", None), CodeType)]
    name = getattr(function, "__name__", repr(function))
    if len(codes) < len(parts):
        raise TypeError(
            f"{name} is not written in Python, nor compiled with line tracing: it has no lines to follow"
        )
    if not isinstance(function, FunctionType) and (reason := why_no_compiled_lines()) is not None:
        raise RuntimeError(f"the lines of {name} cannot be recorded: {reason}")
    return codes


def _key(code: CodeType) -> tuple[str, str, int]:
    # A frame of a compiled function has a code object of its own, equal in these.
    return code.co_filename, code.co_name, code.co_firstlineno


class LineRecorder:
    """Records the resident set at the lines of chosen code, in the thread that starts it.

    memory_profiler switches its tracer on and off and reads the resident set. Its own sums take what a
    line grew by from the largest reading at the line before, which loses what loops keep and invents what
    they do not; here growth is the difference of two readings that follow each other.

    Parameters
    ----------
    is_wanted : callable
        Tells whether a code object is followed; asked once for each.
    max_events : int
        Events recorded at most.
    max_seconds : float, optional
        Seconds recorded at most.

    Attributes
    ----------
    stopped : str or None
        Where the budget ended, or None.
    notes : list of str
        Sentences about what was not seen; complete after `stop`.
    """

    def __init__(
        self,
        is_wanted: Callable[[CodeType], bool],
        max_events: int = MAX_EVENTS,
        max_seconds: float | None = None,
    ) -> None:
        self.stopped: str | None = None
        self.notes: list[str] = []
        self._is_wanted = is_wanted
        self._max_events = max_events
        self._max_seconds = max_seconds
        self._events = 0
        self._begun = 0.0
        self._sources: dict[CodeType, str | None] = {}
        self._running: list[Place] = []
        self._last = 0
        self._figures: dict[Place, _Figures] = {}
        self._other_threads = False
        self._tracer: Any = None
        self._process: Any = None
        self._threads_tracer: Any = None

    def start(self) -> None:
        """Follow this thread from now on.

        Raises
        ------
        RuntimeError
            If it was started before.
        """
        from memory_profiler import LineProfiler, psutil

        if self._tracer is not None:
            raise RuntimeError("this recorder was started before: each run needs one of its own")
        self._tracer = LineProfiler(backend="psutil")
        # It looks up on itself which function to give to sys.settrace.
        self._tracer.trace_memory_usage = self._trace
        self._process = psutil.Process()
        self._threads_tracer = threading.gettrace()
        threading.settrace(self._note_thread)
        self._last = self._resident()
        self._begun = time.monotonic()
        self._tracer.enable()

    def stop(self) -> None:
        """Follow no more and complete the notes."""
        threading.settrace(self._threads_tracer)
        if self.stopped is None and sys.gettrace() != self._trace:
            self.notes.append("The program set a tracer of its own: lines from there on were not recorded.")
        elif self.stopped is None:
            self._tracer.disable()
        if self._other_threads:
            self.notes.append("Other threads ran: what they took is in the growth of this one's lines.")

    def lines(self) -> list[LineMemory]:
        """Return what was recorded so far.

        Returns
        -------
        list of LineMemory
            Lines that ran, by file and number.
        """
        found = [
            LineMemory(*place, figures.growth, figures.resident, figures.hits)
            for place, figures in list(self._figures.items())
            if figures.hits
        ]
        return sorted(found, key=lambda entry: (entry.filename, entry.line))

    def _resident(self) -> int:
        return int(self._process.memory_info().rss)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        code = frame.f_code
        if code not in self._sources:
            self._sources[code] = _source(frame) if self._is_wanted(code) else None
        source = self._sources[code]
        if source is None or self.stopped is not None:
            # A call costs one event then. Never None: on 3.11 compiled functions cannot bear it.
            frame.f_trace_lines = False
            return _ignore
        if event in ("call", "line", "return"):
            name = code.co_qualname.partition("[")[0].replace("<locals>.", "")
            self._record(event, (source, name, frame.f_lineno))
        return self._trace

    def _record(self, event: str, here: Place) -> None:
        resident = self._resident()
        if self._running:
            figures = self._figures[self._running[-1]]
            figures.growth += resident - self._last
            figures.resident = max(figures.resident, resident)
        self._last = resident
        if event == "call":
            self._running.append(here)
        elif event == "line":
            self._running[-1] = here
        else:
            self._running.pop()
        if event != "return":
            self._figures.setdefault(here, _Figures()).hits += event == "line"
        self._events += 1
        seconds = time.monotonic() - self._begun
        if self._events >= self._max_events or (self._max_seconds or seconds) < seconds:
            place = f"{Path(here[0]).name}:{here[2]}"
            self.stopped = f"after {self._events} events and {seconds:.2g} s, at {place}"
            self._tracer.disable()

    def _note_thread(self, frame: FrameType, event: str, argument: object) -> None:
        self._other_threads = True
        sys.settrace(self._threads_tracer)


@dataclass(slots=True)
class _Figures:
    growth: int = 0
    resident: int = 0
    hits: int = 0


def _source(frame: FrameType) -> str:
    """Return the path of a frame's source; compiled code names it from where it was built."""
    name = frame.f_code.co_filename
    if name.startswith("<") or Path(name).exists():
        return name if name.startswith("<") else str(Path(name).absolute())
    module = Path(frame.f_globals.get("__file__", name)).absolute()
    found = (str(folder / name) for folder in module.parents if (folder / name).exists())
    return next(found, name)


def _ignore(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
    return _ignore
