"""The verb ``bench``: what it measures, says and refuses."""

import json

import pytest

from profiling.__main__ import main
from profiling.cases import Group, square_case
from profiling.commands import bench
from profiling.measure.launches import Collected, Interrupted
from profiling.measure.run import Launch, Measurement, Run
from profiling.measure.timer import Schedule

CASES = (square_case(8, "float32"), square_case(16, "float32"), square_case(8, "float64"))
GROUPS = {"small": Group("small", "small squares", 1.0, 0.9, CASES, CASES[:2])}

DESCRIBED = bench.machine.describe() | {"cores": 2, "forced": {}}


@pytest.fixture(autouse=True)
def small_bench(monkeypatch):
    monkeypatch.setattr(bench, "BENCHES", {"matmul": GROUPS})
    short = Schedule(sample_seconds=1e-5, blocks=1)
    monkeypatch.setattr(bench, "QUICK", short)
    monkeypatch.setattr(bench, "FULL", short)
    for name in bench.machine.FORCING:
        monkeypatch.delenv(name, raising=False)


def made_up(times, errors=()):
    """Return a stand-in for the measuring that gives each case the same times."""

    def measure(jobs, threads, launches, on_case):
        launch = Launch.of({name: [seconds] * 24 for name, seconds in times.items()}, dict.fromkeys(times, 1))
        measurements = [Measurement(job.case, threads, (launch,) * launches, dict(errors)) for job in jobs]
        return Collected(measurements, dict.fromkeys(times, "1.0"), {job.case.name: 4096 for job in jobs})

    return measure


def test_a_quick_bench_measures_verifies_and_keeps_the_samples(tmp_path, capsys):
    path = tmp_path / "bench.json"
    arguments = ["matmul", "--quick", "--against", "numpy", "--threads", "1", "--json", str(path)]
    assert main(["bench", *arguments]) == 0
    text = capsys.readouterr().out
    assert "8x8x8 float32" in text
    assert "geometric mean" in text
    assert "not for publication" in text
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["schema"], data["kind"], data["published"]) == (bench.SCHEMA, "bench", False)
    run = Run.from_dict(data["run"])
    assert [measurement.case for measurement in run.measurements] == list(CASES[:2])
    assert all(len(m.samples("numpy")[0]) == 4 for m in run.measurements)
    assert set(data["summary"][0]["cases"]) == {"8x8x8 float32", "16x16x16 float32"}


def test_the_best_rival_counts_and_the_worst_case_comes_first(monkeypatch, capsys):
    monkeypatch.setattr(bench, "measure_launches", made_up({"tensorops": 2e-6, "numpy": 3e-6, "torch": 1e-6}))
    monkeypatch.setattr(type(bench.LIBRARIES["torch"]), "unavailable", lambda self: None)
    assert main(["bench", "matmul", "--quick", "--threads", "1", "--against", "numpy", "torch"]) == 0
    text = capsys.readouterr().out
    assert "0.50 to 0.50  below 0.9" in text
    assert "geometric mean 0.500 [0.500, 0.500], worst 0.50; to reach: mean 1, worst 0.9" in text


def test_a_wrong_result_is_shown_and_fails(monkeypatch, capsys):
    stand_in = made_up({"tensorops": 1e-6, "numpy": 1e-6}, {"tensorops": "wrong result in 1 of 8 rows"})
    monkeypatch.setattr(bench, "measure_launches", stand_in)
    assert main(["bench", "matmul", "--quick", "--threads", "1", "--against", "numpy"]) == 1
    assert "tensorops: wrong result in 1 of 8 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "published"),
    [([], True), (["--check"], False), (["--launches", "1"], False), (["--quick"], False)],
)
def test_only_full_runs_are_for_publication(monkeypatch, tmp_path, options, published, capsys):
    monkeypatch.setattr(bench, "measure_launches", made_up({"tensorops": 1e-6, "numpy": 1e-6}))
    path = tmp_path / "bench.json"
    assert (
        main(["bench", "matmul", "--threads", "1", "--against", "numpy", "--json", str(path), *options]) == 0
    )
    assert json.loads(path.read_text(encoding="utf-8"))["published"] == published


@pytest.mark.parametrize("name", ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"])
def test_forced_kernels_are_refused_for_figures_and_told_in_checks(monkeypatch, capsys, name):
    monkeypatch.setattr(bench, "measure_launches", made_up({"tensorops": 1e-6, "numpy": 1e-6}))
    monkeypatch.setenv(name, "Haswell")
    assert main(["bench", "matmul", "--threads", "1", "--against", "numpy"]) == 2
    assert f"{name}=Haswell forces a rival's kernels" in capsys.readouterr().err
    assert main(["bench", "matmul", "--threads", "1", "--against", "numpy", "--check"]) == 0
    assert f"FORCED KERNELS: {name}=Haswell" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softmax"], "unknown target 'softmax'; known: matmul, MODULE:FUNCTION"),
        (["matmul", "--groups", "huge"], "unknown group 'huge'; known:"),
        (["matmul", "--threads", "0"], "whole number from 1"),
        (["matmul", "--launches", "x"], "whole number from 1"),
        (["matmul", "--dtype", "int8"], "known: float32, float64"),
    ],
)
def test_usage_errors_end_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_more_threads_than_cores_are_refused(capsys):
    assert main(["bench", "matmul", "--threads", "1000", "--quick"]) == 2
    assert "this process may use" in capsys.readouterr().err


