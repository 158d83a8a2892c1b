"""What changed between two measurements that were not made side by side.

Between two runs the machine changes by a tenth and more. Two things divide that out: a yardstick, another
contender that took turns with this one in both runs and is the same code in both; or the fixed work of
`profiling.measure.calibration`, timed before, after and, where it could be, during each run. What they
leave is part of the interval: it is modelled as a normal error of the logarithm, of a size that repeated
runs on a shared virtual machine gave.

All intervals of one comparison hold together with 99 %: each row gets a share of the one per cent
(Bonferroni), the rows that take most of the time the larger shares. With 95 % every twentieth comparison
of two equal runs would claim a change.

References
----------
.. [1] S. Holm, "A simple sequentially rejective multiple test procedure", 1979 (weighted Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np

from . import stats
from .stats import Interval

CONFIDENCE = 0.99
"""Of all intervals of a comparison together."""

Verdict: TypeAlias = Literal["slower", "faster", "same", "unknown"]
Launches: TypeAlias = Sequence[Sequence[float]]
Calibration: TypeAlias = Mapping[str, Sequence[float]]

CALIBRATED_SD = 0.035
"""Error of the logarithm that is left when a calibration is divided out."""
YARDSTICK_SD = 0.02
"""Error that is left beside a yardstick of the same run: process starts differ."""
UNSHARED = 0.35
"""Share of a drift that may meet other work differently: on a core whose second hardware thread is busy, one
loop takes a fifth longer and another one half longer."""
BUSY_SHARE = 0.4
"""Error of a profile's time as a share of what the machine slowed down around the run."""
UNCALIBRATED_SD = 0.10
"""Error where nothing tells how fast the machine was."""
MOST_PIECES = 12
"""Pieces of neighbouring samples that a run is cut into."""
FEWEST_PIECES = 4
FASTEST_SHARE = 0.05
FEWEST_FASTEST = 2
REPLICATES = 200


