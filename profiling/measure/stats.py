"""The estimator: pure functions from raw samples to a number with its interval.

Samples come in *launches* (process starts), and each launch is one array of seconds per call in the
order in which they were taken. Neighbouring samples are reduced to the minimum of a block of four:
interruptions only ever add time, and a block is short enough for both contenders to meet the same
machine. Ratios are the median over blocks of the logarithm of paired minima. Intervals come from a
hierarchical bootstrap: launches are drawn first, then blocks within each, because two launches
differ by more (memory layout, frequency) than two blocks of one launch do.

References
----------
.. [1] T. Kalibera, R. Jones, "Rigorous benchmarking in reasonable time", ISMM 2013.
.. [2] L. Bulej et al., "Duet benchmarking", ICPE 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]

BLOCK = 4
CONFIDENCE = 0.95
REPLICATES = 1000
SEED = 20_240_229
"""The bootstrap is seeded: the same raw samples always give the same interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes
    ----------
    estimate, low, high : float
        Unit of the samples for times, none for ratios.
    n : int
        Number of blocks it rests on. Below six blocks a 95 % interval covers less than it says.
    """

    estimate: float
    low: float
    high: float
    n: int

    def excludes(self, value: float) -> bool:
        """Tell whether `value` lies outside the interval.

        Examples
        --------
        >>> Interval(1.2, 1.1, 1.3, 8).excludes(1.0)
        True
        """
        return not self.low <= value <= self.high


def block_minima(samples: ArrayLike, block: int = BLOCK) -> Floats:
    """Return the minima of consecutive blocks; an incomplete last block is left out.

    Parameters
    ----------
    samples : array_like of shape (n,)
        Positive, finite, in the order in which they were taken.
    block : int
        Samples per block.

    Returns
    -------
    ndarray of shape (n // block,)
        One minimum per block, float64.

    Raises
    ------
    ValueError
        For fewer samples than one block, or for a sample that is not a positive finite number.

    Examples
    --------
    >>> block_minima([3.0, 2.0, 9.0, 4.0, 7.0, 5.0, 6.0, 8.0]).tolist()
    [2.0, 5.0]
    """
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size < block:
        raise ValueError(
            f"need at least one block of {block} samples in one dimension, got shape {values.shape}"
        )
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError("samples must be positive finite numbers of seconds")
    whole = values.size // block * block
    minima: Floats = values[:whole].reshape(-1, block).min(axis=1)
    return minima


def log_ratios(ours: ArrayLike, theirs: ArrayLike, block: int = BLOCK) -> Floats:
    """Return log(theirs / ours) per block: above 0 where we are faster.

    Parameters
    ----------
    ours, theirs : array_like of shape (n,)
        Interleaved samples of one launch: element i of both was taken at about the same time.
    block : int
        Samples per block.

    Returns
    -------
    ndarray of shape (n // block,)
        Float64 logarithms.

    Raises
    ------
    ValueError
        If the lengths differ, and as `block_minima`.

    Examples
    --------
    >>> log_ratios([1.0] * 4, [1.0] * 4).tolist()
    [0.0]
    """
    if np.shape(ours) != np.shape(theirs):
        raise ValueError(f"paired samples must be equally many, got {np.shape(ours)} and {np.shape(theirs)}")
    ratios: Floats = np.log(block_minima(theirs, block) / block_minima(ours, block))
    return ratios


def bootstrap_medians(launches: Sequence[Floats], replicates: int = REPLICATES, seed: int = SEED) -> Floats:
    """Return medians of resampled data: launches are drawn with replacement, then blocks within each.

    Parameters
    ----------
    launches : sequence of ndarray of shape (n_i,)
        Block values of each launch; the lengths may differ.
    replicates : int
        Number of resamples.
    seed : int
        Seed of the generator.

    Returns
    -------
    ndarray of shape (replicates,)
        One median per resample.

    Raises
    ------
    ValueError
        If there is no launch, or a launch without a block.

    Examples
    --------
    >>> set(bootstrap_medians([np.array([2.0, 2.0])]).tolist())
    {2.0}
    """
    if not launches or any(values.size == 0 for values in launches):
        raise ValueError("need at least one launch, and a block in each")
    rng = np.random.default_rng(seed)
    sizes = np.array([values.size for values in launches])
    widest = int(sizes.max())
    table = np.full((len(launches), widest), np.nan)
    for row, values in zip(table, launches, strict=True):
        row[: values.size] = values
    drawn = rng.integers(0, len(launches), size=(replicates, len(launches)))
    limit = sizes[drawn][:, :, None]
    position = np.floor(rng.random((replicates, len(launches), widest)) * limit).astype(np.intp)
    values = table[drawn[:, :, None], position]
    values[np.broadcast_to(np.arange(widest) >= limit, values.shape)] = np.nan
    medians: Floats = np.nanmedian(values.reshape(replicates, -1), axis=1)
    return medians


def student_quantile(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t distribution.

    Parameters
    ----------
    probability : float
        Above 0.5 and below 1.
    freedom : float
        Degrees of freedom, at least 1.

    Returns
    -------
    float
        Hill's approximation, within 0.2 % from three degrees on; exact for one and two.

    References
    ----------
    .. [1] G. W. Hill, "Algorithm 396: Student's t-quantiles", Communications of the ACM, 1970.

    Examples
    --------
    >>> [round(student_quantile(0.975, freedom), 2) for freedom in (1, 2, 4, 30)]
    [12.71, 4.3, 2.78, 2.04]
    """
    tails = 2 * (1 - probability)
    if freedom <= 1:
        return 1 / math.tan(tails * math.pi / 2)
    if freedom <= 2:
        return math.sqrt(2 / (tails * (2 - tails)) - 2)
    a = 1 / (freedom - 0.5)
    b = (48 / a) / a
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    x = d * tails
    y = x ** (2 / freedom)
    if y > 0.05 + a:
        x = NormalDist().inv_cdf(tails / 2)
        y = x * x
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        y = (
            (
                1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3)
                + 0.5 / (freedom + 4)
            )
            * y
            - 1
        ) * (freedom + 1) / (freedom + 2) + 1 / y
    return math.sqrt(freedom * y)


def _interval(replicates: Floats, estimate: float, n: int, confidence: float) -> Interval:
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail])
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), n)


