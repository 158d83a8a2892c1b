"""Resident memory line by line, and the training step that is looked at."""

import numpy as np
import pytest

from profiling import mlp_step
from profiling.collect import step as step_module
from profiling.collect.memory import resident_by_line
from profiling.collect.step import measure_step


# More than the C library ever takes from memory that was freed before.
def grows():
    kept = np.ones(8_000_000)
    return kept.sum()


def test_a_line_that_grows_the_process_is_found():
    found = {entry.line: entry for entry in resident_by_line(grows)}
    line = grows.__code__.co_firstlineno + 1
    assert found[line].growth >= 48 * 2**20
    assert found[line].hits == 1
    assert grows.__code__.co_firstlineno not in found


def test_a_compiled_function_is_refused():
    with pytest.raises(TypeError, match="not written in Python"):
        resident_by_line(np.dot, 1, 2)


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
    assert (hidden.count, hidden.bytes) == (2, 2 * size)
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