@dataclass(frozen=True, slots=True)
class Drift:
    """How much slower the machine was in the second run.

    Attributes
    ----------
    log : float
        Logarithm of its time for the same work, second run over first.
    sd : float
        Standard error of that, as far as it concerns other work than the one it was measured on.
    basis : str
        What it was measured on, for people.
    busy: float
        The part of the variance that neighbours are to blame for, who were busy around the runs.
    """

    log: float
    sd: float
    basis: str
    busy: float = 0.0

    @property
    def factor(self) -> float:
        """Time of the same work, second run over first."""
        return math.exp(self.log)


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one row.

    Attributes
    ----------
    ratio : Interval
        Time after / time before on an unchanged machine; above 1 it got slower.
    known : bool
        Whether there was enough to judge by.
    """

    ratio: Interval
    known: bool = True

    @property
    def verdict(self) -> Verdict:
        """Slower or faster where the interval excludes 1, else the same; unknown without a basis."""
        if not self.known:
            return "unknown"
        if not self.ratio.excludes(1.0):
            return "same"
        return "slower" if self.ratio.estimate > 1 else "faster"

    def exceeds(self, threshold: float) -> bool:
        """Tell whether it got significantly slower, and by more than a threshold.

        Parameters
        ----------
        threshold : float
            0.05 for 5 %.

        Returns
        -------
        bool
            The estimate counts for the size, the interval for the significance.

        Examples
        --------
        >>> Change(Interval(1.2, 1.1, 1.3, 9)).exceeds(0.05), Change(Interval(1.2, 0.9, 1.5, 9)).exceeds(0.05)
        (True, False)
        """
        return self.verdict == "slower" and self.ratio.estimate > 1 + threshold


def calibration_drift(before: Calibration, after: Calibration, *, quietest: bool = False) -> Drift:
    """Return the drift between two runs from their calibrations.

    Parameters
    ----------
    before, after : mapping of str to sequence of float
        Seconds of the fixed work, taken "before", "during" and "after" the run; of the first run and of
        the second.
    quietest : bool
        Whether it is for timing samples, of which the fastest count, as they do here; else it is for a
        profile, which adds up whatever the run met, so what changed around the runs is an error more.

    Returns
    -------
    Drift
        Its error grows with what changed inside each run.

    Examples
    --------
    >>> same, slow = {"before": [1.0] * 4, "after": [1.0] * 4}, {"before": [1.1] * 4, "after": [1.1] * 4}
    >>> round(calibration_drift(same, slow).factor, 3)
    1.1
    """
    first, second = _quietest_speed(before), _quietest_speed(after)
    if first is None or second is None:
        return Drift(0.0, UNCALIBRATED_SD, "nothing: a file has no calibration")
    log = second[0] - first[0]
    variance = _unshared(log, CALIBRATED_SD) + first[1] + second[1]
    # How long a neighbour was busy during the run is not known, only that he was around it.
    busy = 0.0 if quietest else sum((BUSY_SHARE * _busy(taken)) ** 2 for taken in (before, after))
    return Drift(log, math.sqrt(variance + busy), "the calibration stored with each file", busy)


def _busy(calibration: Calibration) -> float:
    """Return the logarithm of how much longer the fixed work took in the busiest part than at its fastest."""
    logs = [np.log(np.asarray(taken, dtype=np.float64)) for taken in calibration.values() if len(taken)]
    return max(float(np.median(part)) for part in logs) - _fastest(np.concatenate(logs))


def _quietest_speed(calibration: Calibration) -> tuple[float, float] | None:
    found = _quietest(
        [[*calibration.get("before", ()), *calibration.get("during", ()), *calibration.get("after", ())]]
    )
    return None if found is None else (found.log, found.variance)


def judge(log: float, variance: float, n: int, share: float, freedom: float = math.inf) -> Change:
    """Return a change from an estimate on the logarithmic scale.

    Parameters
    ----------
    log : float
        Logarithm of time after / time before.
    variance : float
        Of `log`.
    n : int
        What it rests on: blocks or samples.
    share : float
        Of the one per cent of wrong verdicts that a whole comparison may give.
    freedom : float
        Degrees of freedom of the variance; infinite where it is known.

    Returns
    -------
    Change
        With an interval of the confidence that is left.

    Examples
    --------
    >>> judge(math.log(1.2), 0.01**2, 10, 1.0).verdict
    'slower'
    """
    probability = 1 - (1 - CONFIDENCE) * share / 2
    known = math.isinf(freedom)
    quantile = NormalDist().inv_cdf(probability) if known else stats.student_quantile(probability, freedom)
    width = quantile * math.sqrt(variance)
    return Change(Interval(math.exp(log), math.exp(log - width), math.exp(log + width), n))


UNKNOWN = Change(Interval(1.0, 0.0, math.inf, 0), known=False)


def timing_change(
    before: Launches,
    after: Launches,
    drift: Drift,
    share: float = 1.0,
    *,
    yardstick: tuple[Launches, Launches] | None = None,
) -> Change:
    """Return the change of one contender from the raw samples of two runs.

    Parameters
    ----------
    before, after : sequence of sequence of float
        Seconds per call, launch by launch, of the first run and the second.
    drift : Drift
        From the calibrations; not used beside a yardstick.
    share : float
        As `judge`.
    yardstick : tuple, optional
        Samples of the contender that took turns with this one, in the first run and in the second.

    Returns
    -------
    Change
        Of the fastest samples of each run. Unknown where a run has fewer than four samples.

    Examples
    --------
    >>> still = Drift(0.0, 0.01, "made up")
    >>> timing_change([[1.0] * 16], [[1.2] * 16], still).verdict
    'slower'
    >>> timing_change([[1.0] * 16], [[1.2] * 16], still, yardstick=([[2.0] * 16], [[2.4] * 16])).verdict
    'same'
    """
    others = (None, None) if yardstick is None else yardstick
    first, second = _quietest(before, others[0]), _quietest(after, others[1])
    if first is None or second is None:
        return UNKNOWN
    log, variance = second.log - first.log, first.variance + second.variance
    beside = second.other - first.other
    pieces, freedom = min(first.pieces, second.pieces), first.pieces + second.pieces - 2
    if yardstick is None:
        return judge(log - drift.log, variance + drift.sd**2, pieces, share, freedom)
    return judge(log, variance + _unshared(beside, YARDSTICK_SD), pieces, share, freedom)


def _unshared(drift: float, floor: float) -> float:
    """Return the variance of dividing out a drift that was measured on other work."""
    return floor**2 + (UNSHARED * drift) ** 2


@dataclass(frozen=True, slots=True)
class _Quietest:
    """Logarithm of a time in the quietest part of a run, relative to another contender's if there is one.

    Attributes
    ----------
    log, variance : float
        The logarithm and its variance.
    other : float
        Logarithm of the other contender's own time; 0 without one.
    pieces : int
        Pieces of the run that this rests on.
    """

    log: float
    variance: float
    other: float
    pieces: int


def _quietest(own: Launches, other: Launches | None = None) -> _Quietest | None:
    """Return the time of the fastest samples, relative to the other's fastest if there is one.

    On a busy machine the middle of the samples tells how busy it was, and the next run will meet other
    neighbours. The fastest come back: on a machine with two hardware threads to a core, medians of equal
    runs differed by half, and the fastest of 200 samples by one per cent. Whether a run was quiet long
    enough to have any is seen by leaving parts of it out, which the bootstrap over its pieces does.
    """
    cut = _pieces(own) if other is None else _pieces(own, other)
    if len(cut[0]) < FEWEST_PIECES:
        return None
    rng = np.random.default_rng(stats.SEED)
    drawn = rng.integers(0, len(cut[0]), size=(REPLICATES, len(cut[0])))

    def fastest(which: stats.Integers) -> tuple[float, float]:
        logs = [_fastest(np.concatenate([pieces[number] for number in which])) for pieces in cut]
        return (logs[0], 0.0) if other is None else (logs[0] - logs[1], logs[1])

    log, theirs = fastest(np.arange(len(cut[0])))
    return _Quietest(log, float(np.var([fastest(which)[0] for which in drawn])), theirs, len(cut[0]))


def _pieces(*contenders: Launches) -> list[list[stats.Floats]]:
    """Cut each contender's log samples into pieces of neighbours, the same for all."""
    count = sum(len(launch) for launch in contenders[0])
    length = max(1, round(count / MOST_PIECES))
    return [
        [
            np.log(np.asarray(launch[start : start + length], dtype=np.float64))
            for launch in launches
            for start in range(0, len(launch) - length + 1, length)
        ]
        for launches in contenders
    ]