def seconds(launches: Sequence[ArrayLike], *, confidence: float = CONFIDENCE, block: int = BLOCK) -> Interval:
    """Return the median of the block minima with its interval.

    Parameters
    ----------
    launches : sequence of array_like of shape (n_i,)
        Seconds per call of one contender, one array per launch.
    confidence : float
        Coverage of the interval.
    block : int
        Samples per block; 1 where there are too few for blocks.

    Returns
    -------
    Interval
        Seconds per call.

    Examples
    --------
    >>> seconds([[2.0] * 8]).estimate
    2.0
    """
    blocks = [block_minima(samples, block) for samples in launches]
    pooled = np.concatenate(blocks)
    return _interval(bootstrap_medians(blocks), float(np.median(pooled)), pooled.size, confidence)


def paired_ratio(
    ours: Sequence[ArrayLike],
    theirs: Sequence[ArrayLike],
    *,
    confidence: float = CONFIDENCE,
    block: int = BLOCK,
) -> Interval:
    """Return how many times faster `ours` is than `theirs`, with its interval.

    Parameters
    ----------
    ours, theirs : sequence of array_like of shape (n_i,)
        Interleaved samples, one array per launch, equally many on both sides.
    confidence : float
        Coverage of the interval.
    block : int
        Samples per block; 1 where there are too few for blocks.

    Returns
    -------
    Interval
        exp(median(log(theirs / ours))): 2 means that ours takes half the time. "Faster" is a fair
        word only where the interval excludes 1.

    Examples
    --------
    >>> round(paired_ratio([[1.0] * 8], [[2.0] * 8]).estimate, 9)
    2.0
    """
    logs = [log_ratios(a, b, block) for a, b in zip(ours, theirs, strict=True)]
    pooled = np.concatenate(logs)
    estimate = math.exp(float(np.median(pooled)))
    return _interval(np.exp(bootstrap_medians(logs)), estimate, pooled.size, confidence)


def unpaired_ratio(
    ours: Sequence[ArrayLike],
    theirs: Sequence[ArrayLike],
    scale: float = 1.0,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return how many times faster `ours` is than `theirs`, for samples that were not interleaved.

    Wider and less to be trusted than `paired_ratio`: a drift of the machine between the two counts
    as a difference.

    Parameters
    ----------
    ours, theirs : sequence of array_like of shape (n_i,)
        Seconds per call, one array per launch.
    scale : float
        Factor on the result, such as the flops of ours over those of theirs.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        scale * theirs / ours; `n` is the smaller number of blocks.

    Examples
    --------
    >>> round(unpaired_ratio([[1.0] * 4], [[2.0] * 4], scale=8.0).estimate, 9)
    16.0
    """
    first = [np.log(block_minima(samples)) for samples in ours]
    second = [np.log(block_minima(samples)) for samples in theirs]
    pooled = np.concatenate(first), np.concatenate(second)
    estimate = scale * math.exp(float(np.median(pooled[1]) - np.median(pooled[0])))
    replicates = scale * np.exp(bootstrap_medians(second, seed=SEED + 1) - bootstrap_medians(first))
    return _interval(replicates, estimate, min(pooled[0].size, pooled[1].size), confidence)


def geometric_mean(
    cases: Sequence[tuple[Sequence[ArrayLike], Sequence[ArrayLike]]], *, confidence: float = CONFIDENCE
) -> Interval:
    """Return the geometric mean of the paired ratios of several cases, with its interval.

    Parameters
    ----------
    cases : sequence of (ours, theirs)
        As the two arguments of `paired_ratio`.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        Cases are resampled independently of one another; `n` is the number of cases.

    Raises
    ------
    ValueError
        If there is no case.

    Examples
    --------
    >>> double = ([[1.0] * 8], [[2.0] * 8])
    >>> half = ([[2.0] * 8], [[1.0] * 8])
    >>> round(geometric_mean([double, half]).estimate, 9)
    1.0
    """
    if not cases:
        raise ValueError("need at least one case")
    estimates, replicates = [], []
    for number, (ours, theirs) in enumerate(cases):
        logs = [log_ratios(a, b) for a, b in zip(ours, theirs, strict=True)]
        estimates.append(float(np.median(np.concatenate(logs))))
        replicates.append(bootstrap_medians(logs, seed=SEED + number))
    estimate = math.exp(math.fsum(estimates) / len(estimates))
    return _interval(np.exp(np.mean(replicates, axis=0)), estimate, len(cases), confidence)
