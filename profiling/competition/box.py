"""The judge's handle of one process that runs a submission: start it, let it run for one call, stop it.

The process is stopped (SIGSTOP) from the moment it is ready, and runs only inside a call. A call is
timed by this process, from the moment before the other is set free to the moment when it stands still
again: whatever it does, it does inside its time. What it answers decides only when it is stopped.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from . import verdict
from .arena import Arena, Array
from .inside import protocol
from .sandbox import PROFILER, SIGNALS, Sandbox, command, environment, profiler_folders, readable, site_folder
from .verdict import Fault
from .warden import Warden

MOST_OUTPUT = 64 * 1024
KEPT_OUTPUT = 8 * 1024
REFUSED = ("PermissionError", "BlockingIOError")
UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading an answer of any content may raise."""
DYING_SECONDS = 1.0
"""How long the end of a process may come after that of its pipes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one box may use.

    Attributes
    ----------
    seconds : float
        Wall time of one call.
    load_seconds : float
        Wall time of starting Python and importing the file.
    total_seconds : float
        Wall time of everything together.
    processor_seconds : int
        Processor time of the whole process.
    memory : int
        Bytes of address space beyond what Python and NumPy take.
    """

    seconds: float = 5.0
    load_seconds: float = 20.0
    total_seconds: float = 120.0
    processor_seconds: int = 60
    memory: int = 1 << 30


@dataclass(frozen=True, slots=True)
class HotLine:
    """A line of a submission and the seconds spent in it."""

    function: str
    line: int
    seconds: float


