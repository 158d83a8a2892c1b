"""Cache misses by valgrind's cachegrind: the real instructions of the real build, 25 to 50 times slower.

Child processes run the kernels under valgrind (``cachegrind_driver.py``), which writes its counts by
source file and line. Cachegrind knows a first and a last level of caches, each of a power of
two of sets; `last_level` makes the machine's last level one.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensorops.runtime import cpu

from .accesses import ArrayLayout
from .cachegrind_file import CachegrindError, Counts, LineCounts, parse
from .geometry import CacheLevel

PACKED = "packed"
"""The product of this library as a user calls it, on its packed path; beside the ladder's kernels."""

LADDER_MODULE = "tensorops.kernels.ladder"

START_SECONDS = 6.0
PACKED_SECONDS = 15.0
"""Starting Python under valgrind, and importing NumPy and the library there; both measured on one machine."""
SECONDS_PER_FLOP = 4e-8
"""Rough: one multiply-add of plain loops takes about eight instructions, each about 10 ns under valgrind."""


def why_unavailable() -> str | None:
    """Return why cachegrind cannot be used here, or None.

    Returns
    -------
    str or None
        What is missing and how to get it.

    Examples
    --------
    >>> why_unavailable() is None or "valgrind" in why_unavailable()
    True
    """
    if not sys.platform.startswith("linux"):
        return f"valgrind is used on Linux only, this is {sys.platform}"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed; get it with apt-get install valgrind, or dnf install valgrind"
    return None


def last_level(levels: Sequence[CacheLevel]) -> CacheLevel:
    """Return the last level as cachegrind can have it: with a power of two of sets.

    Parameters
    ----------
    levels : sequence of CacheLevel
        At least one.

    Returns
    -------
    CacheLevel
        The last level; where its sets are no power of two, with the next smaller one.

    Examples
    --------
    >>> last_level([CacheLevel("L3", 24 << 20, 16, 64)]).text
    '16M/16/64'
    """
    level = levels[-1]
    sets = 1 << (level.sets.bit_length() - 1)
    if sets == level.sets:
        return level
    return CacheLevel(
        level.name, sets * level.ways * level.line, level.ways, level.line, level.shared_by, "rounded"
    )


def expected_seconds(flops: int, kernels: Sequence[str]) -> float:
    """Return a rough estimate of how long a run takes.

    Parameters
    ----------
    flops : int
        Of one kernel.
    kernels : sequence of str
        What is run.

    Returns
    -------
    float
        Seconds on a machine without other work. The packed product has a process of its own and works on
        vectors, so that its imports are what counts.

    Examples
    --------
    >>> expected_seconds(2 * 128**3, ["naive"]) > 5
    True
    """
    plain = START_SECONDS + SECONDS_PER_FLOP * flops * sum(kernel != PACKED for kernel in kernels)
    packed = PACKED_SECONDS + SECONDS_PER_FLOP * flops / 8 if PACKED in kernels else 0.0
    return max(plain, packed)


def command(output: Path, levels: Sequence[CacheLevel], program: Sequence[str]) -> list[str]:
    """Return the command that runs a program under cachegrind.

    Parameters
    ----------
    output : Path
        Where the counts go.
    levels : sequence of CacheLevel
        The first and the last of them are simulated.
    program : sequence of str
        The program and its arguments.

    Returns
    -------
    list of str
        For `subprocess`. Sizes are always given: what valgrind detects in virtual machines is often wrong.

    Examples
    --------
    >>> command(Path("x"), [CacheLevel("L1", 32768, 8, 64)], ["true"])[-2:]
    ['--LL=32768,8,64', 'true']
    """
    first, last = last_level(levels[:1]), last_level(levels)
    return [
        "valgrind",
        "-q",
        "--tool=cachegrind",
        "--cache-sim=yes",
        f"--cachegrind-out-file={output}",
        f"--I1={first.size},{first.ways},{first.line}",
        f"--D1={first.size},{first.ways},{first.line}",
        f"--LL={last.size},{last.ways},{last.line}",
        *program,
    ]


