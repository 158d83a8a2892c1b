"""The ladder: the same call from Python loops to the fastest code, on one case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..cases import Case, flops
from ..targets import Rung, Target
from . import stats
from .launches import Job
from .run import Measurement
from .timer import Schedule

SLOW = Schedule(sample_seconds=2e-3, blocks=6, min_blocks=2, budget_seconds=6.0)
"""For rungs whose single call may last a second."""

ORACLE_FLOPS = 2 * 640**3
"""Up to here a result is compared with the reference; above that it would take too long."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung as measured.

    Attributes
    ----------
    rung : Rung
        Which one.
    measurement : Measurement
        Raw samples, at the size it was measured at.
    scale : float
        Flops of the case asked for over those of the case measured; above 1 it was extrapolated.
    speedup : Interval
        Time of the ladder's base / its own time, both for the case asked for.
    """

    rung: Rung
    measurement: Measurement
    scale: float
    speedup: stats.Interval

    @property
    def extrapolated(self) -> bool:
        """Whether the time is computed from a smaller size."""
        return self.scale > 1

    @property
    def seconds(self) -> stats.Interval:
        """Seconds of one call for the case asked for."""
        measured = self.measurement.seconds(self.rung.contender)
        return stats.Interval(
            measured.estimate * self.scale, measured.low * self.scale, measured.high * self.scale, measured.n
        )

    @property
    def gflops(self) -> float:
        """Rate in GFLOP/s, at the size measured."""
        return self.measurement.gflops(self.rung.contender)

    @property
    def error(self) -> str | None:
        """What was wrong with the result, or None."""
        return self.measurement.errors.get(self.rung.contender)

    def to_dict(self, peak: float) -> dict[str, Any]:
        """Return the step as JSON-ready values; `peak` is in GFLOP/s."""
        seconds, speedup = self.seconds, self.speedup
        return {
            "rung": self.rung.title,
            "contender": self.rung.contender,
            "case": self.measurement.case.to_dict(),
            "extrapolated": self.extrapolated,
            "seconds": [seconds.estimate, seconds.low, seconds.high],
            "gflops": self.gflops,
            "share_of_peak": self.gflops / peak,
            "speedup": [speedup.estimate, speedup.low, speedup.high],
            "error": self.error,
        }


def ladder_rungs(target: Target, case: Case) -> tuple[Rung, ...]:
    """Return the rungs that can compute a case: the compiled loops take two matrices only.

    Parameters
    ----------
    target : Target
        What is profiled.
    case : Case
        What to compute.

    Returns
    -------
    tuple of Rung
        In the order of the target's ladder.

    Examples
    --------
    >>> from profiling.targets import TARGETS
    >>> case = Case("matmul", "float32", ((2, 8, 8), (2, 8, 8)))
    >>> [rung.title for rung in ladder_rungs(TARGETS["matmul"], case)]
    ['Python loops', 'optimised', 'NumPy']
    """
    two_matrices = all(len(shape) == 2 for shape in case.shapes)
    return tuple(rung for rung in target.ladder if two_matrices or not rung.contender.startswith("ladder:"))


def base_rung(target: Target, rungs: Sequence[Rung]) -> Rung:
    """Return the rung that speed-ups are relative to: the target's base, or else the first.

    Parameters
    ----------
    target : Target
        What is profiled.
    rungs : sequence of Rung
        At least one.

    Returns
    -------
    Rung
        One of them.
    """
    return next((rung for rung in rungs if rung.contender == target.base), rungs[0])


def ladder_jobs(target: Target, case: Case) -> list[Job]:
    """Return what to measure for the ladder: the rungs that share a case take turns.

    Parameters
    ----------
    target : Target
        What is profiled.
    case : Case
        The case asked for.

    Returns
    -------
    list of Job
        From the smallest case to the largest.

    Examples
    --------
    >>> from profiling.targets import TARGETS
    >>> jobs = ladder_jobs(TARGETS["matmul"], TARGETS["matmul"].case(512, "float32"))
    >>> [job.case.name for job in jobs]
    ['128x128x128 float32', '512x512x512 float32']
    """
    cases: dict[Case, list[str]] = {}
    for rung in ladder_rungs(target, case):
        cases.setdefault(measured_case(rung, case), []).append(rung.contender)
    return [
        Job(measured, tuple(cases[measured]), SLOW, oracle=flops(measured) <= ORACLE_FLOPS)
        for measured in sorted(cases, key=flops)
    ]


def ladder_steps(target: Target, case: Case, measured: Sequence[Measurement]) -> list[Step]:
    """Return the ladder from the measurements of `ladder_jobs`.

    Parameters
    ----------
    target : Target
        What is profiled.
    case : Case
        The case asked for.
    measured : sequence of Measurement
        One per job.

    Returns
    -------
    list of Step
        In the order of the target's ladder.
    """
    by_case: Mapping[Case, Measurement] = {measurement.case: measurement for measurement in measured}
    rungs = ladder_rungs(target, case)
    first = base_rung(target, rungs)
    base = by_case[measured_case(first, case)]
    steps = []
    for rung in rungs:
        own = by_case[measured_case(rung, case)]
        if own is base:
            speedup = base.ratio(rung.contender, first.contender)
        else:
            # Both extrapolated to the case asked for; the common factor cancels.
            relative = flops(own.case) / flops(base.case)
            samples = own.samples(rung.contender), base.samples(first.contender)
            speedup = stats.unpaired_ratio(*samples, scale=relative)
        steps.append(Step(rung, own, flops(case) / flops(own.case), speedup))
    return steps


def measured_case(rung: Rung, case: Case) -> Case:
    """Return the case with no dimension above the rung's largest.

    Parameters
    ----------
    rung : Rung
        Who computes.
    case : Case
        The case asked for.

    Returns
    -------
    Case
        What is measured; a larger time is extrapolated from it.
    """
    if rung.largest is None:
        return case
    most = rung.largest
    return replace(case, shapes=tuple(tuple(min(size, most) for size in shape) for shape in case.shapes))
