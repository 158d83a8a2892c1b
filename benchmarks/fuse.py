"""The decorator ``tensorops.fuse`` beside NumPy, numexpr, Numba and JAX, on ten expressions in float32.

``python benchmarks/fuse.py --threads 1 2``. Each rival that is installed has a process of its own, stopped
outside its turn; each result is compared with NumPy's in float64, and may be off by four times what NumPy's
own in float32 is. ``--start`` measures first calls instead.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuse_expressions import EXPRESSIONS, Expression
from fuse_rivals import RIVALS

from profiling.measure.stats import geometric_mean, paired_ratio, seconds
from profiling.measure.timer import Schedule, interleave

OURS = "tensorops"
BENCHMARKS = Path(__file__).resolve().parent


class Process:
    """A rival's process, stopped while others run."""

    def __init__(self, name: str, threads: int, elements: int, folder: str) -> None:
        self.name = name
        command = [sys.executable, str(BENCHMARKS / "fuse_rivals.py"), name, str(threads), str(elements)]
        pipe = subprocess.PIPE
        environment = {**os.environ, "TENSOROPS_CACHE_DIR": folder}
        self._process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=BENCHMARKS,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Let the process answer a request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        self._process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line) if line else {"failed": "the process ended"}
        return answer

    def sample(self, loops: int) -> float:
        """Return the seconds per call."""
        answer = self.ask(loops=loops)
        if "failed" in answer:
            raise RuntimeError(f"{self.name}: {answer['failed']}")
        return float(answer["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def measure(
    expression: Expression, number: int, processes: Sequence[Process], schedule: Schedule
) -> tuple[dict[str, list[float]], dict[str, dict[str, Any]]]:
    """Return the samples of each rival whose result is right, and what its first call told."""
    told = {process.name: process.ask(expression=number) for process in processes}
    for answer in told.values():
        if "failed" not in answer and not answer["error"] <= answer["allowed"]:
            answer["failed"] = f"wrong by {answer['error']:.1e}"
    running = [process for process in processes if "failed" not in told[process.name]]
    return interleave(running, schedule) if running else {}, told


def table(
    threads: int, elements: int, names: Sequence[str], chosen: Sequence[str], schedule: Schedule, folder: str
) -> dict[str, Any]:
    """Measure all expressions, print the table and return the samples."""
    processes = [Process(name, threads, elements, folder) for name in names]
    print(f"\n{elements} elements of float32, {threads} thread(s): ms, and each rival's time over ours")
    print(f"{'':26}{OURS:>10}" + "".join(f"{name:>18}" for name in names if name != OURS) + "     error")
    kept: dict[str, Any] = {}
    best, numpy_s = [], []
    try:
        for number, expression in enumerate(EXPRESSIONS):
            if expression.name not in chosen:
                continue
            samples, told = measure(expression, number, processes, schedule)
            kept[expression.name] = {"samples": samples, "told": told}
            if OURS not in samples:
                print(f"{expression.name:26} {told[OURS]['failed']}")
                continue
            ours = [samples[OURS]]
            line = f"{expression.name:26}{seconds(ours).estimate * 1e3:10.3f}"
            for name in names:
                if name == OURS:
                    continue
                if name not in samples:
                    line += f"{'-':>18}"
                    continue
                ratio = paired_ratio(ours, [samples[name]])
                line += f"{seconds([samples[name]]).estimate * 1e3:10.3f} {ratio.estimate:6.2f}x"
            print(f"{line}   {told[OURS]['error']:.0e}", flush=True)
            rivals = [name for name in samples if name not in (OURS, "numpy")]
            if rivals:
                fastest = min(rivals, key=lambda name: seconds([samples[name]]).estimate)
                best.append((ours, [samples[fastest]]))
            numpy_s.append((ours, [samples["numpy"]]))
            for name, answer in told.items():
                if "failed" in answer:
                    print(f"    {name}: {answer['failed'][:100]}")
    finally:
        for process in processes:
            process.close()
    for label, pairs in (("NumPy", numpy_s), ("the best rival", best)):
        if pairs:
            mean = geometric_mean(pairs)
            print(f"geometric mean beside {label}: {mean.estimate:.2f} ({mean.low:.2f} to {mean.high:.2f})")
    return kept


START = """
import json, sys, time
begin = time.perf_counter()
sys.path[:0] = sys.argv[3:]
import numpy as np, tensorops
from fuse_expressions import EXPRESSIONS
operands = [x.astype(np.float32) for x in EXPRESSIONS[int(sys.argv[1])].draw(np.random.default_rng(1), 1000)]
function = EXPRESSIONS[int(sys.argv[1])].function
start = time.perf_counter()
if sys.argv[2] == "fused":
    function = tensorops.fuse(function, strict=True)
function(*operands)
print(time.perf_counter() - start)
"""


def start_times() -> None:
    """Print how long first calls take: NumPy's, one that compiles, one that finds the kernel."""
    print("first call in a new process, ms: NumPy's, fused and compiled, fused and cached (median of five)")
    for number, expression in enumerate(EXPRESSIONS):
        with tempfile.TemporaryDirectory() as folder:

            def once(kind: str, number: int = number, folder: str = folder) -> float:
                folders = [str(BENCHMARKS), str(BENCHMARKS.parent)]
                command = [sys.executable, "-c", START, str(number), kind, *folders]
                environment = {**os.environ, "TENSOROPS_CACHE_DIR": folder}
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                return float(done.stdout) * 1e3

            plain = sorted(once("plain") for _ in range(5))[2]
            compiled = once("fused")
            cached = sorted(once("fused") for _ in range(5))[2]
        print(f"{expression.name:26}{plain:10.1f}{compiled:10.0f}{cached:10.1f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="numbers of threads")
    parser.add_argument("--elements", type=int, default=1_000_000, help="elements of each operand")
    parser.add_argument(
        "--rivals", nargs="+", default=list(RIVALS), choices=list(RIVALS), help="of those installed"
    )
    parser.add_argument("--blocks", type=int, default=3, help="blocks of four samples for each expression")
    parser.add_argument(
        "--expressions",
        nargs="+",
        default=[item.name for item in EXPRESSIONS],
        metavar="NAME",
        help="some of the ten",
    )
    parser.add_argument("--start", action="store_true", help="measure first calls instead")
    parser.add_argument("--json", type=Path, help="file for the raw samples")
    given = parser.parse_args(arguments)
    if given.start:
        start_times()
        return 0
    names = [
        name for name in RIVALS if name in {OURS, "numpy", *given.rivals} and importlib.util.find_spec(name)
    ]
    schedule = Schedule(sample_seconds=0.01, blocks=given.blocks, budget_seconds=6)
    kept = {}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.strftime("%Y-%m-%d %H:%M")
        for threads in given.threads:
            kept[threads] = table(threads, given.elements, names, given.expressions, schedule, folder)
    if given.json:
        given.json.write_text(
            json.dumps({"begin": begin, "elements": given.elements, "threads": kept}), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
