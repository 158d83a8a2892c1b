"""``bench --suite``: what it measures, says, keeps and refuses."""

import json

import pytest

from profiling.__main__ import main
from profiling.cases import Case, Group, example_case, square_case
from profiling.commands import _suite, _suite_results, _suite_roofs
from profiling.commands._suite_roofs import SuiteRoof
from profiling.measure import launches
from profiling.measure.launches import Collected, Interrupted, Job, measure_launches
from profiling.measure.run import Launch, Measurement
from profiling.measure.timer import Schedule
from profiling.measure.worker import WorkerError
from profiling.model.roofline import Bandwidth

SMALL = (square_case(8, "float32"), square_case(16, "float64"))
ROWS = (example_case("softmax", "float32", ((4, 10),)), example_case("adam_step_", "float32", ((50,),) * 4))
SHORT = Schedule(sample_seconds=1e-5, blocks=2, min_blocks=2)
ARGUMENTS = ["bench", "--suite", "quick", "--threads", "1"]


def in_group(name, cases):
    cases = tuple(Case(one.op, one.dtype, one.shapes, one.layout, name, one.params) for one in cases)
    return Group(name, f"the {name}", 1.5, 0.9, cases, cases)


GROUPS = [in_group("squares", SMALL), in_group("others", ROWS)]


@pytest.fixture(autouse=True)
def small_suite(monkeypatch):
    bandwidths = {size: Bandwidth("L1", 1, size, {"read": 100.0}) for size in (1 << 13, 1 << 20)}

    def roofs(cases, threads):
        return {dtype: SuiteRoof(dtype, threads, 50.0, bandwidths) for dtype in ("float32", "float64")}

    monkeypatch.setattr(_suite, "measure_roofs", roofs)
    monkeypatch.setattr(_suite, "suite_groups", lambda suite, names: GROUPS)
    monkeypatch.setattr(_suite, "SCHEDULES", dict.fromkeys(_suite.SCHEDULES, SHORT))
    monkeypatch.setattr(_suite.machine, "forced", dict)


def made_up(times, errors=(), left_out=()):
    """Return a stand-in for the measuring: times by operation and contender."""

    def measure(jobs, threads, count, on_case):
        measurements = []
        for job in jobs:
            seconds = times.get(job.case.op, times["else"])
            launch = Launch.of({name: [one] * 8 for name, one in seconds.items()}, dict.fromkeys(seconds, 1))
            measurements.append(Measurement(job.case, threads, (launch,) * count, dict(errors)))
        return Collected(measurements, {"numpy": "2.0"}, {}, {jobs[0].case: dict(left_out)})

    return measure


def test_a_suite_measures_verifies_and_keeps_the_samples(tmp_path, capsys):
    file, page = tmp_path / "suite.json", tmp_path / "suite.html"
    assert main([*ARGUMENTS, "--against", "numpy", "--json", str(file), "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    data = json.loads(file.read_text(encoding="utf-8"))
    assert (data["schema"], data["kind"], data["suite"]) == (1, "suite", "quick")
    assert not data["published"]
    assert [(one["op"], one["group"], one["best_rival"]) for one in data["cases"]] == [
        ("matmul", "squares", "numpy"),
        ("matmul", "squares", "numpy"),
        ("softmax", "others", "numpy"),
        ("adam_step_", "others", "numpy"),
    ]
    assert all(one["seconds"][0] > 0 and one["errors"] == {} for one in data["cases"])
    assert [one["group"] for one in data["summary"]["groups"]] == ["squares", "others"]
    assert {one["op"] for one in data["summary"]["operations"]} == {"matmul", "softmax", "adam_step_"}
    assert len(data["run"]["measurements"][0]["launches"][0]["seconds"]["numpy"]) == 8
    read = _suite_results.read_cases(data)
    assert [one.to_dict() for one in read] == data["cases"]
    assert 'src="http' not in page.read_text(encoding="utf-8")


def test_the_best_rival_counts_and_the_worst_case_comes_first(monkeypatch, capsys):
    times = {
        "else": {"tensorops": 1e-6, "numpy": 4e-6, "torch": 2e-6},
        "softmax": {"tensorops": 2e-6, "numpy": 1e-6},
    }
    monkeypatch.setattr(_suite, "measure_launches", made_up(times))
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*ARGUMENTS, "--against", "numpy"]) == 0
    text = capsys.readouterr().out
    head, _, tail = text.partition("The worst cases")
    assert "squares        1      2  2.00" in head
    assert "others         1      2  1.00" in head
    rows = [line.split() for line in tail.splitlines()]
    assert rows[2][0] == "softmax"
    assert [row[0] for row in rows if row and row[0] in ("softmax", "adam_step_")][:2] == [
        "softmax",
        "adam_step_",
    ]
    assert "Below the 0.9 to reach: 1 of 2 cases." in tail