class Box:
    """One submission's process.

    Parameters
    ----------
    path : Path
        The Python file or the compiled module.
    name : str
        Name of the module.
    arena : tuple of int
        The most bytes of operands and of a result.
    sandbox : Sandbox
        From ``sandbox.probe()``.
    cores : sequence of int
        Processors it may use; as many threads are given to NumPy and OpenMP.
    limits : Limits, optional
        What it may use.
    profiled : bool
        Whether it may read line_profiler, too.

    Raises
    ------
    Fault
        LOAD_ERROR and everything that may happen while the submission is imported.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        arena: tuple[int, int],
        sandbox: Sandbox,
        cores: Sequence[int],
        limits: Limits | None = None,
        *,
        profiled: bool = False,
    ) -> None:
        self._profiled = profiled
        self._cores = list(cores)
        self.limits = limits or Limits()
        self.arena = Arena(*arena)
        self._output = bytearray()
        self._printed = 0
        self._handles: list[int] = []
        self._ended: int | None = None
        self._warden: Warden | None = None
        self._used = 0.0
        self.spent = 0.0
        try:
            self._start(path, name, sandbox, cores)
        except BaseException:
            self.close()
            raise

    def _start(self, path: Path, name: str, sandbox: Sandbox, cores: Sequence[int]) -> None:
        requests_read, self._requests = self._pipe()
        self._answers, answers_write = self._pipe()
        self._printing, printing_write = self._pipe()
        given = [self.arena.inputs, self.arena.outputs, requests_read, answers_write]
        configuration = {
            "inputs": given[0],
            "outputs": given[1],
            "requests": given[2],
            "answers": given[3],
            "path": str(path),
            "name": name,
            "site": str(site_folder()),
            "names": [str(site_folder())],
            "packages": ["numpy", *(PROFILER if self._profiled else ())],
            "read": [*readable(), *(profiler_folders() if self._profiled else []), str(path)],
            "confined": sandbox.confined,
            "namespaces": sandbox.namespaces,
            "cores": list(cores),
            "seconds": self.limits.processor_seconds,
            "memory": self.limits.memory,
        }
        self._process = subprocess.Popen(
            command("serve", configuration),
            stdin=subprocess.DEVNULL,
            stdout=printing_write,
            stderr=printing_write,
            pass_fds=given,
            env=environment(len(cores) or 1, str(path.parent)),
            cwd=path.parent,
            # A group, not a session: the scheduler may share out time by session, and the judge's is raised.
            process_group=0,
        )
        for handle in (requests_read, answers_write, printing_write):
            os.close(handle)
            self._handles.remove(handle)
        for handle in (self._answers, self._printing):
            os.set_blocking(handle, False)
        self._pid = self._process.pid
        self._watch = os.pidfd_open(self._pid)
        self._handles.append(self._watch)
        self._warden = Warden(self._pid)
        self._poll = select.poll()
        for handle in (self._answers, self._printing, self._watch):
            self._poll.register(handle, select.POLLIN)
        self._wait(self.limits.load_seconds, "importing the file")
        self._stop()
        kind, _, content = self._answer()
        if kind == protocol.FAILED:
            raise self._raised(content, verdict.LOAD_ERROR)
        if kind != protocol.READY:
            raise Fault(verdict.PROTOCOL, "a wrong first answer")

    def _pipe(self) -> tuple[int, int]:
        pair = os.pipe2(os.O_CLOEXEC)
        self._handles += pair
        return pair

    def __enter__(self) -> Box:
        """Return the box itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    @property
    def output(self) -> str:
        """The end of what the submission has printed."""
        return bytes(self._output[-KEPT_OUTPUT:]).decode("utf-8", "replace")

    def prepare(self, operands: Sequence[Array], dtype: str, shape: Sequence[int]) -> None:
        """Tell the process the shapes of a case; it has not seen values yet."""
        layout = self.arena.arrange(operands, dtype, shape)
        # The operands of the case before are gone before the process runs.
        self.arena.write([operand * 0 for operand in operands])
        self._exchange(protocol.PREPARE, json.dumps(layout).encode())

    def call(self, operands: Sequence[Array], *, awake: bool = False) -> tuple[Array, float]:
        """Run the kernel once on new values.

        Parameters
        ----------
        operands : sequence of ndarray
            Of the shapes of `prepare`.
        awake : bool
            Whether to wait without sleeping, which takes a processor.

        Returns
        -------
        out : ndarray
            What stands in the result once the process stands still.
        seconds : float
            From setting it free until it stood still.

        Raises
        ------
        Fault
            For whatever goes wrong.
        """
        self.arena.write(operands)
        seconds = self._exchange(protocol.CALL, awake=awake)
        if not self.arena.margins_intact():
            raise Fault(verdict.WRONG_ANSWER, "the kernel wrote before or behind out")
        return self.arena.read(), seconds

    def spread(self) -> None:
        """Give each waiting thread a processor of its own, the main one's left out.

        Threads that go on after a stop may all wake up on one processor, and a call is too short for the
        system to notice. The main thread and those it starts later stay free.
        """
        others = self._cores[1:]
        if not others:
            return
        tasks = sorted(int(entry.name) for entry in Path(f"/proc/{self._pid}/task").iterdir())
        for number, task in enumerate(task for task in tasks if task != self._pid):
            with suppress(ProcessLookupError, PermissionError):
                os.sched_setaffinity(task, {others[number % len(others)]})

    def nothing(self) -> float:
        """Return the seconds of a call that does nothing: what the judge itself adds to each time."""
        return self._exchange(protocol.NOTHING)

    def changed_operands(self) -> list[int]:
        """Return which operands the kernel has changed, as far as its process tells."""
        try:
            self._exchange(protocol.INSPECT)
            return [int(number) for number in json.loads(self._content)][:9]
        except (Fault, *UNREADABLE):
            return []

    def hot_lines(self, calls: int) -> list[HotLine]:
        """Return where the kernel spends its time; the box must have been told of line_profiler.

        Parameters
        ----------
        calls : int
            How often it is run, on the operands of the last call.

        Returns
        -------
        list of HotLine
            The hottest first; empty where it cannot be told. What the process says is only shown.
        """
        try:
            self._exchange(protocol.LINES, json.dumps(calls).encode())
            told = json.loads(self._content)
            return [HotLine(str(name), int(line), float(time)) for name, line, _, time in told]
        except (Fault, *UNREADABLE):
            return []

    def _exchange(self, kind: int, content: bytes = b"", *, awake: bool = False) -> float:
        token = secrets.token_bytes(16)
        request = protocol.message(kind, token, content)
        os.write(self._requests, request)
        if len(self._cores) > 1:
            # It begins where the judge ends, and is free to go as soon as it runs.
            with suppress(ProcessLookupError, PermissionError):
                os.sched_setaffinity(self._pid, self._cores[:1])
        start = time.perf_counter_ns()
        os.kill(self._pid, signal.SIGCONT)
        self._wait(self.limits.seconds, "one call", awake=awake)
        self._stop()
        seconds = (time.perf_counter_ns() - start) * 1e-9
        found, returned, self._content = self._answer()
        if found == protocol.FAILED:
            raise self._raised(self._content, verdict.RUNTIME_ERROR)
        if found != protocol.DONE or returned != token:
            raise Fault(verdict.PROTOCOL, "an answer that does not belong to the call")
        self._drain()
        return seconds

    def _wait(self, seconds: float, what: str, *, awake: bool = False) -> None:
        """Wait for an answer; what is printed meanwhile is read, so that nobody waits for the reader."""
        begun = time.monotonic()
        end = begun + min(seconds, self.limits.total_seconds - self.spent)
        while True:
            left = end - time.monotonic()
            ready = dict(self._poll.poll(0 if awake else max(0.0, left) * 1000))
            if ready.get(self._answers, 0) & select.POLLIN:
                self.spent += time.monotonic() - begun
                return
            if self._printing in ready and ready[self._printing] & select.POLLIN:
                self._drain()
                continue
            if ready:
                raise self._death()
            if left <= 0:
                if time.monotonic() - begun < seconds:
                    total = self.limits.total_seconds
                    raise Fault(verdict.TIMEOUT, f"the calls together took longer than {total:.0f} s")
                raise Fault(verdict.TIMEOUT, f"{what} took longer than {seconds:g} s")

    def _stop(self) -> None:
        assert self._warden is not None
        self._warden.expect_stop()
        os.kill(self._pid, signal.SIGSTOP)
        # All threads stand still when this returns.
        _, status, used = os.wait4(self._pid, os.WUNTRACED)
        self._warden.stopped()
        if not os.WIFSTOPPED(status):
            self._ended, self._used = status, used.ru_utime + used.ru_stime
            raise self._death()

    def _answer(self) -> tuple[int, bytes, bytes]:
        """Return the one message that must be there, with nothing behind it."""
        with suppress(BlockingIOError):
            received = os.read(self._answers, 64 * 1024)
            if len(received) >= protocol.HEAD.size:
                kind, length, token = protocol.HEAD.unpack_from(received)
                if len(received) == protocol.HEAD.size + length:
                    return kind, token, received[protocol.HEAD.size :]
        raise Fault(verdict.PROTOCOL, "the answer is not one whole message")

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while part := os.read(self._printing, 64 * 1024):
                self._printed += len(part)
                self._output += part
                del self._output[: -4 * KEPT_OUTPUT]
                if self._printed > MOST_OUTPUT:
                    raise Fault(verdict.OUTPUT_LIMIT, f"more than {MOST_OUTPUT // 1024} KiB were printed")

    def _death(self) -> Fault:
        """Return why the process is gone, or has cut itself off."""
        if self._ended is None:
            ending = select.poll()
            ending.register(self._watch, select.POLLIN)
            if not ending.poll(DYING_SECONDS * 1000):
                return Fault(verdict.PROTOCOL, "the way to answer or to print was closed")
            _, self._ended, used = os.wait4(self._pid, 0)
            self._used = used.ru_utime + used.ru_stime
        with suppress(Fault):
            self._drain()
        self._process.returncode = os.waitstatus_to_exitcode(self._ended)
        code = self._process.returncode
        if self._warden is not None and self._warden.reason:
            return Fault(verdict.FORBIDDEN, self._warden.reason)
        if code >= 0:
            return Fault(verdict.CRASH, f"the process ended by itself with exit code {code}")
        name = SIGNALS.get(-code) or f"signal {-code}"
        if -code == signal.SIGSYS:
            return Fault(verdict.FORBIDDEN, "a system call that a kernel must not make")
        spent = self.limits.processor_seconds
        # Who is deaf to the first signal gets the second, which nobody is.
        if -code == signal.SIGXCPU or (-code == signal.SIGKILL and self._used >= spent):
            return Fault(verdict.CPU_LIMIT, f"more than {spent} s of processor time")
        if -code == signal.SIGKILL:
            return Fault(verdict.MEMORY_LIMIT, "the system killed the process, as it does without memory")
        return Fault(verdict.CRASH, f"the process was ended by {name}")

    def _raised(self, content: bytes, otherwise: str) -> Fault:
        """Return the fault that an exception of the submission amounts to."""
        try:
            told = json.loads(content)
            kinds = [str(kind) for kind in told["kinds"]]
            reason = f"{told['type']}: {told['message']}"
            trace = str(told["traceback"])[-KEPT_OUTPUT:]
        except UNREADABLE:
            return Fault(verdict.PROTOCOL, "an answer that cannot be read")
        name = otherwise
        if "MemoryError" in kinds:
            name = verdict.MEMORY_LIMIT
        elif any(kind in kinds for kind in REFUSED):
            name = verdict.FORBIDDEN
        with suppress(Fault):
            self._drain()
        return Fault(name, reason, stderr=f"{self.output}{trace}"[-KEPT_OUTPUT:])

    def close(self) -> None:
        """End the process and everything that belongs to it."""
        if self._warden is not None:
            self._warden.dismiss()
            self._warden = None
        process = getattr(self, "_process", None)
        if process is not None and self._ended is None:
            # The group has no other member: the filter lets no process be made. It is of use without one.
            for kill in (os.killpg, os.kill):
                with suppress(ProcessLookupError, PermissionError):
                    kill(process.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                _, self._ended = os.waitpid(process.pid, 0)
            process.returncode = -signal.SIGKILL
        for handle in self._handles:
            with suppress(OSError):
                os.close(handle)
        self._handles = []
        self.arena.close()
