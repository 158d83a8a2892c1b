"""The fixed work that tells how fast the machine is."""

from types import SimpleNamespace

import pytest

from profiling.measure import calibration


def test_a_sample_is_a_list_of_positive_times():
    taken = calibration.sample()
    assert len(taken) == calibration.PIECES
    assert all(type(seconds) is float and seconds > 0 for seconds in taken)


def test_the_first_piece_is_left_out(monkeypatch):
    made = iter([9.0] + [1.0] * calibration.PIECES)
    monkeypatch.setattr(calibration, "piece", lambda: next(made))
    assert calibration.sample() == [1.0] * calibration.PIECES


@pytest.mark.parametrize(("resolution", "seconds"), [(1e-9, 0.25), (1e-2, 0.5)])
def test_processor_time_serves_where_it_is_fine(monkeypatch, resolution, seconds):
    class Clocks:
        thread_time = staticmethod(iter([1.0, 1.25]).__next__)
        perf_counter = staticmethod(iter([10.0, 10.5]).__next__)
        get_clock_info = staticmethod(lambda name: SimpleNamespace(resolution=resolution))

    monkeypatch.setattr(calibration, "time", Clocks)
    assert calibration.piece() == seconds
