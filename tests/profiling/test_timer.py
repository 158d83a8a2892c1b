"""Calibration and turns, with contenders whose time is made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiling.measure import timer
from profiling.measure.timer import LocalContender, Schedule


class Recorder:
    """A contender of a fixed speed that notes when it ran."""

    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, seconds, log

    def sample(self, loops):
        self.log.append((self.name, loops))
        return self.seconds


@given(st.floats(1e-8, 10.0), st.floats(1e-4, 0.1))
def test_calibration_reaches_the_target(seconds, target):
    loops = timer.calibrate(LocalContender("made up", lambda n: n * seconds), target)
    assert loops == 1 or loops * seconds == pytest.approx(target, rel=0.5)


def test_calibration_ignores_a_slow_first_call():
    times = iter([1.0])

    def loop(n):
        return next(times, n * 1e-6)

    assert timer.calibrate(LocalContender("cold", loop), 1e-3) == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan")])
def test_calibration_needs_a_positive_target(target):
    with pytest.raises(ValueError, match="positive"):
        timer.calibrate(LocalContender("x", lambda n: 1.0), target)


@given(st.integers(1, 6), st.integers(1, 12))
def test_every_round_is_a_palindrome_with_everybody_twice(count, rounds):
    orders = list(timer.turns(count, rounds))
    assert len(orders) == rounds
    for order in orders:
        assert order == order[::-1]
        assert sorted(order) == sorted([*range(count)] * 2)
    starts = [order[0] for order in orders]
    assert starts == [number % count for number in range(rounds)]


def test_two_contenders_go_abba_and_then_baab():
    log = []
    contenders = [Recorder("a", 1.0, log), Recorder("b", 2.0, log)]
    samples = timer.interleave(contenders, Schedule(blocks=1), loops={"a": 3, "b": 5})
    assert [name for name, _ in log] == list("abbabaab")
    assert set(log) == {("a", 3), ("b", 5)}
    assert samples == {"a": [1.0] * 4, "b": [2.0] * 4}


def test_the_calibration_is_kept_for_the_caller():
    loops = {}
    timer.interleave([LocalContender("a", lambda n: n * 1e-3)], Schedule(sample_seconds=4e-3), loops=loops)
    assert loops == {"a": 4}


def test_the_budget_ends_after_whole_blocks(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(timer.time, "perf_counter", lambda: float(next(clock)))
    schedule = Schedule(blocks=50, min_blocks=3, budget_seconds=7.5)
    samples = timer.interleave([Recorder("a", 1.0, [])], schedule, loops={"a": 1})
    assert len(samples["a"]) == 16


def test_the_least_number_of_blocks_is_taken_whatever_it_costs(monkeypatch):
    clock = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(timer.time, "perf_counter", lambda: float(next(clock)))
    schedule = Schedule(blocks=50, min_blocks=3, budget_seconds=1.0)
    samples = timer.interleave([Recorder("a", 1.0, [])], schedule, loops={"a": 1})
    assert len(samples["a"]) == 12


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_contenders_need_names_that_differ(names):
    with pytest.raises(ValueError, match="names that differ"):
        timer.interleave([Recorder(name, 1.0, []) for name in names], Schedule())


def test_a_schedule_needs_a_block():
    with pytest.raises(ValueError, match="min_blocks"):
        Schedule(blocks=2, min_blocks=3)


def test_the_collector_is_off_inside_and_as_before_outside():
    import gc

    assert gc.isenabled()
    with timer.garbage_collection_off():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_loops_call_as_often_as_asked():
    calls = []
    loop = timer.loop_with_out(lambda a, b, *, out: calls.append((a, b, out)), 1, 2, 3)
    assert loop(4) > 0
    assert calls == [(1, 2, 3)] * 4
    timer.loop_of(lambda: calls.append(None))(2)
    assert len(calls) == 6
