"""Several runs of one program, one after the other, as one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..collect.line_table import LineTable
from ..collect.native_lines import pyx_line_times
from ..collect.own_code import OwnCode
from ..collect.runner import Collected
from ..collect.samples import Sample, line_times
from ..measure import calibration
from ._report_samples import without_measuring

WELL = ("returned", "exited")
"""How a program ends that runs to its end."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """What several runs of a program left.

    Attributes
    ----------
    runs : tuple of Collected
        Those that ended well; the first one, however it ended.
    failed : Collected or None
        A later one that did not end as the first did: it ended the series.
    calibration : mapping
        ``before`` the first run, ``during`` (between two runs; left out where there is one run) and
        ``after`` the last one.
    """

    runs: tuple[Collected, ...]
    failed: Collected | None
    calibration: Mapping[str, Sequence[float]]


def repeat(run: Callable[[], Collected], count: int) -> Repeated:
    """Run a program several times; stop at a run that ends in another way than the first.

    Parameters
    ----------
    run : callable
        Runs it once.
    count : int
        How often.

    Returns
    -------
    Repeated
        With at least one run.
    """
    taken = [calibration.sample()]
    runs: list[Collected] = []
    failed = None
    for number in range(1, count + 1):
        if count > 1:
            print(f"Run {number} of {count}.", file=sys.stderr)
        collected = run()
        taken.append(calibration.sample())
        if runs and (collected.ended, collected.exit_code) != (runs[0].ended, runs[0].exit_code):
            failed = collected
            break
        runs.append(collected)
        if collected.ended not in WELL:
            break
    stored: dict[str, Sequence[float]] = {"before": taken[0], "after": taken[-1]}
    if len(taken) > 2:
        stored["during"] = [seconds for part in taken[1:-1] for seconds in part]
    return Repeated(tuple(runs), failed, stored)


def as_one(runs: Sequence[Collected]) -> Collected:
    """Return runs as one: counts of the first, mean times, all samples.

    Parameters
    ----------
    runs : sequence of Collected
        At least one.

    Returns
    -------
    Collected
        The first one itself, if it is the only one.
    """
    first, count = runs[0], len(runs)
    if count == 1:
        return first
    sampling: dict[str, Any] = dict(first.sampling)
    if all("reason" not in one.sampling for one in runs):
        sampling.update(
            {key: sum(one.sampling[key] for one in runs) for key in ("seconds", "samples", "lost")}
        )
        sampling["notes"] = list(dict.fromkeys(note for one in runs for note in one.sampling["notes"]))
    sampling["runs"] = count
    return replace(
        first,
        wall=sum(one.wall for one in runs) / count,
        cpu=sum(one.cpu for one in runs) / count,
        children_cpu=sum(one.children_cpu for one in runs) / count,
        calls=sum(one.calls for one in runs),
        samples=tuple(sample for one in runs for sample in one.samples),
        sampling=sampling,
    )


def table_of(runs: Sequence[Collected], own: OwnCode) -> tuple[LineTable, list[Sample], float]:
    """Return the times of all lines, with those of each run.

    Parameters
    ----------
    runs : sequence of Collected
        At least one.
    own : OwnCode
        Whose lines they are.

    Returns
    -------
    table : LineTable
        Times are those of one run, or of one call of a function.
    samples : list of Sample
        Those of the program, of all runs.
    measuring : float
        Processor time of a run that the counters took.
    """
    table = LineTable(len(runs))
    kept: list[Sample] = []
    measuring = 0.0
    for number, collected in enumerate(runs):
        samples, seconds = without_measuring(collected.samples)
        calls = max(1, collected.calls)
        for times in (line_times(samples, own), pyx_line_times(samples)):
            table.add_times(times, own.absolute, calls, number)
        kept += samples
        measuring += seconds / len(runs)
    return table, kept, measuring


def notes_on(repeated: Repeated, wanted: int, endings: Callable[[Collected], str]) -> Iterable[str]:
    """Return what has to be said about a series that ended early.

    Parameters
    ----------
    repeated : Repeated
        The series.
    wanted : int
        Runs that were asked for.
    endings : callable
        From a run to a sentence about how it ended.

    Returns
    -------
    iterable of str
        Sentences.
    """
    done = len(repeated.runs)
    if repeated.failed is not None:
        yield (
            f"Run {done + 1} of {wanted} ended otherwise than the first, and was the last: "
            f"{endings(repeated.failed)} Its figures are left out."
        )
    elif done < wanted:
        yield f"There was one run of {wanted}: it did not end well."
    differing = sorted(
        name
        for name in ("count", "bytes")
        if len({(one.allocations or {}).get(name) for one in repeated.runs}) > 1
    )
    if differing:
        yield (
            f"Buffers: {' and '.join(differing)} differ from run to run; they are given for the first run. "
            "Such a difference between two files need not come from the program's text."
        )
