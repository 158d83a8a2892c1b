"""How the samples of one contender are spread: warm-up at the front, outliers, quantiles.

Nothing here drops an outlier: a slow sample happened, and whoever reads the figures should see how
often. Leading samples that are slower than the steady rest are warm-up, and do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

WARM_UP_RULE = (
    "leading samples above the median of the second half plus five times its scaled median absolute "
    "deviation (at least 2 %); at most half of the samples"
)
_DEVIATIONS = 5.0
_LEAST_EXCESS = 0.02
_MAD_TO_SIGMA = 1.4826
_FENCE = 3.0
OUTLIER_RULE = "above the third quartile plus three times the interquartile range (at least 3 %)"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Samples in a few numbers.

    Attributes
    ----------
    samples : int
        How many there are.
    minimum, median, p95, maximum : float
        Seconds per call; p95 is the 95th percentile.
    outliers : int
        Samples beyond the upper fence (`OUTLIER_RULE`).
    """

    samples: int
    minimum: float
    median: float
    p95: float
    maximum: float
    outliers: int

    def to_dict(self) -> dict[str, float | int]:
        """Return the numbers as JSON-ready values."""
        return asdict(self)


def describe_samples(samples: ArrayLike) -> Distribution:
    """Return the distribution of samples.

    Parameters
    ----------
    samples : array_like of shape (n,)
        Seconds per call, at least one.

    Returns
    -------
    Distribution
        Of all of them.

    Raises
    ------
    ValueError
        Without a sample.

    Examples
    --------
    >>> describe_samples([1.0, 1.0, 1.1, 1.0, 5.0]).outliers
    1
    """
    values = np.asarray(samples, dtype=np.float64)
    if values.size == 0:
        raise ValueError("need at least one sample")
    first, median, third, p95 = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75, 0.95]))
    fence = third + _FENCE * max(third - first, 0.01 * median)
    return Distribution(
        int(values.size),
        float(values.min()),
        median,
        p95,
        float(values.max()),
        int(np.count_nonzero(values > fence)),
    )


def warm_up_length(samples: Sequence[float]) -> int:
    """Return how many leading samples are warm-up.

    Parameters
    ----------
    samples : sequence of float
        Seconds per call in the order taken.

    Returns
    -------
    int
        By `WARM_UP_RULE`; 0 for fewer than four samples.

    Examples
    --------
    >>> warm_up_length([9.0, 4.0, 1.0, 1.01, 1.0, 1.0, 1.0, 9.0])
    2
    >>> warm_up_length([1.0] * 8)
    0
    """
    half = len(samples) // 2
    if half < 2:
        return 0
    steady = np.asarray(samples[half:], dtype=np.float64)
    median = float(np.median(steady))
    deviation = _MAD_TO_SIGMA * float(np.median(np.abs(steady - median)))
    limit = median + max(_DEVIATIONS * deviation, _LEAST_EXCESS * median)
    for number, seconds in enumerate(samples[:half]):
        if seconds <= limit:
            return number
    return half