def _fastest(logs: stats.Floats) -> float:
    count = max(FEWEST_FASTEST, round(FASTEST_SHARE * logs.size))
    return float(np.mean(np.partition(logs, count - 1)[:count]))


def yardstick_holds(before: Launches, after: Launches, drift: Drift) -> bool:
    """Tell whether a yardstick changed no more than the machine did.

    Parameters
    ----------
    before, after : sequence of sequence of float
        Its seconds per call in the first run and the second.
    drift : Drift
        From the calibrations.

    Returns
    -------
    bool
        False for a yardstick that is other code in the second run.

    Examples
    --------
    >>> yardstick_holds([[1.0] * 8], [[3.0] * 8], Drift(0.0, 0.03, "made up"))
    False
    """
    change = timing_change(before, after, drift)
    apart = math.log(change.ratio.estimate)
    return not change.known or abs(apart) < max(0.25, 4 * drift.sd)


def shares(weights: Sequence[float]) -> list[float]:
    """Return how the one per cent of wrong verdicts is divided among rows.

    Parameters
    ----------
    weights : sequence of float
        Zero or more each; what a row takes of the time.

    Returns
    -------
    list of float
        Above 0, in sum 1: half in proportion to the weights, half equally.

    Examples
    --------
    >>> shares([3.0, 1.0])
    [0.625, 0.375]
    """
    if not weights:
        return []
    total = sum(weights)
    equal = 1 / len(weights)
    return [(weight / total if total > 0 else equal) / 2 + equal / 2 for weight in weights]
