"""Figures of a line come together, whoever measured them."""

import pytest

from profiling.collect import line_table
from profiling.collect.line_table import LineTable, functions_of, that_matter
from profiling.collect.own_code import blocks_of
from profiling.collect.samples import INTERPRETER, LineTime

SOURCE = """\
def hot():
    return 1

def hungry():
    return 2

def idle():
    return 3
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(SOURCE, encoding="utf-8")
    blocks_of.cache_clear()
    return str(path)


def times(source, *entries):
    return {
        (source, "name", 1, line): LineTime(seconds, {INTERPRETER: python}, samples, waiting)
        for line, seconds, python, samples, waiting in entries
    }


def test_all_figures_of_a_line_join(source):
    table = LineTable()
    table.add_times(times(source, (2, 3.0, 1.0, 30, 0.5)), str, calls=10)
    table.add_allocations(
        [{"filename": source, "line": 2, "count": 2, "bytes": 64, "live": 1, "peak": 9}], str
    )
    table.add_traced(
        {"lines": [{"filename": source, "line": 2, "hits": 4, "seconds": 9.0}], "stopped": None}, str
    )
    table.add_traced(
        {"lines": [{"filename": source, "line": 2, "growth": 4096, "hits": 4}], "stopped": None}, str
    )
    (line,) = table.lines()
    assert (line.function, line.source, line.origin, line.place) == (
        "hot",
        "    return 1",
        "python",
        "module.py:2",
    )
    assert (line.seconds, line.waiting_seconds, line.samples) == (0.3, 0.05, 30)
    assert line.native == pytest.approx(2 / 3)
    assert (line.hits, line.seconds_per_hit) == (4, 0.075)
    assert (line.allocations, line.bytes, line.live, line.peak, line.resident_growth) == (2, 64, 1, 9, 4096)


def test_hits_up_to_a_budget_give_no_time_per_hit(source):
    table = LineTable()
    table.add_times(times(source, (2, 3.0, 3.0, 30, 0.0)), str)
    table.add_traced(
        {"lines": [{"filename": source, "line": 2, "hits": 4, "seconds": 9.0}], "stopped": "soon"}, str
    )
    (line,) = table.lines()
    assert (line.hits, line.seconds_per_hit) == (4, None)


def test_a_tracers_time_is_kept_only_for_want_of_samples_and_where_it_means_something(source):
    traced = {
        "lines": [
            {"filename": source, "line": 2, "hits": 1000, "seconds": 1.9e-3},
            {"filename": source, "line": 5, "hits": 1000, "seconds": 2.1e-3},
        ],
        "stopped": None,
    }
    with_samples, without = LineTable(), LineTable()
    with_samples.add_traced(traced, str)
    without.add_traced(traced, str, times=True)
    assert [line.seconds_per_hit for line in with_samples.lines()] == [None, None]
    assert [line.seconds_per_hit for line in without.lines()] == [None, pytest.approx(2.1e-6)]


def test_compiled_lines_have_no_time_per_hit(tmp_path):
    path = str(tmp_path / "kernel.pyx")
    table = LineTable()
    table.add(path, 3, seconds=1.0, hits=10)
    (line,) = table.lines()
    assert (line.origin, line.hits, line.seconds_per_hit, line.source) == ("pyx", 10, None, "")


def test_requests_without_a_line_are_left_out(source):
    table = LineTable()
    table.add_allocations([{"filename": "", "line": 0, "count": 1, "bytes": 1, "live": 0, "peak": 1}], str)
    assert table.lines() == []


def test_functions_that_matter_by_time_by_buffers_or_by_bytes(source):
    table = LineTable()
    table.add(source, 2, seconds=1.0)
    table.add(source, 5, seconds=1e-6, allocations=100, bytes=100)
    table.add(source, 8, seconds=1e-6, allocations=1, bytes=1)
    functions = functions_of(table.lines())
    assert [function.block.name for function in functions] == ["hot", "hungry", "idle"]
    assert [function.block.name for function in that_matter(functions)] == ["hot", "hungry"]
    assert [function.block.name for function in that_matter(functions, most=1)] == ["hot"]
    assert functions[0].hottest.line == 2
    assert that_matter([]) == []


def test_lines_of_no_function_belong_to_the_module(source):
    table = LineTable()
    table.add(source, 3, seconds=1.0)
    (function,) = functions_of(table.lines())
    assert function.block.name == line_table.block_at(source, 3).name == "<module>"
