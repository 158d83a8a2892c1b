"""What the measured process keeps in a folder, so that its parent finds it whatever happens."""

from __future__ import annotations

import _thread
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Protocol

FLUSH_SECONDS = 1.0


class Instruments(Protocol):
    """What measures a program."""

    calls: int
    """How often the program was called; 1 for a script."""

    def before_imports(self) -> None:
        """Get ready for the modules that a function to be measured comes from."""

    def start(self) -> None:
        """Begin to measure."""

    def measure(self, call: Callable[[], object], seconds: float) -> None:
        """Measure calls of a function, for about so many seconds where that makes it better."""

    def prepare(self, code: CodeType) -> CodeType:
        """Return the code to run instead of a module's own."""

    def flush(self) -> None:
        """Write what was measured so far."""

    def stop(self) -> None:
        """Measure no more, and write what was measured."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended.

    Attributes
    ----------
    ended : str
        ``running`` (so far), ``returned``, ``raised``, ``exited``, ``interrupted``, ``os._exit``, or
        ``unusable`` where it could not begin.
    code : int
        Its exit code.
    message : str
        The exception with its place, or what could not be used.
    """

    ended: str
    code: int
    message: str


def write_atomically(path: Path, values: Any) -> None:
    """Write JSON so that a reader, at any moment, finds all of it or what was there before.

    Parameters
    ----------
    path : Path
        File to write or replace.
    values : object
        JSON-ready.
    """
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(values), encoding="utf-8")
    partial.replace(path)


class Journal:
    """Starts and stops the instruments of this process and keeps the folder up to date.

    Parameters
    ----------
    folder : Path
        Where everything goes.
    instruments : Instruments
        What measures.
    """

    def __init__(self, folder: Path, instruments: Instruments) -> None:
        self.folder = folder
        self.outcome = Outcome("running", 0, "")
        self._instruments = instruments
        self._process = os.getpid()
        self._forks = 0
        self._started: tuple[float, float] | None = None
        self._finished = False
        self._wait = _thread.allocate_lock()
        self._writing = _thread.allocate_lock()

    def before_imports(self) -> None:
        """Get the instruments ready for the modules that a function to be measured comes from."""
        self._instruments.before_imports()

    def start(self) -> None:
        """Measure from now on, and write about once a second."""
        self._begin()
        self._instruments.start()

    def measure(self, call: Callable[[], object], seconds: float) -> None:
        """Measure calls of a function.

        Parameters
        ----------
        call : callable
            Calls the function.
        seconds : float
            For about how long, where more calls than one make the figures better.
        """
        self._begin()
        self._instruments.measure(call, seconds)

    def _begin(self) -> None:
        os.register_at_fork(after_in_parent=self._count_fork)
        self._keep_before_exit()
        self._wait.acquire()
        self._started = time.perf_counter(), time.process_time()
        # Not a threading.Thread: the program may list its threads, and must not find one of ours.
        _thread.start_new_thread(self._flush_often, ())

    def prepare(self, code: CodeType) -> CodeType:
        """Return the code to run instead of a module's own."""
        return self._instruments.prepare(code)

    def finish(self) -> None:
        """Stop measuring and write everything; a second call does nothing, nor one in a forked child."""
        if self._finished or os.getpid() != self._process:
            return
        self._finished = True
        if self._started is not None:
            self._wait.release()
            with self._writing:
                self._instruments.stop()
        self._write_state()

    def _keep_before_exit(self) -> None:
        """Have ``os._exit``, which skips all clean-up, write first what was measured."""
        leave = os._exit

        def write_and_leave(status: int) -> None:
            if os.getpid() == self._process:
                self.outcome = Outcome("os._exit", status & 0xFF, "")
                self.finish()
            leave(status)

        os._exit = write_and_leave  # type: ignore[assignment]

    def _count_fork(self) -> None:
        self._forks += 1

    def _flush_often(self) -> None:
        # Soon at first: what slows the program down is to be noticed early.
        wait = FLUSH_SECONDS / 8
        while not self._wait.acquire(timeout=wait):
            wait = min(2 * wait, FLUSH_SECONDS)
            with self._writing:
                if self._finished:
                    return
                self._instruments.flush()
                self._write_state()

    def _write_state(self) -> None:
        wall = cpu = 0.0
        if self._started is not None:
            wall, cpu = time.perf_counter() - self._started[0], time.process_time() - self._started[1]
        state = {
            **asdict(self.outcome),
            "wall": wall,
            "cpu": cpu,
            "calls": self._instruments.calls,
            "forks": self._forks,
            "children_cpu": _cpu_of_children(),
        }
        write_atomically(self.folder / "state.json", state)


def _cpu_of_children() -> float:
    """Return the CPU seconds of the program's child processes that have ended."""
    times = os.times()
    # The program that looks up lines of compiled modules is a child too, but not the program's.
    compiled = sys.modules.get("profiling.collect.compiled_modules")
    # Another thread may be importing it just now.
    lookup_seconds = getattr(compiled, "lookup_seconds", None)
    ours = lookup_seconds() if lookup_seconds else 0.0
    return max(0.0, times.children_user + times.children_system - ours)
