"""What is said of the machine."""

import json

import pytest

from profiling.measure import machine


def test_a_description_is_json_and_complete():
    found = machine.describe()
    assert json.loads(json.dumps(found)) == found
    assert found["cores"] >= 1
    assert found["numpy"] in machine.one_line(found)
    assert found["cpu"] in machine.one_line(found)
    assert found["isa"] in machine.one_line(found)


@pytest.mark.parametrize("name", machine.FORCING)
def test_forced_kernels_are_seen(monkeypatch, name):
    for other in machine.FORCING:
        monkeypatch.delenv(other, raising=False)
    assert machine.forced() == {}
    monkeypatch.setenv(name, "something")
    assert machine.describe()["forced"] == {name: "something"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_peak_is_a_rate(dtype):
    assert 0.1 < machine.measure_peak(dtype) < 1e4


def test_one_core_is_not_cores():
    found = machine.describe() | {"cores": 1, "blas": []}
    assert ", 1 core, " in machine.one_line(found)
    assert machine.one_line(found).endswith("no BLAS")
