"""Runs keep raw samples, unchanged, through JSON and back."""

import dataclasses
import json

import pytest

from profiling.cases import square_case
from profiling.measure.run import SCHEMA, Launch, Measurement, Run

CASE = square_case(2, "float32", "FC")


@pytest.fixture
def run():
    launches = tuple(
        Launch.of({"ours": [1e-6 * factor] * 8, "theirs": [3e-6 * factor] * 8}, {"ours": 5, "theirs": 7})
        for factor in (1.0, 1.1)
    )
    return Run({"cpu": "a"}, {"quick": True}, (Measurement(CASE, 2, launches, {"theirs": "wrong"}),))


def test_json_and_back(run):
    text = json.dumps(run.to_dict())
    assert Run.from_dict(json.loads(text)) == run


@pytest.mark.parametrize("change", [{"schema": SCHEMA + 1}, {"kind": "profile"}])
def test_another_file_is_refused(run, change):
    with pytest.raises(ValueError, match=f"expected a run of schema {SCHEMA}"):
        Run.from_dict(run.to_dict() | change)


def test_records_cannot_be_changed(run):
    measurement = run.measurements[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        measurement.threads = 3
    assert isinstance(measurement.samples("ours")[0], tuple)


def test_estimates_come_from_the_samples(run):
    measurement = run.measurements[0]
    assert measurement.contenders == ("ours", "theirs")
    assert measurement.ratio("ours", "theirs").estimate == pytest.approx(3.0)
    assert measurement.seconds("ours").estimate == pytest.approx(1.05e-6)
    assert measurement.gflops("ours") == pytest.approx(16 / 1.05e-6 / 1e9)