def run_kernels(
    kernels: Mapping[str, Mapping[str, int]],
    layouts: Sequence[ArrayLayout],
    dtype: str,
    levels: Sequence[CacheLevel],
) -> Counts:
    """Run kernels once each under cachegrind, every one on caches without its operands.

    The ladder's kernels and the packed product run in a process each, at the same time.

    Parameters
    ----------
    kernels : mapping of str to mapping
        Functions of the ladder with their own parameters, and `PACKED`.
    layouts : sequence of ArrayLayout
        Operands and result in the simulated memory; in the child they use the same sets.
    dtype : str
        Of the operands.
    levels : sequence of CacheLevel
        The machine's caches.

    Returns
    -------
    mapping
        Counts by file and line.

    Raises
    ------
    CachegrindError
        If valgrind is missing, or a child fails or is killed.
    """
    reason = why_unavailable()
    if reason:
        raise CachegrindError(reason)
    itemsize = 4 if dtype == "float32" else 8
    work = {
        "kernels": {kernel: dict(numbers) for kernel, numbers in kernels.items() if kernel != PACKED},
        "ladder": importlib.import_module(LADDER_MODULE).__file__,
        "format": "f" if dtype == "float32" else "d",
        "arrays": [
            {
                "address": layout.address,
                "shape": list(layout.shape),
                "bytes": itemsize * math.prod(layout.shape),
            }
            for layout in layouts
        ],
        "sweep": 2 * last_level(levels).size,
        "packed": False,
    }
    # Isolated and without site packages: the ladder needs neither, and both take seconds.
    runs = [(["-I", "-S"], work)] if work["kernels"] else []
    if PACKED in kernels:
        runs.append(([], {**work, "kernels": {}, "packed": True}))
    script = str(Path(__file__).with_name("cachegrind_driver.py"))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(runs)) as pool:
        children = []
        for number, (options, part) in enumerate(runs):
            output = Path(folder, f"cachegrind.{number}")
            words = [sys.executable, *options, script, json.dumps(part)]
            children.append(Child(command(output, levels, words), output))
        try:
            found = [future.result() for future in [pool.submit(child.counts) for child in children]]
        finally:
            for child in children:
                child.end()
    both: dict[tuple[str, int], LineCounts] = {}
    for counts in found:
        for key, counted in counts.items():
            both[key] = both[key].plus(counted) if key in both else counted
    return both


class Child:
    """A process under valgrind, started at once.

    Parameters
    ----------
    words : sequence of str
        As `command` gives them.
    output : Path
        The file that they name.

    Raises
    ------
    CachegrindError
        If valgrind cannot be started.
    """

    def __init__(self, words: Sequence[str], output: Path) -> None:
        self.output = output
        try:
            self.process = subprocess.Popen(
                words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment()
            )
        except OSError as error:
            raise CachegrindError(f"{words[0]} cannot be started: {error.strerror}") from error

    def counts(self) -> Counts:
        """Wait for the end and return the counts.

        Raises
        ------
        CachegrindError
            If the child fails, is killed, or writes nothing that can be read.
        """
        _, errors = self.process.communicate()
        code = self.process.returncode
        if code < 0:
            raise CachegrindError(f"valgrind was ended by {signal.Signals(-code).name}{_tail(errors)}")
        if code:
            raise CachegrindError(f"the run under valgrind failed with exit code {code}{_tail(errors)}")
        try:
            return parse(self.output.read_text(encoding="utf-8", errors="replace").splitlines())
        except OSError as error:
            raise CachegrindError(f"valgrind wrote no counts: {error.strerror}") from error

    def end(self) -> None:
        """Kill the child if it still runs: after Ctrl-C, or because the other one failed."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _environment() -> dict[str, Any]:
    """Return the child's environment: one thread, and no instructions that valgrind does not know."""
    environment = {**os.environ, "TENSOROPS_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment["TENSOROPS_PROFILE"] = "none"
    if cpu.selected_isa() == "v4":
        # Valgrind knows no AVX-512.
        environment["TENSOROPS_ISA"] = "v3"
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return environment


def _tail(errors: str) -> str:
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    return f": {lines[-1].strip()}" if lines else ""