def test_a_wrong_result_fails_and_a_wrong_rival_is_told(monkeypatch, capsys):
    times = {"else": {"tensorops": 1e-6, "numpy": 2e-6}}
    told = {"torch": "wrong result in 1 of 8 rows"}
    monkeypatch.setattr(_suite, "measure_launches", made_up(times, left_out=told))
    assert main([*ARGUMENTS, "--against", "numpy"]) == 0
    assert "Left out: torch wrong result in 1 of 8 rows: matmul 8x8x8" in capsys.readouterr().out
    monkeypatch.setattr(
        _suite, "measure_launches", made_up(times, {"tensorops": "wrong result in 3 of 8 rows"})
    )
    assert main([*ARGUMENTS, "--against", "numpy"]) == 1
    assert "WRONG: adam_step_ 50 float32 step=10: wrong result in 3 of 8 rows." in capsys.readouterr().out


def test_a_case_that_raises_is_told_and_fails(monkeypatch, capsys):
    times = {"else": {"tensorops": 1e-6, "numpy": 2e-6}, "softmax": {"numpy": 1e-6}}
    monkeypatch.setattr(_suite, "measure_launches", made_up(times, {"tensorops": "TypeError: no"}))
    assert main([*ARGUMENTS, "--against", "numpy"]) == 1
    assert "FAILED: softmax 4x10 float32: TypeError: no." in capsys.readouterr().out
    all_of_it = made_up({"else": times["else"]})

    def some(jobs, *rest):
        return all_of_it(jobs[:3], *rest)

    monkeypatch.setattr(_suite, "measure_launches", some)
    assert main([*ARGUMENTS, "--against", "numpy"]) == 1
    assert "FAILED: 1 cases that nobody could compute." in capsys.readouterr().out


@pytest.mark.parametrize(("error", "code"), [(Interrupted, 130), (WorkerError, 1)])
def test_what_was_finished_is_kept(monkeypatch, tmp_path, error, code, capsys):
    stand_in = made_up({"else": {"tensorops": 1e-6, "numpy": 2e-6}})

    def measure(jobs, threads, count, on_case):
        stopped = error("the process ended")
        stopped.collected = stand_in(jobs[:1], threads, count, on_case)
        raise stopped

    monkeypatch.setattr(_suite, "measure_launches", measure)
    file = tmp_path / "suite.json"
    assert main([*ARGUMENTS, "--against", "numpy", "--json", str(file)]) == code
    assert "after 1 of 4 cases; these are finished" in capsys.readouterr().out
    data = json.loads(file.read_text(encoding="utf-8"))
    assert data["interrupted"]
    assert len(data["cases"]) == 1


