"""The tracers in the measured process: line_profiler for hits, memory_profiler for resident memory.

Each follows chosen functions for a number of events at most: under a tracer an event costs 0.2 us
(line_profiler) to 20 us (memory_profiler), and a program whose inner loop runs a billion lines would
never end. Past the budget the program goes on at its own speed, and the place is noted.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FrameType, FunctionType, SimpleNamespace
from typing import Any

from .memory import LineRecorder
from .own_code import MODULE, OwnCode, block_at
from .runner_imports import ImportWatch
from .runner_state import write_atomically

CHECK_SECONDS = 0.01
Wanted = tuple[str, str]


class Tracing:
    """What the two tracers share: which code they follow, and where they stopped.

    Parameters
    ----------
    folder : Path
        Gets the file of results.
    own : OwnCode
        Whose modules are looked at.
    functions : iterable of tuple of str
        Files and names of functions, as `block_at` names them.
    budget : int
        Events at most.
    """

    name: str

    def __init__(self, folder: Path, own: OwnCode, functions: Iterable[Wanted], budget: int) -> None:
        self.calls = 1
        self.budget = budget
        self._folder = folder
        self._own = own
        self._wanted = {tuple(entry) for entry in functions}
        self._begun = 0.0
        self._watch = ImportWatch(None, self.prepare, own)

    def before_imports(self) -> None:
        """Prepare the code of the modules that are imported from now on."""
        self._watch.install()

    def start(self) -> None:
        """Follow the chosen functions from now on."""
        self._watch.install()
        self._begun = time.perf_counter()
        self._enable()

    def measure(self, call: Callable[[], object], seconds: float) -> None:
        """Follow one call; more would only repeat the same events."""
        self._begun = time.perf_counter()
        self._enable()
        try:
            call()
        finally:
            self._disable()

    def prepare(self, code: CodeType) -> CodeType:
        """Return a module's code with the chosen functions made known to the tracer.

        Parameters
        ----------
        code : code
            Of a module.

        Returns
        -------
        code
            What to run instead.
        """
        nested = tuple(
            self.prepare(constant) if isinstance(constant, CodeType) else constant
            for constant in code.co_consts
        )
        if any(one is not other for one, other in zip(nested, code.co_consts, strict=True)):
            code = code.replace(co_consts=nested)
        return self._add(code) if self._is_wanted(code) else code

    def stop(self) -> None:
        """Follow nothing more and write what was found."""
        self._watch.remove()
        self._disable()
        self.flush()

    def flush(self) -> None:
        """Write what was found so far."""
        write_atomically(self._folder / f"{self.name}.json", {"budget": self.budget, **self._found()})

    def _is_wanted(self, code: CodeType) -> bool:
        filename = self._own.absolute(code.co_filename)
        name = MODULE if code.co_name == MODULE else block_at(filename, code.co_firstlineno).name
        return (filename, name) in self._wanted

    def _add(self, code: CodeType) -> CodeType:
        raise NotImplementedError

    def _enable(self) -> None:
        raise NotImplementedError

    def _disable(self) -> None:
        raise NotImplementedError

    def _found(self) -> dict[str, Any]:
        """Return ``lines``, ``stopped`` (where the budget ended, or None) and ``notes``."""
        raise NotImplementedError


class LineTracing(Tracing):
    """Hits of each line of the chosen functions, in all threads, by line_profiler."""

    name = "hits"

    def __init__(self, folder: Path, own: OwnCode, functions: Iterable[Wanted], budget: int) -> None:
        from line_profiler import LineProfiler

        super().__init__(folder, own, functions, budget)
        self._profiler: Any = LineProfiler()
        self._enabled = False
        self._stopped: str | None = None
        # A number that programs hardly use, where there are such; it is never sent, only handled.
        self._signal: Any = getattr(signal, "SIGRTMAX", 1) - 1

    def _add(self, code: CodeType) -> CodeType:
        # line_profiler tells functions apart by padding their code: what it made of it has to run.
        holder = SimpleNamespace(__code__=code, __name__=code.co_name)
        self._profiler.add_function(holder)
        padded: CodeType = holder.__code__
        return padded

    def adopt(self, functions: Iterable[FunctionType]) -> None:
        """Follow functions that are loaded already.

        Parameters
        ----------
        functions : iterable of function
            Written in Python.
        """
        for function in functions:
            self._profiler.add_function(function)

    def _enable(self) -> None:
        self._enabled = True
        if self._signal and threading.current_thread() is threading.main_thread():
            signal.signal(self._signal, self._stop_here)
            _thread.start_new_thread(self._watch_budget, ())
        if sys.version_info < (3, 12):
            # There the tracer belongs to a thread. A profile function is called first in each new one.
            threading.setprofile(self._enable_in_thread)
        self._profiler.enable()

    def _enable_in_thread(self, frame: FrameType, event: str, argument: object) -> None:
        sys.setprofile(None)
        if self._enabled:
            self._profiler.enable()

    def _disable(self) -> None:
        if self._enabled:
            self._enabled = False
            if sys.version_info < (3, 12):
                threading.setprofile(None)
            self._profiler.disable()

    def _watch_budget(self) -> None:
        while self._enabled:
            time.sleep(CHECK_SECONDS)
            if self._events() >= self.budget:
                # Tracers are switched off by the thread that they trace.
                _thread.interrupt_main(self._signal)
                return

    def _stop_here(self, number: int, frame: FrameType | None) -> None:
        if self._enabled:
            self._disable()
            self._note_stop(frame)

    def _events(self) -> int:
        timings = self._profiler.get_stats().timings
        return sum(hits for lines in timings.values() for _, hits, _ in lines)

    def _note_stop(self, frame: FrameType | None) -> None:
        while frame is not None and not self._own(frame.f_code.co_filename):
            frame = frame.f_back
        place = "unknown code"
        if frame is not None:
            place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        seconds = time.perf_counter() - self._begun
        self._stopped = f"after {self._events():,} events and {seconds:.2g} s, at {place}"

    def _found(self) -> dict[str, Any]:
        stats = self._profiler.get_stats()
        lines = [
            {"filename": filename, "line": line, "hits": hits, "seconds": ticks * stats.unit}
            for (filename, _, _), timings in stats.timings.items()
            for line, hits, ticks in timings
        ]
        return {"lines": lines, "stopped": self._stopped, "notes": []}


class MemoryTracing(Tracing):
    """Growth of the resident set at each line of the chosen functions, in the main thread."""

    name = "memory"

    def __init__(self, folder: Path, own: OwnCode, functions: Iterable[Wanted], budget: int) -> None:
        super().__init__(folder, own, functions, budget)
        self._recorder = LineRecorder(self._is_wanted, max_events=budget)
        self._recording = False

    def _add(self, code: CodeType) -> CodeType:
        return code

    def _enable(self) -> None:
        self._recording = True
        self._recorder.start()

    def _disable(self) -> None:
        if self._recording:
            self._recording = False
            self._recorder.stop()

    def _found(self) -> dict[str, Any]:
        lines = [
            {"filename": entry.filename, "line": entry.line, "growth": entry.growth, "hits": entry.hits}
            for entry in self._recorder.lines()
        ]
        return {"lines": lines, "stopped": self._recorder.stopped, "notes": list(self._recorder.notes)}
