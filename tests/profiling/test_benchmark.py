"""``profiling.bench`` on anybody's callables: samples, verification, budgets, and what it refuses."""

import asyncio
import dataclasses
import functools
import gc
import json
import math
import subprocess
import sys
import time

import numpy as np
import pytest

import profiling
from profiling import BenchResult, BenchSeries, bench
from profiling.benchmark import Interrupted
from profiling.benchmark import callables as plans
from profiling.document import Figure
from profiling.measure import calibration
from profiling.measure.run import Launch

SHORT = {"blocks": 2, "budget_seconds": 0.5}


@pytest.fixture(autouse=True)
def short_calibration(monkeypatch):
    monkeypatch.setattr(calibration, "piece", lambda: 0.004)


def spin(turns):
    total = 0
    for number in range(turns):
        total += number
    return total


def launch(**seconds):
    return Launch.of(seconds, dict.fromkeys(seconds, 1))


def test_samples_of_all_contenders_are_kept_with_their_loops():
    result = bench(np.sum, np.ones(100), against={"python": sum}, verify=True, **SHORT)
    assert result.name == "sum"
    assert result.contenders == ("sum", "python")
    assert [len(samples) for samples in result.samples("python")] == [8]
    assert all(count >= 1 for name in result.contenders for count in result.loops(name))
    assert result.seconds == result.seconds_of("sum")
    assert 0 < result.seconds.low <= result.seconds.estimate <= result.seconds.high
    ratio = result.ratio("python")
    assert 0 < ratio.low <= ratio.estimate <= ratio.high
    assert result.errors == {}
    assert set(result.first_calls) == {"sum", "python"}
    assert set(result.calibration) == {"before", "during", "after"}
    with pytest.raises(KeyError, match="known: sum, python"):
        result.samples("numpy")


