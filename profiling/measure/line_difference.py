"""What changed in a line between two profiles: its samples, and the drift that the other lines saw.

The other lines ran while the machine was what it was, so they are a second measurement of the drift beside
the calibration of `profiling.measure.difference`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .difference import UNKNOWN, Change, Drift, judge

LINE_SD = 0.01
"""Error of a line besides the drift that all lines share."""
_NORMAL_SPREAD = 1.4826
"""Standard deviation over median absolute deviation, for normal errors."""
_MEDIAN_EFFICIENCY = math.pi / 2
"""Variance of a median over that of a mean, for normal errors."""
FEWEST_SAMPLES = 8
"""A line with fewer samples in both reports is not judged."""
FEWEST_WITNESSES = 3
"""Other lines that are needed for a second opinion on the drift."""
FEWEST_WITNESS_SAMPLES = 30
WITNESS_SD = 0.05
"""How differently a change of the machine meets different lines, on the logarithmic scale."""
WITNESS_FLOOR = 0.02


@dataclass(frozen=True, slots=True)
class Sampled:
    """Time that a sampling profiler gave to a line.

    Attributes
    ----------
    seconds : float
        Processor time of the line.
    samples : float
        Samples that found it running.
    total : float
        Samples that found any line of the report running.
    """

    seconds: float
    samples: float
    total: float

    @property
    def variance(self) -> float:
        """Of the logarithm of its processor time: which samples of a fixed number hit a line is chance."""
        count = self.samples + 0.5
        return max(0.0, 1 - count / (self.total + 1)) / count


@dataclass(frozen=True, slots=True)
class LinePair:
    """One line in two reports.

    Attributes
    ----------
    before, after : Sampled
        In the first report and the second.
    """

    before: Sampled
    after: Sampled

    @property
    def enough(self) -> bool:
        """Whether there is anything to judge by: `FEWEST_SAMPLES` in one."""
        return max(self.before.samples, self.after.samples) >= FEWEST_SAMPLES

    @property
    def log(self) -> float:
        """Logarithm of its processor time, after / before, as it was measured."""
        if self.before.seconds > 0 and self.after.seconds > 0:
            return math.log(self.after.seconds / self.before.seconds)
        # Half a sample more on both sides: a line that was never hit may still have run.
        return math.log((self.after.samples + 0.5) / (self.before.samples + 0.5))

    @property
    def variance(self) -> float:
        """Of `log`, from counting samples alone."""
        return self.before.variance + self.after.variance


def line_change(pair: LinePair, drift: Drift, share: float) -> Change:
    """Return the change of a line's time, with the noise of counting samples.

    Parameters
    ----------
    pair : LinePair
        The line in both reports.
    drift : Drift
        Of the machine, as it concerns this line.
    share : float
        As `judge`.

    Returns
    -------
    Change
        Of its processor time; how long it waited depends on the neighbours. Unknown for fewer than
        `FEWEST_SAMPLES` in both.

    Examples
    --------
    >>> still = Drift(0.0, 0.01, "made up")
    >>> line_change(LinePair(Sampled(1.0, 1000, 2000), Sampled(1.2, 1200, 2200)), still, 1.0).verdict
    'slower'
    >>> line_change(LinePair(Sampled(0.01, 10, 2000), Sampled(0.012, 12, 2000)), still, 1.0).verdict
    'same'
    """
    if not pair.enough:
        return UNKNOWN
    variance = pair.variance + drift.sd**2 + LINE_SD**2
    return judge(pair.log - drift.log, variance, round(min(pair.before.samples, pair.after.samples)), share)


def drift_beside_lines(pairs: Sequence[LinePair], drift: Drift) -> list[Drift]:
    """Return the drift as it concerns each line, from the calibration and from the other lines.

    Most lines do not change between two reports, and they ran while the machine was what it was, which
    the calibration around the run only guesses: the middle of the other lines is a second measurement of
    the drift. The two are weighted by their errors; where they contradict each other, as when the whole
    program got slower, the error grows, and the verdict is left to the total.

    Parameters
    ----------
    pairs : sequence of LinePair
        All lines that both reports sampled.
    drift : Drift
        From the calibrations.

    Returns
    -------
    list of Drift
        One for each line, which never vouches for itself.

    Examples
    --------
    >>> alike = [LinePair(Sampled(1.0, 1000, 8000), Sampled(1.3, 1300, 8000))] * 4
    >>> slow = LinePair(Sampled(1.0, 1000, 8000), Sampled(2.6, 2600, 8000))
    >>> drifts = drift_beside_lines([*alike, slow], Drift(0.2, 0.1, "made up"))
    >>> round(drifts[-1].factor, 1)
    1.3
    """
    steady = [
        (number, pair.log, pair.variance)
        for number, pair in enumerate(pairs)
        if min(pair.before.samples, pair.after.samples) >= FEWEST_WITNESS_SAMPLES
    ]
    return [
        _weighed(drift, [(log, variance) for other, log, variance in steady if other != number])
        for number in range(len(pairs))
    ]


def _weighed(drift: Drift, witnesses: Sequence[tuple[float, float]]) -> Drift:
    """Return the drift by the calibration and by other lines, as (log, variance), together."""
    if len(witnesses) < FEWEST_WITNESSES:
        return drift
    logs, variances = (np.array(column) for column in zip(*witnesses, strict=True))
    weights = 1 / (variances + WITNESS_SD**2)
    order = np.argsort(logs)
    reached = np.cumsum(weights[order]) / weights.sum()
    middle = float(logs[order][np.searchsorted(reached, 0.5)])
    spread = _NORMAL_SPREAD * float(np.median(np.abs(logs - middle)))
    # The median's error is that of the mean times 1.25; equal weights would be as many lines as there are.
    count = weights.sum() ** 2 / (weights**2).sum()
    by_lines = _MEDIAN_EFFICIENCY * max(spread**2, 1 / weights.mean()) / count + WITNESS_FLOOR**2
    by_calibration = drift.sd**2
    whole = 1 / by_lines + 1 / by_calibration
    log = (middle / by_lines + drift.log / by_calibration) / whole
    contradiction = (middle - drift.log) ** 2 / (by_lines + by_calibration)
    # A busy neighbour meets each line at other moments and in another way: the others cannot tell how.
    variance = max(1.0, contradiction) / whole + drift.busy
    return Drift(log, math.sqrt(variance), f"{drift.basis}, and the other lines", drift.busy)