def test_rivals_that_are_not_installed_are_named(monkeypatch, capsys):
    monkeypatch.setattr(_suite, "measure_launches", made_up({"else": {"tensorops": 1e-6, "numpy": 2e-6}}))
    for name, library in _suite.LIBRARIES.items():
        if name not in ("numpy", "tensorops"):
            reason = f"{name} is not installed"
            monkeypatch.setattr(type(library), "unavailable", lambda self, reason=reason: reason)
    assert main([*ARGUMENTS, "--against", "all"]) == 0
    text = capsys.readouterr().out
    assert all(f"Left out: {name} is not installed." in text for name in ("torch", "numba", "numexpr", "jax"))
    assert main([*ARGUMENTS, "--against", "torch"]) == 2
    assert "no rival to measure beside: torch is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench"], "give a TARGET to measure, or --suite"),
        (["bench", "matmul", "--suite", "quick"], "give a TARGET to measure, or --suite"),
        (["bench", "--suite", "quick", "--size", "8"], "--size: not with --suite"),
        (["bench", "--suite", "quick", "--against", "scipy"], "unknown rival 'scipy'; known: all, numpy"),
        (["bench", "--suite", "quick", "--threads", "1000"], "this process may use"),
        (["bench", "relu", "--groups", "square"], "relu has the groups elementwise"),
    ],
)
def test_usage_errors_end_with_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_group_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as ended:
        main([*ARGUMENTS, "--groups", "raws"])
    assert ended.value.code == 2
    assert "unknown group 'raws'; known: attention, batches, conv" in capsys.readouterr().err


class FakeWorker:
    """A worker whose contenders are wrong, slow or broken by their name."""

    SECONDS = {"tensorops": 1.0, "numpy": 1.0, "slow": 20.0, "wrong": 0.1, "broken": 0.1}  # noqa: RUF012

    def __init__(self, libraries, threads, *, frozen):
        self.libraries, self.versions = libraries, {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def open(self, case, seed, names, *, oracle, lenient):
        assert lenient
        said = {"wrong": "wrong result in 1 of 2 rows", "broken": "TypeError: no"}
        return {name: said[name] for name in names if name in said}

    def sample(self, name, loops):
        if name == "broken":
            raise WorkerError("KeyError: broken")
        return self.SECONDS[name]

    def workspace(self):
        return None


def test_wrong_broken_and_slow_rivals_are_not_timed(monkeypatch):
    monkeypatch.setattr(launches, "Worker", FakeWorker)
    names = ("tensorops", "numpy", "slow", "wrong", "broken")
    collected = measure_launches([Job(SMALL[0], names, SHORT, selective=True)], 1, 2)
    (measurement,) = collected.measurements
    assert measurement.contenders == ("tensorops", "numpy")
    assert collected.left_out[SMALL[0]] == {
        "wrong": "wrong result in 1 of 2 rows",
        "broken": "TypeError: no",
        "slow": "takes 20 times as long as numpy",
    }


def test_one_of_ours_that_raises_is_a_failure_and_one_that_is_wrong_is_timed(monkeypatch):
    monkeypatch.setattr(launches, "Worker", FakeWorker)
    jobs = [Job(SMALL[0], (first, "numpy"), SHORT, selective=True) for first in ("broken", "wrong")]
    broken, wrong = measure_launches(jobs, 1, 1).measurements
    assert (broken.contenders, broken.errors["broken"]) == (("numpy",), "TypeError: no")
    assert (wrong.contenders, list(wrong.errors)) == (("wrong", "numpy"), ["wrong"])


def test_a_roof_is_measured_at_each_footprint(monkeypatch):
    asked = []

    def measure(level, size, threads, estimate):
        asked.append((level, size))
        return Bandwidth(level, threads, size * threads, {"read": 1.0})

    monkeypatch.setattr(_suite_roofs, "measure_bandwidth", measure)
    monkeypatch.setattr(_suite_roofs, "measure_peak", lambda dtype, threads: 5.0)
    cases = [example_case("relu_", "float32", ((count,),)) for count in (10, 90_000, 100_000, 1 << 30)]
    roofs = _suite_roofs.measure_roofs(cases, 2)
    sizes = [size for _, size in asked]
    assert sizes[:2] == [4 << 10, 180 << 10]
    assert len(sizes) == 3
    assert asked[-1] == ("memory", sizes[-1])
    assert sizes[-1] <= 256 << 20
    assert list(roofs) == ["float32"]
    assert roofs["float32"].place(cases[1], 1e-3).roof == pytest.approx(1 / 8)
