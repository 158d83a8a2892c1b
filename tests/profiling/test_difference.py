"""What changed between two runs: equal ones stay silent, planted changes are found."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiling.measure import difference, run_difference
from profiling.measure.difference import (
    Change,
    Drift,
    calibration_drift,
    judge,
    shares,
    timing_change,
    yardstick_holds,
)
from profiling.measure.line_difference import LinePair, Sampled, drift_beside_lines, line_change
from profiling.measure.stats import Interval

STILL = Drift(0.0, 0.01, "made up")
TRIALS = 40


def timings(rng, seconds, speed, blocks=24):
    """Return one launch: jitter upwards, now and then an interruption."""
    jitter = 1 + 0.01 * np.abs(rng.standard_normal(4 * blocks))
    return [(speed * seconds * jitter * np.where(rng.random(4 * blocks) < 0.2, 2.0, 1.0)).tolist()]


def machine(rng):
    """Return a speed of the machine, and a calibration that tells it within one per cent."""
    speed = math.exp(0.05 * rng.standard_normal())
    seen = speed * np.exp(0.01 * rng.standard_normal(2))
    return speed, {"before": [0.006 * seen[0]] * 10, "after": [0.006 * seen[1]] * 10}


@pytest.mark.parametrize("beside", [True, False])
def test_of_forty_equal_pairs_none_is_flagged_and_every_slow_one(rng, beside):
    flagged = found = 0
    for _ in range(TRIALS):
        (first, one), (second, two) = machine(rng), machine(rng)
        drift = calibration_drift(one, two)
        yardstick = None
        if beside:
            # A process start that favours one of the two by a per cent or so.
            luck = math.exp(0.01 * rng.standard_normal())
            yardstick = timings(rng, 2e-3, first), timings(rng, 2e-3 * luck, second)
        before = timings(rng, 1e-3, first)
        equal, slow = (timings(rng, 1e-3 * factor, second) for factor in (1.0, 1.2))
        flagged += timing_change(before, equal, drift, yardstick=yardstick).verdict != "same"
        found += timing_change(before, slow, drift, yardstick=yardstick).verdict == "slower"
    assert flagged == 0
    assert found >= TRIALS - 3


def report(rng, weights, speed, samples):
    """Return the samples of each line, and the seconds they stand for."""
    expected = np.array(weights) / sum(weights) * samples * speed
    counts = rng.poisson(expected)
    return [Sampled(0.004 * count, int(count), int(counts.sum())) for count in counts]


def test_lines_of_equal_reports_stay_silent_and_the_slow_line_is_found(rng):
    weights = [40, 25, 10, 8, 5, 4, 3, 2, 1, 1, 0.5, 0.5]
    slow = [48, *weights[1:]]
    flagged = found = wrong = 0
    for _ in range(TRIALS):
        (first, one), (second, two) = machine(rng), machine(rng)
        drift = calibration_drift(one, two)
        before = report(rng, weights, first, 8000)
        equal = report(rng, weights, second, 8000)
        # A line that is slower makes the run longer; the others keep their samples.
        slower = report(rng, slow, second, 8000 * sum(slow) / sum(weights))
        verdicts = {"equal": [], "slow": []}
        for name, after in (("equal", equal), ("slow", slower)):
            pairs = [LinePair(*pair) for pair in zip(before, after, strict=True)]
            drifts = drift_beside_lines(pairs, drift)
            divided = shares([pair.before.seconds + pair.after.seconds for pair in pairs])
            for pair, own, share in zip(pairs, drifts, divided, strict=True):
                verdicts[name].append(line_change(pair, own, share).verdict)
        flagged += any(verdict in ("slower", "faster") for verdict in verdicts["equal"])
        found += verdicts["slow"][0] == "slower"
        wrong += any(verdict in ("slower", "faster") for verdict in verdicts["slow"][1:])
    assert flagged == 0
    assert wrong == 0
    assert found >= TRIALS - 3


def test_a_slow_machine_is_divided_out_and_a_busy_one_widens_the_interval():
    usual = {"before": [1.0] * 4, "after": [1.0] * 4}
    calm = calibration_drift(usual, {"before": [1.5] * 4, "after": [1.5] * 4})
    busy = calibration_drift(usual, {"before": [1.0] * 4, "after": [2.0] * 4})
    assert calm.factor == pytest.approx(1.5)
    still = calibration_drift(usual, usual)
    assert still.sd == pytest.approx(difference.CALIBRATED_SD)
    assert still.sd < calm.sd < busy.sd
    assert timing_change([[1.0] * 16], [[1.5] * 16], calm).verdict == "same"


def test_a_busy_neighbour_around_a_run_widens_a_profile_and_not_its_fastest_samples():
    calm = {"before": [1.0] * 20, "after": [1.0] * 20}
    flicker = {"before": [1.0] * 20, "after": [1.0] * 8 + [1.5] * 12}
    assert calibration_drift(calm, flicker).sd > 3 * calibration_drift(calm, flicker, quietest=True).sd
    assert calibration_drift(calm, flicker).factor == pytest.approx(1.0)


def test_without_a_calibration_small_changes_are_not_claimed():
    drift = calibration_drift({}, {"before": [1.0] * 4})
    assert drift.log == 0.0
    assert drift.sd == difference.UNCALIBRATED_SD
    assert timing_change([[1.0] * 32], [[1.15] * 32], drift).verdict == "same"
    assert timing_change([[1.0] * 32], [[1.6] * 32], drift).verdict == "slower"


def test_few_samples_give_no_verdict():
    assert timing_change([[1.0]], [[9.0]], STILL).verdict == "unknown"
    assert line_change(LinePair(Sampled(0.1, 3, 99), Sampled(0.2, 6, 99)), STILL, 1.0).verdict == "unknown"
    assert not timing_change([[1.0]], [[9.0]], STILL).exceeds(0.0)


def test_a_line_that_was_never_hit_is_found_when_it_takes_time():
    pair = LinePair(Sampled(0.0, 0, 1000), Sampled(0.4, 100, 1100))
    assert line_change(pair, STILL, 0.1).verdict == "slower"
    back = LinePair(pair.after, pair.before)
    assert line_change(back, STILL, 0.1).verdict == "faster"


def test_other_lines_vouch_for_the_machine_and_never_for_themselves():
    alike = [LinePair(Sampled(1.0, 1000, 9000), Sampled(1.3, 1300, 9000)) for _ in range(6)]
    slow = LinePair(Sampled(1.0, 1000, 9000), Sampled(1.8, 1800, 9000))
    loose = Drift(0.0, 0.15, "made up")
    drifts = drift_beside_lines([*alike, slow], loose)
    assert drifts[-1].factor == pytest.approx(1.3, rel=0.02)
    assert drifts[-1].sd < loose.sd
    assert line_change(slow, drifts[-1], 0.2).verdict == "slower"
    assert line_change(alike[0], drifts[0], 0.2).verdict == "same"
    assert drift_beside_lines(alike[:3], loose) == [loose] * 3


def test_where_all_lines_slow_down_on_a_calm_machine_only_the_total_can_say_so():
    alike = [LinePair(Sampled(1.0, 1000, 6000), Sampled(1.3, 1300, 7800)) for _ in range(6)]
    drifts = drift_beside_lines(alike, Drift(0.0, difference.CALIBRATED_SD, "made up"))
    assert all(drift.sd > 0.1 for drift in drifts)
    total = LinePair(Sampled(6.0, 6000, 6000), Sampled(7.8, 7800, 7800))
    assert line_change(total, STILL, 0.1).verdict == "slower"


def test_one_quiet_moment_among_busy_ones_is_not_trusted():
    busy = [1.0] * 2 + [1.4] * 94
    quiet = [1.0] * 96
    assert timing_change([quiet], [[1.2] * 96], STILL).verdict == "slower"
    assert timing_change([quiet], [[1.4] * 48 + [1.0] * 48], STILL).verdict == "same"
    assert timing_change([busy], [[1.2] * 96], STILL).verdict == "same"


def test_a_yardstick_that_is_other_code_now_is_not_used():
    assert yardstick_holds([[1.0] * 16], [[1.1] * 16], STILL)
    assert not yardstick_holds([[1.0] * 16], [[0.4] * 16], STILL)
    assert yardstick_holds([[1.0] * 16], [[2.0] * 16], Drift(math.log(2), 0.05, "made up"))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_the_shares_of_the_error_sum_to_one(weights):
    divided = shares(weights)
    assert math.fsum(divided) == pytest.approx(1.0)
    assert min(divided) > 0


@given(st.floats(-1, 1), st.floats(1e-6, 1), st.floats(1e-4, 1))
def test_a_smaller_share_gives_a_wider_interval(log, variance, share):
    wide, narrow = judge(log, variance, 9, share / 2), judge(log, variance, 9, share)
    assert wide.ratio.low <= narrow.ratio.low <= narrow.ratio.estimate <= narrow.ratio.high <= wide.ratio.high


@pytest.mark.parametrize(
    ("interval", "verdict", "fails"),
    [
        (Interval(1.2, 1.1, 1.3, 9), "slower", True),
        (Interval(1.04, 1.01, 1.07, 9), "slower", False),
        (Interval(1.3, 0.9, 1.9, 9), "same", False),
        (Interval(0.8, 0.7, 0.9, 9), "faster", False),
    ],
)
def test_verdict_and_threshold(interval, verdict, fails):
    change = Change(interval)
    assert change.verdict == verdict
    assert change.exceeds(0.05) == fails


def test_the_quieter_runs_are_those_of_the_program_and_not_those_in_which_a_line_was_missed(rng):
    """A line of a few samples is hit by luck: its own fastest runs tell how lucky the series was."""
    busy = np.exp(0.05 * rng.random(20))
    lucky = np.where(np.arange(20) % 2, 0.003, 0.013)
    line = run_difference.Series(tuple(lucky), 1e-4, tuple(busy))
    fastest = np.argsort(busy)[:10]
    assert line.log == pytest.approx(np.log(lucky[fastest].mean()))
    steady = run_difference.Series((0.008,) * 20, 1e-4, tuple(busy))
    still = Drift(0.0, 0.015, "made up")
    assert run_difference.runs_change(line, steady, still, 1.0).verdict == "same"
    assert run_difference.runs_change(replace(line, program=()), steady, still, 1.0).verdict == "slower"
