"""The ladder: the same product from Python loops to the fastest code, on one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        Flops of the size asked for over those of the size measured; above 1 it was extrapolated.
    speedup : Interval
        Time of the ladder's base / its own time, both at the size asked for.
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
        """Seconds of one call at the size asked for."""
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


def ladder_jobs(target: Target, size: int, dtype: str) -> list[Job]:
    """Return what to measure for the ladder: the rungs that share a size take turns.

    Parameters
    ----------
    target : Target
        What is profiled.
    size : int
        The size asked for.
    dtype : str
        Of the operands.

    Returns
    -------
    list of Job
        From the smallest size to the largest.

    Examples
    --------
    >>> from profiling.targets import TARGETS
    >>> [job.case.name for job in ladder_jobs(TARGETS["matmul"], 512, "float32")]
    ['128x128x128 float32', '512x512x512 float32']
    """
    sizes: dict[int, list[str]] = {}
    for rung in target.ladder:
        sizes.setdefault(_measured_size(rung, size), []).append(rung.contender)
    jobs = []
    for measured in sorted(sizes):
        case = target.case(measured, dtype)
        jobs.append(Job(case, tuple(sizes[measured]), SLOW, oracle=flops(case) <= ORACLE_FLOPS))
    return jobs


def ladder_steps(target: Target, size: int, dtype: str, measured: Sequence[Measurement]) -> list[Step]:
    """Return the ladder from the measurements of `ladder_jobs`.

    Parameters
    ----------
    target : Target
        What is profiled.
    size : int
        The size asked for.
    dtype : str
        Of the operands.
    measured : sequence of Measurement
        One per job.

    Returns
    -------
    list of Step
        In the order of the target's ladder.
    """
    by_case: Mapping[Case, Measurement] = {measurement.case: measurement for measurement in measured}
    wanted = flops(target.case(size, dtype))
    base_rung = next(rung for rung in target.ladder if rung.contender == target.base)
    base = by_case[target.case(_measured_size(base_rung, size), dtype)]
    steps = []
    for rung in target.ladder:
        own = by_case[target.case(_measured_size(rung, size), dtype)]
        if own is base:
            speedup = base.ratio(rung.contender, target.base)
        else:
            # Both extrapolated to the size asked for; the common factor cancels.
            relative = flops(own.case) / flops(base.case)
            samples = own.samples(rung.contender), base.samples(target.base)
            speedup = stats.unpaired_ratio(*samples, scale=relative)
        steps.append(Step(rung, own, wanted / flops(own.case), speedup))
    return steps


def _measured_size(rung: Rung, size: int) -> int:
    return size if rung.largest is None else min(size, rung.largest)
