"""The estimator beside pyperf's, on the same function.

The one test here that looks at a time: not whether it is short, only whether two tools agree on it.
"""

import json
import statistics
import subprocess
import sys

import pytest

from profiling import bench

pytest.importorskip("pyperf", reason="pyperf is not installed; it comes with the test extra")

AGREEMENT = 1.5
TRIES = 3
BODY = "total = 0\nfor number in range(20_000):\n    total += number & 7\n"


def work():
    total = 0
    for number in range(20_000):
        total += number & 7
    return total


def seconds_by_pyperf(folder):
    path = folder / "pyperf.json"
    # `timeit` puts the statement into a function, so both run the same bytecode.
    command = [sys.executable, "-m", "pyperf", "timeit", "-q", "-p", "1", "-n", "20", "-w", "3", "-l", "1"]
    subprocess.run([*command, "-o", str(path), BODY], check=True, capture_output=True)
    runs = json.loads(path.read_text(encoding="utf-8"))["benchmarks"][0]["runs"]
    return statistics.median(value for run in runs for value in run.get("values", ()))


def test_two_tools_agree(tmp_path):
    factors = []
    for number in range(TRIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        ours = bench(work, blocks=10).distribution("work").median
        factors.append(ours / seconds_by_pyperf(folder))
        if 1 / AGREEMENT < factors[-1] < AGREEMENT:
            return
    pytest.fail(f"time by bench / time by pyperf, three times: {factors}")
