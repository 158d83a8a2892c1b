"""A process that holds one or more libraries and runs their calls when it is told to.

Above one thread, the worker threads that a library leaves spinning after a call would take the
processor from the next contender. So each library gets a process of its own, which is stopped
(SIGSTOP) outside its turn. Requests and answers are lines of JSON.

Threads that continue after a stop may all be put on the core that is free at that instant, and a turn
is too short for the scheduler to notice: a product of 40 us then takes a time slice of 16 ms. So every
thread of such a process is tied to a core of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from ..cases import SPECS, Case
from .contenders import OURS, get_library
from .timer import garbage_collection_off
from .verify import Check, check_equal

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TENSOROPS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
)
PR_SET_PDEATHSIG = 1
WARM_UP_SHARE = 4
"""After a stop, a fourth of a sample's calls run before the clock starts: threads wake up, caches fill."""


SYSTEM_CPUS = Path("/sys/devices/system/cpu")


class WorkerError(RuntimeError):
    """A worker process ended or failed.

    Attributes
    ----------
    collected : object or None
        What `profiling.measure.launches.measure_launches` had measured before.
    """

    collected: Any = None


class Worker:
    """The parent's handle of one worker process.

    Parameters
    ----------
    libraries : sequence of str
        Names that ``profiling.measure.contenders.get_library`` knows.
    threads : int
        Threads that each library may use.
    frozen : bool
        Whether the process is stopped outside its turns.

    Raises
    ------
    WorkerError
        If the process does not start, or ``frozen`` is asked for where processes cannot be stopped.
    """

    def __init__(self, libraries: Sequence[str], threads: int, *, frozen: bool) -> None:
        if frozen and not hasattr(signal, "SIGSTOP"):
            raise WorkerError("more than one thread needs SIGSTOP, which this system does not have")
        root = str(Path(__file__).resolve().parents[2])
        search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"PYTHONPATH": search}
        # The library as shipped: no choice that an earlier report has made, no backend of the user's.
        environment |= {"TENSOROPS_PROFILE": "none", "TENSOROPS_BACKEND": ""}
        self.libraries = tuple(libraries)
        self._frozen = frozen
        self._process = subprocess.Popen(
            [sys.executable, "-m", "profiling.measure.worker", str(threads), *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        try:
            self.versions: dict[str, str] = self._receive()["versions"]
        except BaseException:
            self.close()
            raise
        self._stop()

    def __enter__(self) -> Worker:
        """Return the worker itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def open(
        self, case: Case, seed: int, names: Sequence[str], *, oracle: bool = False, lenient: bool = False
    ) -> dict[str, str]:
        """Prepare a case for some of the libraries and verify one result of each.

        Parameters
        ----------
        case : Case
            What to compute.
        seed : int
            Seed of the operands.
        names : sequence of str
            Which of the worker's libraries.
        oracle : bool
            Whether to compare with the reference, which is slow, instead of Freivalds' check.
        lenient : bool
            Whether a library that raises is one more that was wrong, instead of an error of the worker.

        Returns
        -------
        dict of str to str
            What was wrong, by library; empty if all results were right.
        """
        errors: dict[str, str] = self._ask(
            {
                "open": case.to_dict(),
                "seed": seed,
                "names": list(names),
                "oracle": oracle,
                "lenient": lenient,
            }
        )["errors"]
        return errors

    def sample(self, library: str, loops: int) -> float:
        """Run the prepared case `loops` times and return the seconds per call."""
        return float(self._ask({"sample": library, "loops": loops, "warm": self._frozen})["seconds"])

    def allocations(self, library: str) -> tuple[int, int]:
        """Return how many NumPy buffers one call of the prepared case allocates, and their bytes."""
        count, size = self._ask({"allocations": library})["allocations"]
        return int(count), int(size)

    def workspace(self) -> dict[str, int] | None:
        """Return ``tensorops.runtime.workspace.statistics()`` of the process, None if it does not run us."""
        statistics: dict[str, int] | None = self._ask({"workspace": True})["workspace"]
        return statistics

    def close(self) -> None:
        """End the process, which may be stopped."""
        if self._process.poll() is None:
            self._continue()
            self._close_streams()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close_streams()

    def _close_streams(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                # A request that nobody will read any more is of no use.
                with suppress(BrokenPipeError):
                    stream.close()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._continue()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        answer = self._receive()
        self._stop()
        if "failed" in answer:
            raise WorkerError(f"{', '.join(self.libraries)}: {answer['failed']}")
        return answer

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> WorkerError:
        code = self._process.wait()
        return WorkerError(f"the process of {', '.join(self.libraries)} ended with exit code {code}")

    def _stop(self) -> None:
        if self._frozen:
            self._process.send_signal(signal.SIGSTOP)

    def _continue(self) -> None:
        if self._frozen:
            self._process.send_signal(signal.SIGCONT)


class RemoteContender:
    """One library of a worker, as the interleaving wants it.

    Parameters
    ----------
    worker : Worker
        With the case opened.
    name : str
        One of the worker's libraries.
    """

    def __init__(self, worker: Worker, name: str) -> None:
        self._worker = worker
        self._name = name

    @property
    def name(self) -> str:
        """Name of the library."""
        return self._name

    def sample(self, loops: int) -> float:
        """Run the prepared case `loops` times and return the seconds per call."""
        return self._worker.sample(self._name, loops)


class _Session:
    """What runs inside the worker process."""

    def __init__(self, threads: int, libraries: Sequence[str]) -> None:
        self.cores = physical_cores_first()[:threads]
        self.libraries = {name: get_library(name) for name in libraries}
        for library in self.libraries.values():
            library.set_threads(threads)
        self.loops: dict[str, Callable[[int], float]] = {}

    def open(
        self, case: Case, seed: int, names: Sequence[str], oracle: bool, lenient: bool = False
    ) -> dict[str, str]:
        self.loops.clear()
        operands = case.operands(seed)
        errors = {}
        check = Check(case, operands)
        exact = oracle and case.op == "matmul"
        expected = SPECS[case.op].reference(*operands) if exact else None
        for name in names:
            out = case.results()
            try:
                loop = self.libraries[name].loop(case, operands, out)
                loop(1)
            except Exception as error:
                if not lenient:
                    raise
                errors[name] = f"{type(error).__name__}: {error}"
                continue
            if expected is None:
                problem = check.problem(out, own_bounds=self.libraries[name].own_bounds)
            else:
                assert isinstance(out, np.ndarray)
                problem = check_equal(out, expected)
            if problem:
                errors[name] = problem
            self.loops[name] = loop
        # Now, because a library starts its threads with its first product.
        if len(self.cores) > 1:
            pin_threads(self.cores)
        return errors

    def sample(self, library: str, loops: int, warm: bool) -> float:
        loop = self.loops[library]
        if warm:
            loop(max(1, loops // WARM_UP_SHARE))
        return loop(loops) / loops

    def count_allocations(self, library: str) -> tuple[int, int]:
        from ..collect.allocations import count_allocations

        # Two loops differ by what one call allocates; the loop around the calls costs the same in both.
        with count_allocations() as one:
            self.loops[library](2)
        with count_allocations() as two:
            self.loops[library](3)
        return two.count - one.count, two.bytes - one.bytes

    def workspace(self) -> dict[str, int] | None:
        if not any(library.name == OURS for library in self.libraries.values()):
            return None
        from tensorops.runtime import workspace

        statistics: dict[str, int] = workspace.statistics()
        return statistics

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if "sample" in request:
            return {"seconds": self.sample(request["sample"], request["loops"], request["warm"])}
        if "open" in request:
            return {"errors": self._opened(request)}
        if "allocations" in request:
            return {"allocations": self.count_allocations(request["allocations"])}
        return {"workspace": self.workspace()}

    def _opened(self, request: Mapping[str, Any]) -> dict[str, str]:
        case = Case.from_dict(request["open"])
        return self.open(case, request["seed"], request["names"], request["oracle"], request["lenient"])

    def serve(self, requests: TextIO, answers: TextIO) -> None:
        _send(answers, {"versions": {library.name: library.version() for library in self.libraries.values()}})
        with garbage_collection_off():
            for line in requests:
                try:
                    answer = self.answer(json.loads(line))
                except Exception as error:
                    # Any failure of a library belongs to the parent, with its type and message.
                    answer = {"failed": f"{type(error).__name__}: {error}"}
                _send(answers, answer)


def physical_cores_first() -> list[int]:
    """Return the processors this process may use, one hardware thread of every core before the second.

    Returns
    -------
    list of int
        Empty where the system does not tell.

    Examples
    --------
    >>> sorted(physical_cores_first()) == sorted(getattr(os, "sched_getaffinity", lambda pid: ())(0))
    True
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    order = []
    seen: dict[str, int] = {}
    for processor in sorted(os.sched_getaffinity(0)):
        siblings = SYSTEM_CPUS / f"cpu{processor}/topology/thread_siblings_list"
        core = siblings.read_text(encoding="ascii") if siblings.is_file() else str(processor)
        order.append((seen.setdefault(core, 0), processor))
        seen[core] += 1
    return [processor for _, processor in sorted(order)]


def pin_threads(cores: Sequence[int]) -> None:
    """Tie the main thread to the first core and the others to the rest in turn.

    A pool of n threads has n - 1 besides the main one and starts them one after the other, so each
    pool of the process covers the rest once.

    Parameters
    ----------
    cores : sequence of int
        At least two processors.
    """
    main = os.getpid()
    others = sorted(int(task.name) for task in Path("/proc/self/task").iterdir() if int(task.name) != main)
    os.sched_setaffinity(main, {cores[0]})
    for number, thread in enumerate(others):
        # A thread may have ended since it was listed.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, {cores[1 + number % (len(cores) - 1)]})


def _send(answers: TextIO, answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent ends: a stopped process would stay for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: Sequence[str]) -> None:
    """Serve requests from standard input until it is closed.

    Parameters
    ----------
    arguments : sequence of str
        Number of threads, then names of libraries.
    """
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        _Session(int(arguments[0]), arguments[1:]).serve(sys.stdin, answers)
    except BrokenPipeError:
        # The parent was interrupted; what is left in the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
