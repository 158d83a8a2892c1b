"""The estimator: known answers, invariances, and what identical contenders give."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from profiling.measure import stats

positive = st.floats(1e-9, 1e3, allow_nan=False, allow_infinity=False)
samples = hnp.arrays(np.float64, st.integers(4, 40), elements=positive)


def noisy(rng: np.random.Generator, seconds: float, n: int) -> np.ndarray:
    """Return times of a machine that is now and then interrupted."""
    jitter = 1 + 0.01 * np.abs(rng.standard_normal(n))
    return seconds * jitter * np.where(rng.random(n) < 0.2, 3.0, 1.0)


def test_block_minima_leave_an_incomplete_block_out():
    assert stats.block_minima([4.0, 3.0, 2.0, 5.0, 1.0, 1.0]).tolist() == [2.0]


@pytest.mark.parametrize("wrong", [[1.0] * 3, [[1.0] * 4], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, math.nan]])
def test_block_minima_refuse_what_is_no_time(wrong):
    with pytest.raises(ValueError, match=r"block of 4|positive"):
        stats.block_minima(wrong)


def test_a_known_ratio():
    ours = [1.0, 9.0, 9.0, 9.0, 2.0, 9.0, 9.0, 9.0, 1.0, 9.0, 9.0, 9.0]
    theirs = [9.0, 3.0, 9.0, 9.0, 9.0, 6.0, 9.0, 9.0, 9.0, 5.0, 9.0, 9.0]
    ratio = stats.paired_ratio([ours], [theirs])
    assert ratio.estimate == pytest.approx(3.0)
    assert ratio.n == 3
    assert (ratio.low, ratio.high) == pytest.approx((3.0, 5.0))


@given(samples, st.floats(1e-3, 1e3))
def test_a_constant_factor_is_found_exactly(times, factor):
    ratio = stats.paired_ratio([times], [times * factor])
    assert ratio.estimate == pytest.approx(factor)
    assert ratio.low == pytest.approx(factor)
    assert ratio.high == pytest.approx(factor)


@given(hnp.arrays(np.float64, (2, 24), elements=positive))
def test_swapping_the_contenders_inverts_the_ratio(pair):
    ours, theirs = pair
    there, back = stats.paired_ratio([ours], [theirs]), stats.paired_ratio([theirs], [ours])
    assert there.estimate * back.estimate == pytest.approx(1.0)


@given(st.lists(samples, min_size=1, max_size=4))
def test_an_interval_holds_its_estimate_and_lies_within_the_data(launches):
    found = stats.seconds(launches)
    blocks = np.concatenate([stats.block_minima(launch) for launch in launches])
    assert blocks.min() <= found.low <= found.estimate <= found.high <= blocks.max()


def test_identical_contenders_are_not_told_apart(rng):
    covered = 0
    for _ in range(60):
        launches = [(noisy(rng, 1e-3, 48), noisy(rng, 1e-3, 48)) for _ in range(3)]
        ratio = stats.paired_ratio([pair[0] for pair in launches], [pair[1] for pair in launches])
        covered += not ratio.excludes(1.0)
        assert ratio.estimate == pytest.approx(1.0, abs=0.01)
    assert covered >= 54


def test_five_per_cent_are_found(rng):
    launches = [(noisy(rng, 1e-3, 48), noisy(rng, 1.05e-3, 48)) for _ in range(3)]
    ratio = stats.paired_ratio([pair[0] for pair in launches], [pair[1] for pair in launches])
    assert ratio.low > 1.03
    assert ratio.high < 1.07


def test_interruptions_of_one_contender_alone_move_the_estimate_little(rng):
    ours = 1e-3 * (1 + 0.001 * rng.random(96))
    theirs = np.where(rng.random(96) < 0.3, 5.0, 1.0) * ours
    assert stats.paired_ratio([ours], [theirs]).estimate == pytest.approx(1.0, abs=0.002)


def test_launches_that_differ_widen_the_interval(rng):
    alike = [1e-3 * (1 + 0.01 * rng.random(32)) for _ in range(3)]
    apart = [launch * factor for launch, factor in zip(alike, (1.0, 1.1, 1.2), strict=True)]
    narrow, wide = stats.seconds(alike), stats.seconds(apart)
    assert (wide.high - wide.low) > 5 * (narrow.high - narrow.low)


def test_the_bootstrap_is_reproducible_and_takes_unequal_launches():
    launches = [np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])]
    first, second = stats.bootstrap_medians(launches), stats.bootstrap_medians(launches)
    assert np.array_equal(first, second)
    assert first.min() >= 1.0
    assert first.max() <= 5.0
    assert len(set(first.tolist())) > 5


@pytest.mark.parametrize("launches", [[], [np.array([])]])
def test_the_bootstrap_needs_a_block_in_every_launch(launches):
    with pytest.raises(ValueError, match="at least one launch"):
        stats.bootstrap_medians(launches)


def test_paired_samples_must_be_equally_many():
    with pytest.raises(ValueError, match="equally many"):
        stats.log_ratios([1.0] * 4, [1.0] * 8)


def test_the_geometric_mean_of_known_ratios():
    ones = [[1.0] * 8]
    cases = [(ones, [[2.0] * 8]), (ones, [[4.0] * 8]), (ones, [[1.0] * 8])]
    mean = stats.geometric_mean(cases)
    assert mean.estimate == pytest.approx(2.0)
    assert mean.n == 3
    with pytest.raises(ValueError, match="at least one case"):
        stats.geometric_mean([])


def test_an_unpaired_ratio_is_scaled():
    ratio = stats.unpaired_ratio([[1e-3] * 4], [[2e-3] * 8], scale=64.0)
    assert ratio.estimate == pytest.approx(128.0)
    assert ratio.n == 1
