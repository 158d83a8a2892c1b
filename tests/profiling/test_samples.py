"""Samples are added up to the lines that they belong to."""

import json

import pytest

from profiling.collect.samples import INTERPRETER, Frame, LineTime, Sample, line_times, merge

SCRIPT = Frame("train.py", "load", 4, 2)
CALLER = Frame("train.py", "main", 9, 8)
LIBRARY = Frame("json/decoder.py", "decode", 355, 343)


def sample(*frames, seconds=1.0, module=None, running=True, thread=1, samples=1):
    return Sample(thread, frames, module, 0 if module is None else 64, seconds, running, samples)


def test_a_sample_survives_json():
    whole = sample(LIBRARY, SCRIPT, module="/lib/ü.so", seconds=0.125, samples=3)
    assert Sample.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


@pytest.mark.parametrize("values", [{}, {"thread": 1, "frames": [1]}])
def test_other_values_are_an_error(values):
    with pytest.raises((KeyError, TypeError)):
        Sample.from_dict(values)


def test_equal_samples_are_added_up_and_different_ones_are_not():
    merged = merge(
        [
            sample(SCRIPT),
            sample(SCRIPT, seconds=0.5, samples=2),
            sample(SCRIPT, thread=2, seconds=9.0),
            sample(SCRIPT, running=False),
            sample(SCRIPT, module="a.so"),
            sample(SCRIPT, CALLER),
        ]
    )
    assert len(merged) == 5
    assert merged[0].thread == 2
    assert merged[1] == sample(SCRIPT, seconds=1.5, samples=3)


def test_the_innermost_wanted_frame_gets_the_time_of_what_it_calls():
    times = line_times(
        [
            sample(LIBRARY, SCRIPT, CALLER, seconds=2.0),
            sample(SCRIPT, CALLER, module="blas.so", seconds=3.0),
            sample(SCRIPT, CALLER, seconds=4.0, running=False),
            sample(CALLER, seconds=0.5),
            sample(LIBRARY, seconds=50.0),
            sample(seconds=60.0),
        ],
        lambda filename: filename == "train.py",
    )
    assert list(times) == [("train.py", "load", 2, 4), ("train.py", "main", 8, 9)]
    load, main = times.values()
    assert load == LineTime(5.0, {INTERPRETER: 2.0, "blas.so": 3.0}, 3, 4.0)
    assert main == LineTime(0.5, {INTERPRETER: 0.5}, 1, 0.0)


def test_lines_come_in_the_order_of_their_time():
    lines = [Frame("a.py", "f", number, 1) for number in range(2, 6)]
    times = line_times(
        [sample(frame, seconds=seconds) for frame, seconds in zip(lines, (1, 4, 2, 3), strict=True)],
        lambda filename: True,
    )
    assert [key[3] for key in times] == [3, 5, 4, 2]


def test_each_file_is_asked_about_once():
    asked = []
    line_times([sample(LIBRARY, SCRIPT), sample(LIBRARY, CALLER)], lambda name: bool(asked.append(name)))
    assert sorted(asked) == ["json/decoder.py", "train.py"]


def test_recursion_counts_once():
    times = line_times([sample(SCRIPT, SCRIPT, SCRIPT)], lambda filename: True)
    assert [entry.seconds for entry in times.values()] == [1.0]