def test_a_rival_that_is_not_installed_is_told(monkeypatch, capsys):
    monkeypatch.setattr(type(bench.LIBRARIES["torch"]), "unavailable", lambda self: "torch is not installed")
    assert main(["bench", "matmul", "--quick", "--threads", "1", "--against", "torch"]) == 2
    assert "torch is not installed" in capsys.readouterr().err


def test_rate_and_work_memory_of_large_products_are_compared(monkeypatch, capsys):
    cases = (square_case(8, "float32"), square_case(16, "float32"))
    groups = {"large": Group("large", "16 beside 8", 0.0, 0.0, cases, cases)}
    monkeypatch.setattr(bench, "BENCHES", {"matmul": groups})
    monkeypatch.setattr(bench, "measure_launches", made_up({"tensorops": 1e-6, "numpy": 1e-6}))
    assert main(["bench", "matmul", "--quick", "--threads", "1", "--against", "numpy"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "16x16x16 float32 runs at 8.000 of the rate of 8x8x8 float32; work memory 4 KiB" in text


def test_sizes_and_shapes_choose_the_cases(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "measure_launches", made_up({"tensorops": 1e-6, "numpy": 1e-6}))
    path = tmp_path / "bench.json"
    chosen = ["--size", "8,16", "--shapes", "2x3,3x4", "--dtype", "float32"]
    arguments = ["matmul", "--threads", "1", "--against", "numpy", *chosen, "--json", str(path)]
    assert main(["bench", *arguments]) == 0
    data = json.loads(path.read_text(encoding="utf-8"))
    cases = [measurement.case.name for measurement in Run.from_dict(data["run"]).measurements]
    assert cases == ["8x8x8 float32", "16x16x16 float32", "2x3x4 float32"]
    assert not data["published"]
    assert "given: as asked for" in capsys.readouterr().out


@pytest.mark.parametrize("lists", [["--threads", "1,2", "--against", "numpy,torch"], ["--threads", "1", "2"]])
def test_lists_take_commas_and_spaces(monkeypatch, lists, capsys):
    measured = []
    stand_in = made_up({"tensorops": 1e-6, "numpy": 1e-6})

    def measure(jobs, threads, launches, on_case):
        measured.append((threads, jobs[0].contenders))
        return stand_in(jobs, threads, launches, on_case)

    monkeypatch.setattr(bench, "measure_launches", measure)
    monkeypatch.setattr(bench.machine, "describe", lambda: DESCRIBED)
    monkeypatch.setattr(type(bench.LIBRARIES["torch"]), "unavailable", lambda self: None)
    monkeypatch.setattr(type(bench.LIBRARIES["jax"]), "unavailable", lambda self: "jax is not installed")
    assert main(["bench", "matmul", "--quick", *lists]) == 0
    assert [count for count, _ in measured] == [1, 2]
    assert measured[0][1] == ("tensorops", "numpy", "torch")


def test_ctrl_c_delivers_the_finished_cases(monkeypatch, tmp_path, capsys):
    stand_in = made_up({"tensorops": 1e-6, "numpy": 1e-6})

    def measure(jobs, threads, launches, on_case):
        raise Interrupted(stand_in(jobs[:1], threads, launches, on_case))

    monkeypatch.setattr(bench, "measure_launches", measure)
    path = tmp_path / "bench.json"
    arguments = ["matmul", "--threads", "1", "--against", "numpy", "--json", str(path)]
    assert main(["bench", *arguments]) == 130
    assert "INCOMPLETE: interrupted after 1 of 3 cases" in capsys.readouterr().out
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["interrupted"]
    assert not data["published"]
    assert len(Run.from_dict(data["run"]).measurements) == 1


def test_ctrl_c_before_the_first_case_leaves_nothing(monkeypatch, tmp_path, capsys):
    def measure(jobs, threads, launches, on_case):
        raise Interrupted(Collected())

    monkeypatch.setattr(bench, "measure_launches", measure)
    path = tmp_path / "bench.json"
    assert main(["bench", "matmul", "--threads", "1", "--against", "numpy", "--json", str(path)]) == 130
    assert not path.exists()


def test_the_samples_can_be_looked_at(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "measure_launches", made_up({"tensorops": 1e-6, "numpy": 2e-6}))
    arguments = ["bench", "matmul", "--quick", "--threads", "1", "--against", "numpy"]
    assert main(arguments) == 0
    short = capsys.readouterr().out
    assert "Outliers among 96 samples: tensorops 0, numpy 0. None is dropped." in short
    assert "Figure: Samples" in short
    assert main([*arguments, "--samples"]) == 0
    assert "0 of 24" in capsys.readouterr().out
