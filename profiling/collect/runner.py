"""Run a user's script or function in a process of its own, and read what was measured there.

The process has the terminal to itself: its input and output are the caller's. What it measured stands in
a folder that it writes about once a second, so a process that is killed leaves what it had.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .samples import Sample
from .spool import read_spool

INTERVAL = 1e-3
SIGNAL_CODE = 128
MODES = {"sample": "sampled", "lines": "followed by line_profiler", "memory": "followed by memory_profiler"}
# Run in __main__, whose names the script gets later; sys.path is left as Python made it.
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from profiling.collect.runner_child import main; "
    "del sys.path[0]; main(sys.argv[2])"
)

Mode = Literal["sample", "lines", "memory", "record"]


@dataclass(frozen=True, slots=True)
class Collected:
    """What one run of a program left.

    Attributes
    ----------
    exit_code : int
        The program's own; 128 and the signal's number where it was killed.
    ended : str
        ``returned``, ``raised``, ``exited``, ``interrupted``, ``os._exit``, ``killed``, ``vanished`` (it
        ended without Python's clean-up), or ``unusable`` (there was nothing to run).
    message : str
        The exception with its place, the signal, or what could not be used.
    wall, cpu, children_cpu : float
        Seconds: elapsed, of the processor in all threads, and of child processes.
    forks, calls : int
        Forks of the process; calls of the function (1 for a script).
    samples : tuple of Sample
        Where its threads were.
    sampling : mapping
        ``interval``, ``seconds``, ``samples``, ``lost`` and ``notes``, or ``reason`` why there is none.
    allocations : mapping or None
        The allocation counter's figures; None where NumPy was never loaded.
    operations : mapping or None
        The operation counter's figures, likewise.
    traced : mapping or None
        ``lines``, ``stopped`` (where the budget ended, or None), ``budget`` and ``notes`` of a tracer's run.
    recording : mapping or None
        The library's calls, as ``profiling.collect.recording.Recording.to_dict``.
    names : mapping or None
        What names stood for, as ``profiling.collect.names.NameWatch.to_dict``.
    """

    exit_code: int
    ended: str
    message: str
    wall: float = 0.0
    cpu: float = 0.0
    children_cpu: float = 0.0
    forks: int = 0
    calls: int = 1
    samples: tuple[Sample, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    allocations: Mapping[str, Any] | None = None
    operations: Mapping[str, Any] | None = None
    traced: Mapping[str, Any] | None = None
    recording: Mapping[str, Any] | None = None
    names: Mapping[str, Any] | None = None


def run_program(
    target: Mapping[str, Any],
    *,
    mode: Mode = "sample",
    own: Iterable[str] = (),
    min_bytes: int = 64,
    all_operations: bool = False,
    names: bool = False,
    seconds: float = 1.0,
    functions: Iterable[tuple[str, str]] = (),
    budget: int = 0,
) -> Collected:
    """Run a script or a function in a process of its own and return what was measured.

    Parameters
    ----------
    target : mapping
        As ``to_dict`` of `profiling.targets.ScriptTarget` or `profiling.targets.FunctionTarget`.
    mode : {"sample", "lines", "memory", "record"}
        At its own speed with samples and counters, followed by one of the tracers, or with the library's
        calls noted.
    own : iterable of str
        Files and folders that count as the user's own code wherever they stand.
    min_bytes : int
        Smaller buffers are not counted.
    all_operations : bool
        Whether operations are counted to the end however much that slows the program down.
    names : bool
        Whether to note what names stand for.
    seconds : float
        How long a function is sampled.
    functions : iterable of tuple of str
        Files and names of the functions that a tracer follows.
    budget : int
        Events that a tracer may take.

    Returns
    -------
    Collected
        Also where the program failed or was killed.
    """
    task = {
        "target": dict(target),
        "mode": mode,
        "own": list(own),
        "min_bytes": min_bytes,
        "interval": INTERVAL,
        "all_operations": all_operations,
        "names": names,
        "seconds": seconds,
        "functions": [list(entry) for entry in functions],
        "budget": budget,
    }
    with tempfile.TemporaryDirectory(prefix="profiling-") as name:
        folder = Path(name)
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        packages = str(Path(__file__).parent.parent.parent)
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        sys.stdout.flush()
        process = subprocess.Popen([sys.executable, *flags, "-c", _BOOT, packages, name])
        return read_folder(folder, _wait(process))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process; an interrupt is for the process to handle, and it got it from the terminal too."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                process.send_signal(signal.SIGINT)


def read_folder(folder: Path, status: int) -> Collected:
    """Return what a process left in its folder.

    Parameters
    ----------
    folder : Path
        Where it wrote.
    status : int
        How it ended, as ``subprocess`` tells it: its exit code, or the negative number of a signal.

    Returns
    -------
    Collected
        With all that can be read.
    """
    state = _load(folder / "state.json") or {}
    ended, message = state.get("ended", "running"), state.get("message", "")
    code = status
    if status < 0:
        code = SIGNAL_CODE - status
        ended, message = "killed", _signal_name(-status)
    elif ended == "running":
        ended, message = "vanished", ""
    samples, sampling = _read_samples(folder)
    return Collected(
        code,
        ended,
        message,
        wall=state.get("wall", 0.0),
        cpu=state.get("cpu", 0.0),
        children_cpu=state.get("children_cpu", 0.0),
        forks=state.get("forks", 0),
        calls=state.get("calls", 1),
        samples=samples,
        sampling=sampling,
        allocations=_load(folder / "allocations.json"),
        operations=_load(folder / "operations.json"),
        traced=_load(folder / "hits.json") or _load(folder / "memory.json"),
        recording=_load(folder / "recording.json"),
        names=_load(folder / "names.json"),
    )


def _read_samples(folder: Path) -> tuple[tuple[Sample, ...], dict[str, Any]]:
    reason = _load(folder / "sampling.json")
    if reason is not None:
        return (), reason
    try:
        spooled = read_spool(folder / "samples.jsonl")
    except (OSError, ValueError) as error:
        return (), {"reason": f"no samples were left ({error})"}
    return spooled.samples, {
        "interval": spooled.interval,
        "seconds": spooled.seconds,
        "samples": sum(sample.samples for sample in spooled.samples),
        "lost": spooled.lost,
        "notes": list(spooled.notes),
    }


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
