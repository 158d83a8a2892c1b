"""What changed in a line between two series of runs: the spread from run to run tells how sure that is.

One run tells nothing about the next: on a shared machine the same line differs by six to nine per cent from
run to run. A series of runs measures its own spread. Disturbances only ever add time, so the quieter
runs of each series are compared: those in which the whole program took least, because the runs in which a
line itself took least are also those in which the sampler missed it. How far a whole series may be off,
because the machine was busier while it ran, is judged by how much the whole program differs from run to run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from . import stats
from .difference import UNKNOWN, UNSHARED, Change, Drift, judge

FEWEST_RUNS = 4
"""Runs in each file from which their spread says something."""
FEWEST_SAMPLES_PER_RUN = 15
"""A line with fewer in both files is not judged: whether it or its neighbour is hit is luck."""
QUIET_SHARE = 0.5
"""Of the runs, those in which the program was fastest, that are compared."""
SERIES_SHARE = 0.5
"""Error of a whole series, as a share of how much longer than the quieter runs the middle one took."""
SERIES_SD = 0.01
"""Error of a whole series on a machine at rest: memory lies otherwise, another temperature."""
CALIBRATION_ERROR = 0.1
"""Change of the fixed work, on the logarithmic scale, that other programs need not have shared."""
REPLICATES = 400
SEEN_EFFECT = 1.2
"""The change that a series should find."""


@dataclass(frozen=True, slots=True)
class Series:
    """The time of one line in several runs of a program.

    Attributes
    ----------
    seconds : tuple of float
        Processor time in each run.
    interval : float
        Seconds that a sample stands for.
    program : tuple of float
        Time of the whole program in each run, by which the quieter ones are told; the line's own if empty.
    """

    seconds: tuple[float, ...]
    interval: float
    program: tuple[float, ...] = ()

    @property
    def samples(self) -> float:
        """Samples in a run, on average."""
        return sum(self.seconds) / len(self.seconds) / self.interval

    @property
    def log(self) -> float:
        """Logarithm of the time of the quieter runs; of half a sample where there is none."""
        return float(self._quiet(np.arange(len(self.seconds))[np.newaxis])[0])

    @property
    def variance(self) -> float:
        """Of `log`: what drawing other runs would make of it, and at least the chance of sampling."""
        runs = len(self.seconds)
        drawn = np.random.default_rng(stats.SEED).integers(0, runs, size=(REPLICATES, runs))
        spread = float(np.var(self._quiet(drawn)))
        # A bootstrap knows the spread of its runs, which is that of all runs but for this factor.
        spread *= runs / (runs - 1)
        samples = self.samples * _quiet_count(runs) + 1
        whole = sum(self.program or self.seconds) / runs / self.interval * _quiet_count(runs) + 1
        # Which samples of the program hit this line is chance; how many there are is hardly any.
        return max(spread, max(0.0, 1 - samples / whole) / samples)

    @property
    def spread(self) -> float:
        """Logarithm of the time of the middle run over that of the quieter ones: what disturbances added."""
        middle = max(float(np.median(self.seconds)), self.interval / 2)
        return max(0.0, math.log(middle) - self.log)

    def _quiet(self, drawn: stats.Integers) -> stats.Floats:
        """Return the logarithm of the mean time in the quieter ones of each row of runs."""
        count = _quiet_count(drawn.shape[1])
        program = np.array(self.program or self.seconds)[drawn]
        fastest = np.argpartition(program, count - 1, axis=1)[:, :count]
        seconds = np.take_along_axis(np.array(self.seconds)[drawn], fastest, axis=1)
        quiet: stats.Floats = np.log(np.maximum(seconds.mean(axis=1), self.interval / 2))
        return quiet


def _quiet_count(runs: int) -> int:
    return max(2, round(QUIET_SHARE * runs))


def enough_runs(before: int, after: int) -> bool:
    """Tell whether two files have enough runs to be compared run by run.

    Parameters
    ----------
    before, after : int
        Runs in each.

    Returns
    -------
    bool
        Whether each has `FEWEST_RUNS`.

    Examples
    --------
    >>> enough_runs(1, 10), enough_runs(10, 10)
    (False, True)
    """
    return min(before, after) >= FEWEST_RUNS


def series_drift(before: Series, after: Series, calibrated: Drift) -> Drift:
    """Return how much slower the machine was in the second series, and how far that may be wrong.

    Parameters
    ----------
    before, after : Series
        Of all lines together.
    calibrated : Drift
        From the calibrations. They follow a program within a few per cent only, and ran on another core
        perhaps: what lies within `CALIBRATION_ERROR` is left alone, and what the program did not share.

    Returns
    -------
    Drift
        Its error is that of two whole series.

    Examples
    --------
    >>> calm, busy = Series((1.0,) * 8, 1e-3), Series((1.0, 1.1) * 4, 1e-3)
    >>> unknown = Drift(0.05, 0.1, "made up")
    >>> series_drift(calm, calm, unknown).sd < series_drift(calm, busy, unknown).sd
    True
    >>> slow = Series((1.5,) * 8, 1e-3)
    >>> [round(series_drift(calm, one, Drift(0.3, 0.1, "")).log, 2) for one in (calm, slow)]
    [0.0, 0.2]
    """
    shared = math.copysign(1.0, calibrated.log) * (after.log - before.log)
    beyond = max(0.0, min(abs(calibrated.log), shared) - CALIBRATION_ERROR)
    beyond = math.copysign(beyond, calibrated.log)
    variance = sum(SERIES_SD**2 + (SERIES_SHARE * one.spread) ** 2 for one in (before, after))
    return Drift(beyond, math.sqrt(variance + (UNSHARED * beyond) ** 2), "the spread from run to run")


def runs_change(before: Series, after: Series, machine: Drift, share: float) -> Change:
    """Return the change of a line's time between two series of runs.

    Parameters
    ----------
    before, after : Series
        Of the line.
    machine : Drift
        As `series_drift`.
    share : float
        Of the one per cent of wrong verdicts that a whole comparison may give.

    Returns
    -------
    Change
        Of the quieter half of each series. Unknown for fewer than `FEWEST_SAMPLES_PER_RUN` in both.

    Examples
    --------
    >>> slow, fast = (Series(tuple(base + 0.01 * run for run in range(10)), 1e-3) for base in (1.2, 1.0))
    >>> still = Drift(0.0, 0.015, "made up")
    >>> runs_change(fast, slow, still, 1.0).verdict, runs_change(fast, fast, still, 1.0).verdict
    ('slower', 'same')
    """
    if max(before.samples, after.samples) < FEWEST_SAMPLES_PER_RUN:
        return UNKNOWN
    count = len(before.seconds) + len(after.seconds)
    variance = before.variance + after.variance + machine.sd**2
    return judge(after.log - before.log - machine.log, variance, count, share, count - 2)


def needed_runs(change: Change, runs: int) -> int | None:
    """Return about how many runs in each file would show a change of a fifth, None if no number would.

    Parameters
    ----------
    change : Change
        Of a line that was not told apart.
    runs : int
        Runs that it rests on, in each file.

    Returns
    -------
    int or None
        At least `runs`; None above a hundred.

    Examples
    --------
    >>> needed_runs(judge(0.0, 0.01, 8, 1.0), 4)
    18
    """
    width = math.log(change.ratio.high / change.ratio.estimate)
    # A change of the half-width is told every second time only; half as much more is nearly always told.
    wanted = math.ceil(runs * (1.5 * width / math.log(SEEN_EFFECT)) ** 2)
    return max(runs, wanted) if wanted <= 100 else None


def smallest_seen(change: Change) -> float:
    """Return from which estimate on a row would have been told to be slower.

    Parameters
    ----------
    change : Change
        Of the row.

    Returns
    -------
    float
        As a fraction, 0.2 for 20 %.

    Examples
    --------
    >>> round(smallest_seen(judge(0.0, 0.05**2, 8, 1.0)), 2)
    0.14
    """
    return change.ratio.high / change.ratio.estimate - 1
