"""The fixed work that tells how fast the machine is."""

from profiling.measure import calibration


def test_a_sample_is_a_list_of_positive_times():
    taken = calibration.sample()
    assert len(taken) == calibration.PIECES
    assert all(type(seconds) is float and seconds > 0 for seconds in taken)


def test_the_first_piece_is_left_out(monkeypatch):
    made = iter([9.0] + [1.0] * calibration.PIECES)
    monkeypatch.setattr(calibration, "piece", lambda: next(made))
    assert calibration.sample() == [1.0] * calibration.PIECES


def test_the_work_follows_the_clock(monkeypatch):
    readings = iter([10.0, 10.25])
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: next(readings))
    assert calibration.piece() == 0.25
