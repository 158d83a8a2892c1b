"""Train small networks on scikit-learn's digits four ways and time their steps.

From the same weights and the same batches: in plain NumPy, in the course's style (the NumPy layers with their
products alone swapped by `tensorops.install`), with `tensorops.nn`, and in PyTorch's eager mode where it is
installed. Prints for each the accuracy on held-out digits, the time of a step, and its ratio to our own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from profiling.measure.stats import paired_ratio, seconds
from profiling.measure.timer import Schedule, interleave

from .networks import WORKLOADS, Workload
from .processes import Stepper
from .versions import available

OURS = "tensorops"
RIVALS = ("numpy", "torch")
SAMPLE_SECONDS = 0.02


def measure(name: str, threads: int, launches: int, budget: float) -> dict[str, dict[str, Any]]:
    """Time a training step of every version, in turns.

    Parameters
    ----------
    name : str
        One of `WORKLOADS`.
    threads : int
        As many as each may use.
    launches : int
        Times to begin anew, in new processes.
    budget : float
        Seconds of each launch, about.

    Returns
    -------
    dict of str to dict
        For each version ``seconds``, the time of a step, and ``ratio``, that time over ours: each the
        estimate and the two ends of its interval.
    """
    samples: list[dict[str, list[float]]] = []
    for _ in range(launches):
        with ExitStack() as stack:
            steppers = [stack.enter_context(Stepper(name, version, threads)) for version in available()]
            schedule = Schedule(sample_seconds=SAMPLE_SECONDS, blocks=60, budget_seconds=budget)
            samples.append(interleave(steppers, schedule))
    rows: dict[str, dict[str, Any]] = {}
    for version in samples[0]:
        took = seconds([launch[version] for launch in samples])
        ratio = paired_ratio([launch[OURS] for launch in samples], [launch[version] for launch in samples])
        rows[version] = {
            "seconds": [took.estimate, took.low, took.high],
            "ratio": [ratio.estimate, ratio.low, ratio.high],
        }
    return rows


def accuracies(name: str, epochs: int, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Return what share of the held-out digits each version tells after training, for each seed."""
    found = {}
    for version in available():
        with Stepper(name, version, 1) as stepper:
            found[version] = [stepper.accuracy(epochs, seed) for seed in seeds]
    return found


def table(
    workload: Workload, heading: str, rows: dict[str, dict[str, Any]], reached: dict[str, list[float]]
) -> list[str]:
    """Return the lines of a table, and of the best rival below it."""
    lines = [
        heading,
        f"  {'version':16}{'ms a step':>11}  {'interval':18}{'time / ours':>11}  {'interval':14}accuracy",
    ]
    for version, row in rows.items():
        took, low, high = (1e3 * value for value in row["seconds"])
        ratio, least, most = row["ratio"]
        shown = " ".join(f"{100 * value:.1f} %" for value in reached.get(version, [])) or "-"
        lines.append(
            f"  {version:16}{took:11.3f}  {f'{low:.3f} to {high:.3f}':18}{ratio:11.2f}  "
            f"{f'{least:.2f} to {most:.2f}':14}{shown}"
        )
    best = min((version for version in RIVALS if version in rows), key=lambda name: rows[name]["ratio"][0])
    ratio, least, most = rows[best]["ratio"]
    lines.append(f"  best rival: {best}, {ratio:.2f} ({least:.2f} to {most:.2f}) times our time")
    goals = {"torch": workload.torch, "numpy": workload.numpy}
    asked = ", ".join(f"{goals[version]:.1f} of {version}" for version in goals if version in rows)
    lines.append(f"  asked: {asked}, accuracy {100 * workload.goal:.0f} %")
    return lines


def main(words: Sequence[str]) -> int:
    """Measure, train, print a table for each workload and number of threads."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workloads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}; default all")
    parser.add_argument("--threads", default="1", help="numbers of threads, such as 1,2")
    parser.add_argument("--launches", type=int, default=1, help="process starts that are pooled")
    parser.add_argument("--budget", type=float, default=5.0, help="seconds of timing of a launch")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each version; 0 for none")
    parser.add_argument("--epochs", type=int, help="of each training, instead of the workload's own")
    parser.add_argument("--quick", action="store_true", help="one epoch and a short measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    chosen = parser.parse_args(words)
    names = chosen.names or list(WORKLOADS)
    for name in names:
        if name not in WORKLOADS:
            parser.error(f"unknown workload {name!r}; there are {', '.join(WORKLOADS)}")
    found: list[dict[str, Any]] = []
    for name in names:
        workload = WORKLOADS[name]
        epochs = 1 if chosen.quick else chosen.epochs or workload.epochs
        reached = accuracies(name, epochs, range(chosen.seeds)) if chosen.seeds else {}
        for threads in map(int, chosen.threads.split(",")):
            rows = measure(name, threads, chosen.launches, 0.2 if chosen.quick else chosen.budget)
            heading = (
                f"{name} ({workload.what}), {workload.optimizer}: a step on {workload.batch} digits, "
                f"threads: {threads}; accuracy after {epochs} epochs"
            )
            print("\n".join(table(workload, heading, rows, reached)), flush=True)
            for version, row in rows.items():
                entry = {"workload": name, "threads": threads, "version": version, **row}
                found.append({**entry, "accuracy": reached.get(version, []), "epochs": epochs})
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
