"""Hits line by line are exact, and what cannot be traced says so."""

import inspect

import numpy as np
import pytest

from profiling.collect import lines
from profiling.collect.lines import FunctionLines, LineHits, count_lines, why_untraceable
from profiling.targets import TARGETS, run_traced, traced_functions

TRACEABLE = why_untraceable() is None
MATMUL = TARGETS["matmul"]


def loops(n):
    total = 0
    for i in range(n):
        for _ in range(n):
            total += i
    return total


def test_hits_of_a_python_function_are_those_of_one_run():
    (found,) = count_lines([loops], lambda: loops(7))
    first = loops.__code__.co_firstlineno
    assert {entry.line - first: entry.hits for entry in found.lines} == {1: 1, 2: 8, 3: 56, 4: 49, 5: 1}
    assert found.function == "loops"
    assert found.lines[3].source.strip() == "total += i"
    assert found.total_hits == 115


@pytest.mark.skipif(not TRACEABLE, reason=str(why_untraceable()))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hits_of_the_traced_twins_are_exact(dtype, monkeypatch):
    monkeypatch.setattr(lines, "RUNS", 1)
    naive, blocked = count_lines(traced_functions(MATMUL), lambda: run_traced(MATMUL, dtype))
    n = MATMUL.traced_size
    for function, statement, head in (
        (naive, "total = total + a[i, p] * b[p, j]", "for p in range(k):"),
        (blocked, "c[i, j] = c[i, j] + factor * b[p, j]", "for j in range(first_j, last_j):"),
    ):
        by_source = {entry.source.strip(): entry for entry in function.lines}
        assert by_source[statement].hits == n**3
        assert by_source[head].hits == n**3 + n**2
        assert function.hottest is by_source[statement]
        assert function.hotspot == f"ladder.pyx:{by_source[statement].line}"
    assert (naive.function, blocked.function) == ("naive", "blocked")


@pytest.mark.skipif(not TRACEABLE, reason=str(why_untraceable()))
def test_the_traced_twins_compute_what_the_fast_functions_do():
    from tensorops._traced import ladder as traced
    from tensorops.kernels import ladder

    case = MATMUL.case(9, "float32")
    for call in MATMUL.traced:
        one, other = np.empty((2, 9, 9), np.float32)
        getattr(ladder, call.function)(*case.operands(), one)
        getattr(traced, call.function)(*case.operands(), other)
        assert np.array_equal(one, other)


def test_a_time_is_shown_only_where_the_tracer_does_not_hide_it():
    assert LineHits(1, 1000, 1.9e-3, "").seconds_per_hit is None
    assert LineHits(1, 1000, 2.1e-3, "").seconds_per_hit == pytest.approx(2.1e-6)


def test_the_hottest_line_is_the_body_of_the_innermost_loop():
    entries = tuple(LineHits(line, hits, 1.0, "") for line, hits in ((1, 1), (2, 110), (3, 100), (4, 10)))
    assert FunctionLines("f", "/somewhere/f.pyx", entries).hotspot == "f.pyx:3"


def test_untraceable_functions_are_errors_and_never_empty_tables(monkeypatch):
    with pytest.raises(RuntimeError, match="len cannot be traced"):
        count_lines([len], lambda: None)
    with pytest.raises(RuntimeError, match="no line ran"):
        count_lines([loops], lambda: None)
    from tensorops.kernels import ladder

    monkeypatch.setattr(lines, "why_untraceable", lambda: why_untraceable((3, 12)))
    assert lines._why_not_added(ladder.naive) == why_untraceable((3, 12))
    assert "its source" in lines._why_not_added(loops)


def test_a_compiled_function_without_tracing_is_an_error():
    from tensorops.kernels import ladder

    with pytest.raises(RuntimeError):
        count_lines(
            [ladder.naive], lambda: ladder.naive(*MATMUL.case(4, "float32").operands(), np.empty((4, 4), "f"))
        )


@pytest.mark.parametrize(("version", "works"), [((3, 11), True), ((3, 12), False), ((3, 13), True)])
def test_which_python_can_trace_cython(version, works):
    assert (why_untraceable(version) is None) == works


def test_the_tracer_is_gone_afterwards():
    import sys

    before = sys.gettrace()
    count_lines([loops], lambda: loops(2))
    assert sys.gettrace() is before
    assert inspect.isfunction(loops)
