"""What the profiling toolkit costs, beside the limits that it holds itself to.

``python benchmarks/profiling_limits.py`` takes about a minute. Plain and measured work take turns (ABBA), the
smallest of four neighbours counts, and the median of the paired differences or ratios is given with its 95 %
interval: a busy machine widens that. The limits are for a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import profiling
from profiling.collect.runner import run_program
from profiling.collect.sampler import Sampler
from profiling.commands._base import page_width
from profiling.document import Column, Document, Section, Table
from profiling.measure import stats
from profiling.reporters.text import TextReporter
from profiling.targets import ScriptTarget

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "benchmarks" / "trial_programs"
REQUESTS = 20_000
"""Buffers of one piece of work."""
HEAVY = ("line_profiler", "memory_profiler", "matplotlib", "jinja2", "IPython", "torch")
"""Packages that are loaded only where they are used."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One figure beside its limit.

    Attributes
    ----------
    name : str
        What it costs.
    value, low, high : float
        Estimate and interval, in `unit`.
    limit : float
        In `unit`.
    unit : str
        For people.
    at_least : bool
        Whether the figure has to be above the limit.
    """

    name: str
    value: float
    low: float
    high: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the estimate keeps the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def taking_turns(
    plain: Callable[[], float], measured: Callable[[], float], rounds: int
) -> tuple[stats.Floats, stats.Floats]:
    """Return the smallest of each four neighbours of both, which took turns.

    Parameters
    ----------
    plain, measured : callable
        Do the work and return its seconds.
    rounds : int
        Of ABBA; an even number.

    Returns
    -------
    tuple of ndarray
        Of length `rounds` / 2, in seconds.
    """
    first: list[float] = []
    second: list[float] = []
    plain(), measured()
    for _ in range(rounds):
        first.append(plain())
        second += [measured(), measured()]
        first.append(plain())
    return stats.block_minima(first), stats.block_minima(second)


def _median(values: stats.Floats) -> tuple[float, float, float]:
    replicates = stats.bootstrap_medians([values])
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(np.median(values)), float(low), float(high)


def counting(rounds: int) -> Limit:
    """Measure what counting one buffer costs, without lines: its request and its return."""

    def plain() -> float:
        empty = np.empty
        start = time.perf_counter()
        for _ in range(REQUESTS):
            empty(100)
        return time.perf_counter() - start

    def counted() -> float:
        with profiling.count_allocations() as counter:
            taken = plain()
        if counter.count != REQUESTS:
            raise SystemExit(f"{counter.count} buffers were counted, not {REQUESTS}")
        return taken

    without, with_ = taking_turns(plain, counted, rounds)
    return Limit("counting a buffer", *_median(1e9 * (with_ - without) / REQUESTS), 10, "ns")


def sampling(name: str, work: Callable[[], object], rounds: int) -> Limit:
    """Measure how much longer work takes while it is sampled."""

    def timed() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    def plain() -> float:
        # At the same depth of calls: where Python's frames lie changes a loop's time by some per cent.
        with contextlib.nullcontext():
            taken = timed()
        return taken

    def sampled() -> float:
        with Sampler() as sampler:
            taken = timed()
        if not sum(sample.samples for sample in sampler.samples()):
            raise SystemExit("nothing was sampled")
        return taken

    without, with_ = taking_turns(plain, sampled, rounds)
    return Limit(f"sampling {name}", *_median(100 * (with_ / without - 1)), 5, "%")


def script(name: str, rounds: int) -> Limit:
    """Measure how much longer a script runs under a report with its defaults, its start included."""
    path = str(PROGRAMS / name)
    target = ScriptTarget(path, "", ()).to_dict()

    def plain() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, path], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    def profiled() -> float:
        kept = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        try:
            start = time.perf_counter()
            ended = run_program(target, own=[path], names=True).ended
            return time.perf_counter() - start
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
            if ended != "returned":
                raise SystemExit(f"{path} did not return")

    without, with_ = taking_turns(plain, profiled, rounds)
    return Limit(f"report {name}", *_median(with_ / without), 1.3, "times")


def importing(rounds: int) -> Limit:
    """Measure ``import profiling`` in a fresh process, NumPy included."""
    code = (
        "import sys, time; start = time.perf_counter(); import profiling; "
        f"print(time.perf_counter() - start, *(name for name in {HEAVY} if name in sys.modules))"
    )
    taken = []
    for _ in range(4 * rounds):
        printed = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
        )
        seconds, *heavy = printed.stdout.split()
        if heavy:
            raise SystemExit(f"import profiling loads {', '.join(heavy)}")
        taken.append(float(seconds))
    return Limit("import profiling", *_median(1e3 * stats.block_minima(taken)), 150, "ms")


def simulating(rounds: int) -> Limit:
    """Measure the cache simulator on the ladder, at its slowest kernel."""
    command = [sys.executable, "-m", "profiling", "cache", "matmul", "--size", "96", "--no-cachegrind"]
    slowest = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.json"
        for _ in range(4 * rounds):
            subprocess.run([*command, "--json", str(path)], check=True, capture_output=True, cwd=ROOT)
            kernels = json.loads(path.read_text(encoding="utf-8"))["kernels"]
            slowest.append(1 / min(kernel["accesses_per_second"] for kernel in kernels))
    value, low, high = (1e-6 / figure for figure in _median(stats.block_minima(slowest)))
    return Limit("simulating accesses", value, high, low, 100, "M/s", at_least=True)


def _python_work() -> int:
    total = 0
    for number in range(800_000):
        total += number * number % 7
    return total


_VECTOR = np.ones(100_000)


def _native_work() -> None:
    for _ in range(100):
        np.tanh(_VECTOR)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
        Exit code: 1 if a limit does not hold.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    figures: dict[str, Callable[[], Limit]] = {
        "counting": lambda: counting(100),
        "sampling-python": lambda: sampling("plain Python", _python_work, 32),
        "sampling-native": lambda: sampling("compiled code", _native_work, 32),
        "script-loops": lambda: script("loops.py", 6),
        "script-network": lambda: script("network.py", 6),
        "import": lambda: importing(4),
        "simulator": lambda: simulating(2),
    }
    parser.add_argument("--only", nargs="+", choices=figures, default=list(figures), help="default: all")
    given = parser.parse_args(arguments)
    # Not the subject: threads of a BLAS that wait for work, and compiling Python files anew in each process.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    found = [figures[name]() for name in given.only]
    columns = (
        Column(""),
        Column("measured", "right"),
        Column("95 % interval", "right"),
        Column("limit", "right"),
        Column(""),
    )
    rows = tuple(
        (
            entry.name,
            f"{entry.value:.3g} {entry.unit}",
            f"{entry.low:.3g} to {entry.high:.3g}",
            f"{'at least' if entry.at_least else 'at most'} {entry.limit:g} {entry.unit}",
            "holds" if entry.holds else "FAILS",
        )
        for entry in found
    )
    document = Document("limits of the profiling toolkit", (Section("Costs", (Table(columns, rows),)),), {})
    print(TextReporter().render(document, page_width()))
    return 0 if all(entry.holds for entry in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
