"""Scores: the toolkit's estimator over the samples of one source, and when two scores are equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..measure.stats import Interval, geometric_mean, paired_ratio, seconds
from .records import CaseSamples

LEAST_NOISE = 0.01
WIDEST = 0.10
"""Half the interval over the score: wider is UNSTABLE and not ranked."""
NORMAL = 1.96


@dataclass(frozen=True, slots=True)
class CaseScore:
    """One case of a score.

    Attributes
    ----------
    case : str
        Name of the band.
    ratio : Interval
        The baseline's time over ours: above 1 we are faster.
    ours, theirs : Interval
        Seconds of a call.
    """

    case: str
    ratio: Interval
    ours: Interval
    theirs: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "case": self.case,
            "ratio": [self.ratio.estimate, self.ratio.low, self.ratio.high],
            "seconds": [self.ours.estimate, self.ours.low, self.ours.high],
            "baseline_seconds": [self.theirs.estimate, self.theirs.low, self.theirs.high],
            "blocks": self.ratio.n,
        }


@dataclass(frozen=True, slots=True)
class Score:
    """The geometric mean of the speed-ups over the cases.

    Attributes
    ----------
    total : Interval
        Of all cases.
    cases : tuple of CaseScore
        In the order of the problem.
    launches : int
        Pairs of processes that the samples come from.
    """

    total: Interval
    cases: tuple[CaseScore, ...]
    launches: int

    @property
    def stable(self) -> bool:
        """Whether the interval is narrow enough to be ranked."""
        return (self.total.high - self.total.low) / 2 <= WIDEST * self.total.estimate


def score(samples: Sequence[CaseSamples], order: Sequence[str]) -> Score:
    """Return the score of one source.

    Parameters
    ----------
    samples : sequence of CaseSamples
        Of all runs of the same source, of every run as many cases: they are pooled, none is chosen.
    order : sequence of str
        Names of the timed cases.

    Returns
    -------
    Score
        Rests on all samples.

    Raises
    ------
    ValueError
        If a case has no samples.

    Examples
    --------
    >>> taken = CaseSamples("wide", 0, (2, 2), (1.0,) * 8, (2.0,) * 8)
    >>> round(score([taken], ["wide"]).total.estimate, 6)
    2.0
    """
    pooled = []
    cases = []
    for name in order:
        mine = [sample for sample in samples if sample.case == name]
        if not mine:
            raise ValueError(f"the case {name!r} has no samples")
        ours, theirs = [sample.ours for sample in mine], [sample.theirs for sample in mine]
        pooled.append((ours, theirs))
        cases.append(CaseScore(name, paired_ratio(ours, theirs), seconds(ours), seconds(theirs)))
    launches = max(sum(sample.case == name for sample in samples) for name in order)
    return Score(geometric_mean(pooled), tuple(cases), launches)


def log_spread(interval: Interval) -> float:
    """Return the standard deviation of a score's logarithm, as its 95 % interval tells it.

    Examples
    --------
    >>> round(log_spread(Interval(1.0, 1.0, 1.0, 4)), 6)
    0.0
    """
    return (math.log(interval.high) - math.log(interval.low)) / (2 * NORMAL)


def tied(first: Interval, second: Interval, noise: float = LEAST_NOISE) -> bool:
    """Tell whether two scores are equal within what can be measured.

    Parameters
    ----------
    first, second : Interval
        Scores.
    noise : float
        What the machine makes of two equal programs; at least 1 % is taken.

    Returns
    -------
    bool
        Whether the 95 % interval of the difference of the logarithms meets the noise.

    Examples
    --------
    >>> tied(Interval(2.0, 1.98, 2.02, 4), Interval(1.99, 1.97, 2.01, 4))
    True
    >>> tied(Interval(2.2, 2.18, 2.22, 4), Interval(2.0, 1.98, 2.02, 4))
    False
    """
    difference = abs(math.log(first.estimate) - math.log(second.estimate))
    spread = NORMAL * math.hypot(log_spread(first), log_spread(second))
    return difference - spread <= max(noise, LEAST_NOISE)
