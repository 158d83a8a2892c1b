"""What names hold is seen where the program is, without holding anything or changing anything."""

import gc
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from profiling.collect.allocations import count_allocations
from profiling.collect.frame_names import names_of
from profiling.collect.names import MOST_KINDS, NameWatch, described, observed


def test_an_array_is_described_without_a_copy():
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    with count_allocations(min_bytes=0) as counter:
        (found,) = described({"x": array}).values()
    assert counter.count == 0
    assert found["dtype"] == "<f4"
    assert (found["shape"], found["strides"]) == ([4, 3], [4, 16])
    assert set(found["values"]) <= set(range(12))


def test_what_objects_hold_is_described_and_nothing_of_theirs_runs():
    class Layer:
        def __init__(self):
            self.weight = np.ones((2, 3))
            self.cache = {"x": np.zeros(4, np.int64), 3: 1.5, "text": "key"}

        @property
        def surprise(self):
            raise AssertionError("called")

        def __getattr__(self, name):
            raise AssertionError("called")

    found = described({"layer": Layer(), "layers": [Layer()], "np": np, "kind": Layer, "long": "x" * 1000})
    assert sorted(found) == ["layer", "layers"]
    held = found["layer"]["attributes"]
    assert held["weight"]["shape"] == [2, 3]
    assert held["cache"]["items"]["3"] == {"number": 1.5, "type": "float"}
    assert held["cache"]["items"]["'text'"] == {"text": "key"}
    assert found["layers"]["items"]["0"]["attributes"]["weight"]["dtype"] == "<f8"


@pytest.mark.parametrize(
    "value", [np.ones(3, complex), np.array(["a"]), object(), 2**80, None, np.array([None])]
)
def test_other_values_are_left_out(value):
    assert described({"value": value}) == {}


def test_locals_of_another_function_are_read_and_not_kept():
    outer = np.ones(3)

    def function():
        array = np.zeros(1000)
        number = len(outer)
        found = names_of(sys._getframe())
        kept = weakref.ref(array)
        assert found["array"] is array
        assert found["number"] == number == 3
        assert found["outer"] is outer
        del found, array
        gc.collect()
        return kept()

    assert function() is None


def test_a_cell_of_the_function_itself_and_an_empty_one_are_read():
    def function(x):
        def inner():
            return x, later

        found = names_of(sys._getframe())
        later = 1
        return found, inner

    found, _ = function(7)
    assert found["x"] == 7
    assert "later" not in found


def test_a_thread_that_runs_is_seen_where_it_is():
    watch = NameWatch(lambda name: name == __file__)
    end = threading.Event()

    def work(x):
        while not end.is_set():
            np.exp(x)

    thread = threading.Thread(target=work, args=(np.ones(100_000),))
    thread.start()
    watch.start()
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        lines = [entry for entry in watch.to_dict()["lines"] if "x" in entry["names"]]
        if lines:
            break
        time.sleep(0.01)
    end.set()
    thread.join()
    watch.stop()
    assert lines[0]["names"]["x"]["shape"] == [100_000]
    assert lines[0]["filename"] == __file__


def test_kinds_of_values_are_told_apart_and_bounded():
    watch = NameWatch(lambda name: True)

    def function(x):
        watch.note(sys._getframe())

    for size in (1, 2, 2, 3, 4, 5):
        function(np.ones(size))
    entries = watch.to_dict()["lines"]
    assert [entry["count"] for entry in entries] == [1, 2, 1]
    assert len(entries) == MOST_KINDS


def test_another_tracer_is_left_alone():
    def trace(frame, event, argument):
        return None

    sys.settrace(trace)
    try:
        with pytest.raises(RuntimeError, match="traced by somebody else"):
            observed(lambda: None, __file__)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(None)
