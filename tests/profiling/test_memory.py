"""Resident memory line by line, and the training step that is looked at."""

import sys
import threading

import numpy as np
import pytest

from profiling import mlp_step
from profiling.collect import memory
from profiling.collect import step as step_module
from profiling.collect.memory import resident_by_line, why_no_compiled_lines
from profiling.collect.step import measure_step

MIB = 2**20


# More than the C library ever takes from memory that was freed before.
def grows():
    kept = np.ones(8_000_000)
    return kept.sum()


def calls_grows():
    before = 1
    total = grows()
    return before + total


def loops(n):
    total = 0
    for i in range(n):
        total += i
    return total


def generates(n):
    yield from range(n)


def lines_of(found, function):
    first = function.__code__.co_firstlineno
    return {entry.line - first: entry for entry in found.lines if entry.function == function.__name__}


def test_a_line_that_grows_the_process_is_found():
    found = resident_by_line(grows)
    lines = lines_of(found, grows)
    assert lines[1].growth >= 48 * MIB
    assert lines[1].resident >= 48 * MIB
    assert [entry.hits for entry in found.lines] == [1, 1]
    assert {entry.filename for entry in found.lines} == {__file__}
    assert (found.stopped, found.notes, found.value) == (None, (), 8_000_000)


def test_growth_belongs_to_the_innermost_followed_function():
    both = resident_by_line(calls_grows, [calls_grows, grows])
    assert lines_of(both, grows)[1].growth >= 48 * MIB
    assert lines_of(both, calls_grows)[2].growth < 16 * MIB
    outer = resident_by_line(calls_grows, [calls_grows])
    assert lines_of(outer, grows) == {}
    assert lines_of(outer, calls_grows)[2].resident >= 48 * MIB


def test_a_whole_run_is_followed_by_file():
    found = resident_by_line(calls_grows, is_wanted=lambda filename: filename == __file__)
    assert {entry.function for entry in found.lines} == {"calls_grows", "grows"}


def test_hits_of_loops_and_generators():
    found = resident_by_line(lambda: (loops(5), list(generates(3))), [loops, generates])
    hits = {number: entry.hits for number, entry in lines_of(found, loops).items()}
    assert hits == {1: 1, 2: 6, 3: 5, 4: 1}
    assert lines_of(found, generates)[1].hits >= 1


@pytest.mark.parametrize("budget", [{"max_events": 20}, {"max_seconds": 1e-9}])
def test_the_budget_ends_the_recording_and_says_where(budget):
    found = resident_by_line(lambda: loops(1000), [loops], **budget)
    assert found.value == 499500
    assert "test_memory.py:" in found.stopped
    if "max_events" in budget:
        assert found.stopped.startswith("after 20 events")
        assert sum(entry.hits for entry in found.lines) == 19
    assert sys.gettrace() is None


def test_an_exception_of_the_call_is_passed_on_and_the_tracer_goes():
    def fails():
        raise ZeroDivisionError("as planned")

    with pytest.raises(ZeroDivisionError, match="as planned"):
        resident_by_line(fails)
    assert sys.gettrace() is None
    assert threading.gettrace() is None


def test_what_another_thread_does_is_said():
    def starts_a_thread():
        thread = threading.Thread(target=loops, args=(3,))
        thread.start()
        thread.join()

    found = resident_by_line(starts_a_thread, [starts_a_thread, loops])
    assert lines_of(found, loops) == {}
    assert any("Other threads ran" in note for note in found.notes)


def test_a_tracer_of_the_programs_own_is_said_and_left_alone():
    def tracer(frame, event, argument):
        return tracer

    def installs():
        sys.settrace(tracer)
        return 1

    try:
        found = resident_by_line(installs)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(None)
    assert any("tracer of its own" in note for note in found.notes)


def test_a_function_that_never_ran_is_said():
    found = resident_by_line(lambda: None, [loops])
    assert found.lines == ()
    assert any("No line was recorded" in note for note in found.notes)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"functions": [np.dot]}, TypeError, "not written in Python"),
        ({"max_events": 0}, ValueError, "budget must be positive"),
        ({"max_seconds": -1.0}, ValueError, "budget must be positive"),
        ({"functions": [loops], "is_wanted": bool}, ValueError, "not both"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        resident_by_line(lambda: None, **arguments)


def test_without_memory_profiler_the_reason_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "memory_profiler", None)
    monkeypatch.setattr(memory.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install memory_profiler"):
        resident_by_line(lambda: None)


def test_lines_of_compiled_functions():
    from tensorops._traced import ladder

    a, out = np.ones((2, 4, 4), np.float32)
    if why_no_compiled_lines() is not None:
        with pytest.raises(RuntimeError, match="Cython reports lines"):
            resident_by_line(lambda: ladder.naive(a, a, out), [ladder.naive])
        return
    found = resident_by_line(lambda: ladder.naive(a, a, out), [ladder.naive])
    assert {entry.function for entry in found.lines} == {"naive"}
    (filename,) = {entry.filename for entry in found.lines}
    with open(filename, encoding="utf-8") as file:  # noqa: PTH123
        source = file.read().splitlines()
    hits = {source[entry.line - 1].strip(): entry.hits for entry in found.lines}
    assert hits["total = total + a[i, p] * b[p, j]"] == 4**3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_step_learns(dtype, cache_dir):
    x, labels, parameters = mlp_step.make_arguments(dtype)
    losses = [mlp_step.mlp_step(x, labels, parameters) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert all(parameter.dtype == dtype for parameter in parameters)


def test_gradients_agree_with_differences(cache_dir):
    x, labels, parameters = mlp_step.make_arguments("float64")
    before = [parameter.copy() for parameter in parameters]
    mlp_step.mlp_step(x, labels, parameters, rate=1.0)
    for number, at in ((0, (3, 5)), (1, (7,)), (2, (11, 2)), (3, (4,))):
        gradient = before[number][at] - parameters[number][at]
        losses = []
        for shift in (1e-5, -1e-5):
            moved = [parameter.copy() for parameter in before]
            moved[number][at] += shift
            losses.append(mlp_step.mlp_step(x, labels, tuple(moved), rate=0.0))
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(gradient, rel=1e-4, abs=1e-9)


def test_the_cost_of_the_step_is_counted_line_by_line(cache_dir):
    cost = measure_step("float32")
    by_source = {entry.source: entry for entry in cost.lines}
    hidden = by_source["hidden = tensorops.matmul(x, w1) + b1"]
    size = mlp_step.BATCH * mlp_step.HIDDEN * 4
    # One buffer for the product, one for the sum: NumPy reuses temporaries only from 256 KiB on.
    assert (hidden.count, hidden.bytes, hidden.peak) == (2, 2 * size, 2 * size)
    weights = by_source["grad_w1 = tensorops.matmul(x.T, grad_hidden)"]
    assert (weights.count, weights.bytes) == (1, mlp_step.INPUTS * mlp_step.HIDDEN * 4)
    assert sum(entry.count for entry in cost.lines) == cost.count
    assert sum(entry.bytes for entry in cost.lines) == cost.bytes >= cost.peak
    assert cost.memory_reason is None
    assert cost.to_dict()["count"] == cost.count


def test_counts_do_not_depend_on_memory_profiler(monkeypatch, cache_dir):
    def broken(*arguments):
        raise RuntimeError("no such thing here")

    monkeypatch.setattr(step_module, "resident_by_line", broken)
    cost = measure_step("float32")
    assert cost.memory_reason == "no such thing here"
    assert cost.count > 0
    assert {entry.growth for entry in cost.lines} == {None}
