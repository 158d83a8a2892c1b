"""The report on a call in this process: what the notebook's magics show."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from ..collect.own_code import OwnCode, block_at
from ..collect.runner import INTERVAL, Collected, Mode, read_folder
from ..collect.runner_collectors import Collectors
from ..collect.runner_state import Instruments, write_atomically
from ..collect.runner_tracing import LineTracing, MemoryTracing
from ..document import Document
from ..measure import calibration, machine
from ._report_code import CodeOptions, Subject, build_document


def profile_call(
    function: Callable[[], Any],
    *,
    name: str = "call",
    once: bool = False,
    seconds: float = 1.0,
    lines: bool = False,
    memory: bool = False,
    functions: Sequence[str] = (),
    budget: int | None = None,
    min_bytes: int = 64,
    also: Iterable[str] = (),
    advice: bool = False,
) -> Document:
    """Profile a call in this process and return the report.

    Parameters
    ----------
    function : callable
        What to call; takes no argument. What it raises is passed on.
    name : str
        Title of the report.
    once : bool
        Call it once with the sampler and the counters together, as for code with side effects. Otherwise
        it is counted in one call and sampled in as many as fit into `seconds`; figures are those of one.
    seconds : float
        How long it is sampled.
    lines, memory : bool
        Follow one more call by line_profiler, by memory_profiler.
    functions : sequence of str
        Names of the functions to show; those that matter by default.
    budget : int, optional
        Events that each of these further calls may take.
    min_bytes : int
        Smaller buffers are not counted.
    also : iterable of str
        Files and folders that count as the user's own code wherever they stand.
    advice : bool
        Look for replacements of hot lines, and try them out.

    Returns
    -------
    Document
        For any reporter.

    Raises
    ------
    ValueError
        If `seconds` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> document = profile_call(lambda: np.ones(1000) + 1, name="ones", seconds=0.01)
    >>> document.title, document.data["allocations"]["bytes"]
    ('ones', 16000)
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds}")
    own = OwnCode(also)

    def run(mode: Mode, names: Iterable[tuple[str, str]] = (), events: int = 0) -> Collected:
        with tempfile.TemporaryDirectory(prefix="profiling-") as name:
            folder = Path(name)
            if mode == "sample":
                instruments: Instruments = Collectors(folder, own, min_bytes, INTERVAL, names=advice)
                return _run(instruments, folder, function, once, seconds)
            wanted = list(names)
            if mode == "memory":
                return _run(MemoryTracing(folder, own, wanted, events), folder, function, False, seconds)
            tracing = LineTracing(folder, own, wanted, events)
            tracing.adopt(_loaded_functions(own, set(wanted)))
            return _run(tracing, folder, function, False, seconds)

    before = calibration.sample()
    collected = run("sample")
    subject = Subject(
        what="function" if not once else "script",
        title=name,
        target={"kind": "function", "name": name, "arguments": {}},
        machine=machine.describe(),
        calibration={"before": before, "after": calibration.sample()},
    )
    options = CodeOptions(lines, memory, budget, tuple(functions), min_bytes, seconds, advice=advice)
    return build_document(subject, [collected], own, options, run)


def _run(
    instruments: Instruments, folder: Path, function: Callable[[], Any], once: bool, seconds: float
) -> Collected:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        if once:
            instruments.start()
            function()
        else:
            instruments.measure(function, seconds)
    finally:
        instruments.stop()
    state = {
        "ended": "returned",
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "calls": instruments.calls,
    }
    write_atomically(folder / "state.json", state)
    return read_folder(folder, 0)


def _loaded_functions(own: OwnCode, wanted: set[tuple[str, str]]) -> list[FunctionType]:
    """Return the functions of this process that go by these files and names."""
    found = []
    for candidate in gc.get_objects():
        if isinstance(candidate, FunctionType) and own(candidate.__code__.co_filename):
            filename = own.absolute(candidate.__code__.co_filename)
            if (filename, block_at(filename, candidate.__code__.co_firstlineno).name) in wanted:
                found.append(candidate)
    return found