def test_a_result_cannot_be_changed_and_survives_its_file(tmp_path):
    result = bench(spin, 50, against={"less": lambda turns: spin(turns // 2)}, **SHORT)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.name = "other"
    written = result.save(tmp_path / "spin.json")
    assert BenchResult.from_dict(json.loads(written.read_text(encoding="utf-8"))) == result
    with pytest.raises(ValueError, match="expected a bench-result of schema 1"):
        BenchResult.from_dict(result.to_dict() | {"schema": 2})
    with pytest.raises(OSError, match="absent"):
        result.save(tmp_path / "absent" / "x.json")


def test_the_text_shows_times_spread_and_a_verdict():
    result = BenchResult(
        "f", (launch(f=[1e-3] * 31 + [9e-3], g=[2e-3] * 32),), first_calls={"f": 0.5, "g": 2e-3}
    )
    text = str(result)
    assert "1 of 32" in text
    assert "g's time / its own is 2.00, interval 2.00 to 2.00" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= 100
    figures = [
        block for part in result.document().sections for block in part.blocks if isinstance(block, Figure)
    ]
    assert figures[0].series[0].x == result.samples("f")[0]


def test_warm_up_is_dropped_from_all_alike_and_said():
    cold = [9e-3, 5e-3, 3e-3] + [1e-3] * 29
    result = BenchResult("f", (launch(f=cold, g=[1e-3] * 32),))
    assert result.warm_up == (4,)
    assert len(result.steady("g")[0]) == 28
    assert len(result.samples("f")[0]) == 32
    assert result.seconds.high == pytest.approx(1e-3)
    assert "Warm-up: 4 samples of each contender do not count. Rule: leading samples" in str(result)
    assert "Warm-up: none" in str(BenchResult("f", (launch(f=[1e-3] * 32),)))


def test_outliers_are_counted_and_not_dropped():
    result = BenchResult("f", (launch(f=[1e-3] * 20 + [5e-2] + [1e-3] * 11),))
    assert result.distribution("f").outliers == 1
    assert result.distribution("f").maximum == 5e-2
    assert result.distribution("f").samples == 32


@pytest.mark.parametrize(
    ("verify", "error"),
    [
        (True, "returned 6, the first contender 3"),
        (lambda value: value == 3, "wrong result"),
        (lambda value: "" if value == 3 else "not three", "not three"),
    ],
)
def test_a_wrong_result_is_marked(verify, error):
    result = bench(lambda: 3, against={"twice": lambda: 6}, name="three", verify=verify, **SHORT)
    assert result.errors == {"twice": error}
    assert "WRONG: twice" in str(result)
    assert result.document().exit_code == 1


def test_an_assertion_judges_too():
    def verify(value):
        np.testing.assert_allclose(value, 1.0)

    result = bench(lambda: 1.0, against={"two": lambda: 2.0}, name="one", verify=verify, **SHORT)
    assert list(result.errors) == ["two"]
    assert "Not equal to tolerance" in result.errors["two"]


def test_arrays_are_compared_within_rounding():
    x = np.linspace(0, 1, 1000, dtype=np.float32)
    rivals = {
        "float64": lambda x: x.astype(np.float64) * 3,
        "wrong": lambda x: x * 3.01,
        "short": lambda x: x[:5],
    }
    result = bench(lambda x: x * 3, x, against=rivals, name="ours", verify=True, **SHORT)
    assert set(result.errors) == {"wrong", "short"}
    assert result.errors["wrong"].endswith("of 1000 elements")
    assert "shape (5,)" in result.errors["short"]


def test_what_a_function_raises_is_passed_on_with_its_name():
    def broken():
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError) as caught:
        bench(spin, 5, against={"broken": lambda turns: broken()}, **SHORT)
    assert caught.value.__notes__ == ["raised by 'broken' while it was benchmarked"]
    assert gc.isenabled()


def lazy():
    yield 1


async def later():
    await asyncio.sleep(0)


@pytest.mark.parametrize("function", [lazy, functools.partial(lazy), later, lambda: lazy(), lambda: later()])
def test_what_only_makes_a_generator_or_coroutine_is_refused(function):
    with pytest.raises(TypeError, match=r"only makes a (generator|coroutine) and runs nothing of it"):
        bench(function, **SHORT)
    with pytest.raises(TypeError, match="only makes a"):
        bench(lambda: None, against={"lazy": function}, **SHORT)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((3,), {}, TypeError, "expected a callable, got int"),
        ((spin, 5), {"against": ["numpy"]}, TypeError, "names the library 'numpy'"),
        ((spin, 5), {"against": [spin]}, ValueError, "two contenders are called 'spin'"),
        ((spin, 5), {"shapes": 8}, TypeError, "belong to operations by name"),
        ((spin, 5), {"threads": 0}, ValueError, "threads must be at least 1"),
        ((spin, 5), {"threads": []}, ValueError, "threads must be"),
        ((spin, 5), {"blocks": 0}, ValueError, "blocks and launches must be at least 1"),
        ((spin, 5), {"budget_seconds": 0}, ValueError, "the budget above 0"),
        (("matmull",), {}, ValueError, "unknown operation 'matmull'"),
        (("matmul", 3), {}, TypeError, "has operands, verification and a name of its own"),
        (("matmul",), {"against": [np.matmul]}, TypeError, "lists libraries by name"),
        (("matmul",), {"against": ["blas"]}, ValueError, "unknown library 'blas'"),
        (("matmul",), {"dtype": "int8"}, ValueError, "float32, float64"),
        (("matmul",), {"shapes": [(2, 3), (4, 5)]}, ValueError, "do not fit"),
        (("matmul",), {"shapes": [(3,), (3,)]}, ValueError, "two dimensions or more"),
        (("matmul",), {"threads": 4096}, ValueError, "this process may use"),
    ],
)
def test_bad_arguments_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        bench(*arguments, **options)


def test_setup_gives_every_contender_fresh_arguments_in_every_launch():
    made = []

    def setup():
        made.append([])
        return made[-1]

    result = bench(
        lambda values: values.append(1), name="a", against={"b": len}, setup=setup, launches=3, **SHORT
    )
    assert len(made) == 6
    assert all(made[0::2])
    assert not any(made[1::2])
    assert len(result.launches) == 3
    assert any("All launches ran in this process" in note for note in result.notes)


def test_a_call_longer_than_the_budget_is_one_honest_sample(monkeypatch):
    calls = []
    clock = [0.0]

    def slow():
        calls.append(1)
        clock[0] += 100.0

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(plans, "empty_call_seconds", lambda: 1e-8)
    result = bench(slow, budget_seconds=10.0)
    assert len(calls) == 1
    assert result.samples("slow") == [(100.0,)]
    assert (result.seconds.estimate, result.seconds.low, result.seconds.high) == (100.0, 0.0, math.inf)
    assert "the first call is the only sample" in " ".join(str(result).split())
    assert "unknown" in str(result)
    assert json.dumps(result.to_dict(), allow_nan=False)


def test_of_long_calls_as_many_are_taken_as_the_budget_holds(monkeypatch):
    clock = [0.0]

    def slow():
        clock[0] += 1.0

    def quick():
        clock[0] += 0.5

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(plans, "empty_call_seconds", lambda: 1e-8)
    result = bench(slow, against=[quick], budget_seconds=7.0)
    assert clock[0] <= 7.0
    assert result.samples("slow") == [(1.0,) * 3]
    assert result.samples("quick") == [(0.5,) * 3]
    assert result.ratio("quick").estimate == pytest.approx(0.5)
    assert "Only 3 blocks" in str(result)


def test_a_function_that_does_nothing_is_said_to_cost_nothing():
    result = bench(lambda: None, name="nothing", **SHORT)
    assert "nothing takes little longer than an empty call" in " ".join(str(result).split())


def test_ctrl_c_keeps_what_was_measured():
    calls = []

    def interrupted():
        calls.append(1)
        if len(calls) > 40:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        bench(interrupted, blocks=50)
    assert caught.value.result is not None
    assert any("INCOMPLETE" in note for note in caught.value.result.notes)
    with pytest.raises(Interrupted) as caught:
        bench(spin, 3, against={"stops": lambda turns: (_ for _ in ()).throw(KeyboardInterrupt)})
    assert caught.value.result is None


def test_thread_counts_give_a_series(tmp_path):
    series = bench(spin, 50, threads=[1, 2], against={"less": lambda turns: spin(9)}, **SHORT)
    assert isinstance(series, BenchSeries)
    assert [result.threads for result in series] == [1, 2]
    assert len(series) == 2
    assert "threads that spin after a call" in " ".join(str(series[1]).split())
    values = json.loads(series.save(tmp_path / "series.json").read_text(encoding="utf-8"))
    assert values["kind"] == "bench-results"
    assert [BenchResult.from_dict(entry) for entry in values["results"]] == list(series)


def test_an_operation_is_measured_and_verified_in_processes_of_its_own():
    result = bench("matmul", shapes=8, against=["numpy"], blocks=1, budget_seconds=0.2, launches=2)
    assert result.contenders == ("tensorops", "numpy")
    assert result.case.name == "8x8x8 float32"
    assert len(result.launches) == 2
    assert result.errors == {}
    assert result.machine["versions"]["numpy"] == np.__version__
    assert "tensorops 8x8x8 float32, 1 thread" in str(result)


def test_import_loads_nothing_and_the_names_are_there():
    script = (
        "import sys, profiling\n"
        "assert 'numpy' not in sys.modules and 'profiling.benchmark' not in sys.modules\n"
        "assert {'bench', 'count_allocations'} <= set(dir(profiling))\n"
        "profiling.bench, profiling.count_allocations\n"
        "assert not {'torch', 'matplotlib', 'jinja2', 'line_profiler', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=profiling.__path__[0] + "/..")
    with pytest.raises(AttributeError, match="no attribute 'bench_all'"):
        _ = profiling.bench_all
