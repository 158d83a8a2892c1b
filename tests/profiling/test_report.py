"""The verb ``report``, from the command line to the profile that the dispatcher reads."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tensorops
from profiling.__main__ import main
from profiling.cases import Case, square_case
from profiling.collect import lines as lines_module
from profiling.collect import sampler
from profiling.collect.lines import why_untraceable
from profiling.collect.sampler import why_unavailable as why_not_sampled
from profiling.commands import _report_kernels, _report_operation, report
from profiling.measure import ladder, paths
from profiling.measure.launches import measure_launches
from profiling.measure.run import Launch, Measurement, Run
from profiling.measure.timer import Schedule
from profiling.targets import TARGETS, profile_paths
from tensorops.dispatch import schema, selection


def sources_of(folder):
    return (Path(tensorops.__file__).parent / folder).rglob("*.p[yx][xi]")


KERNEL_SOURCES = {
    path.name for folder in ("kernels", "boundary", "dispatch", "runtime") for path in sources_of(folder)
}
SHORT = Schedule(sample_seconds=1e-5, blocks=1)
MATMUL = TARGETS["matmul"]
TRACEABLE = why_untraceable() is None


@pytest.fixture
def short(monkeypatch, cache_dir):
    """Make the report's measurements as short as they can be, on small cases."""
    for module, name in ((ladder, "SLOW"), (paths, "SCHEDULE")):
        monkeypatch.setattr(module, name, SHORT)
    monkeypatch.setattr(_report_kernels, "SAMPLE_SECONDS", 0.02)
    monkeypatch.setattr(_report_operation.calibration, "sample", lambda: [0.04])
    monkeypatch.setattr(lines_module, "RUNS", 1)
    monkeypatch.delenv("TENSOROPS_PROFILE", raising=False)
    monkeypatch.setattr(report.machine, "measure_peak", lambda dtype: 100.0)
    small = replace(
        MATMUL,
        profile_cases=lambda dtype: (square_case(8, dtype), square_case(96, dtype)),
        sampled=(("blocked/small", 32), ("blocked/packed", 96)),
    )
    monkeypatch.setattr(report, "TARGETS", {"matmul": small})
    return cache_dir


def run_report(*options):
    return main(["report", "matmul", "--size", "16", "--no-advice", *options])


def test_the_report_from_end_to_end(short, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "report.json"
    assert run_report("--json", str(path)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    for title in (
        "1. Machine",
        "2. The ladder",
        "3. Lines of",
        "4. Allocations",
        "5. What the dis",
        "6. The profile",
    ):
        assert any(line.startswith(title) for line in lines)
    for rung in MATMUL.ladder:
        assert rung.title in captured.out
    profile = schema.profile_path()
    assert lines[-1].strip() == str(profile)

    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["schema"], data["kind"], data["profile"]) == (2, "report", str(profile))
    assert [step["rung"] for step in data["ladder"]] == [rung.title for rung in MATMUL.ladder]
    assert all(step["error"] is None for step in data["ladder"])
    run = Run.from_dict(data["run"])
    assert all(
        len(samples) == 4 for m in run.measurements for name in m.contenders for samples in m.samples(name)
    )
    assert data["step"]["count"] > 10
    assert data["target"]["kind"] == "operation"
    assert data["calibration"] == {"before": [0.04], "after": [0.04]}
    assert data["allocations"]["count"] == data["step"]["count"]
    assert "matmul" in [entry["name"] for entry in data["operations"]]
    kernels = {kernel["title"] for kernel in data["kernels"]}
    assert kernels == {"naive at 64", "blocked at 64", "blocked/small at 32", "blocked/packed at 96"}
    hits = {line["function"] for line in data["lines"] if line["hits"]}
    if why_untraceable():
        assert hits == set()
        assert any(why_untraceable() in note for note in data["notes"])
    else:
        assert hits == {"naive (naive at 64)", "blocked (blocked at 64)"}


def test_the_dispatcher_uses_what_the_report_wrote(short, capsys):
    assert selection.current_profile() is None
    assert run_report() == 0
    profile = schema.load()
    assert selection.current_profile() == profile
    assert {entry.shapes for entry in profile.entries} == {((8, 8), (8, 8)), ((96, 96), (96, 96))}
    small, large = (next(e for e in profile.entries if e.shapes[0][0] == n) for n in (8, 96))
    assert set(small.paths) == {"naive", "numpy", "blocked/small", "blocked/packed"}
    assert set(large.paths) == {"numpy", "blocked/small", "blocked/packed"}
    assert all(result.n == 4 and result.allocations == 0 for result in small.paths.values())
    if why_not_sampled() is None:
        for path, sources in (
            ("naive", {"ladder.pyx"}),
            ("blocked/small", KERNEL_SOURCES),
            ("blocked/packed", KERNEL_SOURCES),
        ):
            for entry in (small, large) if path != "naive" else (small,):
                assert entry.paths[path].hotspot.partition(":")[0] in sources
    explained = tensorops.explain("matmul", (8, 8), (8, 8), threads=1)
    assert explained.choice.entry is not None
    assert "measured" in capsys.readouterr().out


def test_no_save_leaves_everything_as_it_was(short, capsys):
    assert run_report("--no-save") == 0
    assert not schema.profile_path().exists()
    text = capsys.readouterr().out
    assert text.splitlines()[-1].strip() == "Not written, as asked."
    assert "these choices do not rest on the times above" in " ".join(text.split())


def test_a_profile_that_cannot_be_written_is_told_and_fails(short, monkeypatch, capsys):
    def full(profile):
        raise OSError(28, "No space left on device", "/somewhere/profile.json")

    monkeypatch.setattr(_report_operation.schema, "save", full)
    assert run_report() == 1
    last = capsys.readouterr().out.splitlines()[-1].strip()
    assert last == "NOT WRITTEN: No space left on device: /somewhere/profile.json"


def test_a_python_that_cannot_trace_says_so(short, monkeypatch, capsys):
    reason = why_untraceable((3, 12))
    monkeypatch.setattr(_report_operation, "why_untraceable", lambda: reason)
    assert run_report("--no-save") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Hits were not counted: {reason}." in text
    if why_not_sampled() is None:
        assert "naive at 64: a call takes" in text


def test_missing_twins_are_told(short, monkeypatch, capsys):
    def missing(target):
        raise ImportError("No module named 'tensorops._traced.ladder'")

    monkeypatch.setattr(_report_operation, "why_untraceable", lambda: None)
    monkeypatch.setattr(_report_operation, "traced_functions", missing)
    assert run_report("--no-save") == 0
    assert "Hits were not counted: No module named 'tensorops._traced.ladder'." in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.skipif(not TRACEABLE, reason=str(why_untraceable()))
def test_without_samples_the_old_rule_holds_and_is_told(short, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sampler, "why_unavailable", lambda: "this is not Linux")
    path = tmp_path / "report.json"
    assert run_report("--json", str(path)) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "ladder.pyx:61 is the innermost line; no times: this is not Linux." in text
    data = json.loads(path.read_text(encoding="utf-8"))
    assert {line["seconds"] for line in data["lines"]} == {None}
    assert "blocked/packed at 96: this is not Linux." in data["notes"]
    profile = schema.load()
    hotspots = {name: found.hotspot for entry in profile.entries for name, found in entry.paths.items()}
    assert hotspots["naive"] == "ladder.pyx:61"
    assert hotspots["blocked/packed"] is None


def test_a_wrong_rung_is_shown_and_fails(short, monkeypatch, capsys):
    def measure(*arguments, **options):
        collected = measure_launches(*arguments, **options)
        first, *rest = collected.measurements
        wrong = {"ladder:blocked": "wrong result in 3 of 256 elements"}
        collected.measurements = [replace(first, errors=wrong), *rest]
        return collected

    monkeypatch.setattr(_report_operation, "measure_launches", measure)
    assert run_report("--no-save") == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "blocked: WRONG, wrong result in 3 of 256 elements." in text
    assert "Verified:" not in text


def test_a_path_with_a_wrong_result_never_enters_the_profile():
    launch = Launch.of(
        {"path:numpy": [1e-6] * 4, "path:naive": [1e-9] * 4}, {"path:numpy": 1, "path:naive": 1}
    )
    measurement = Measurement(square_case(4, "float32"), 1, (launch,), {"path:naive": "wrong"})
    (entry,) = paths.path_entries([measurement], {"numpy": "somewhere.pyx:1"})
    assert set(entry.paths) == {"numpy"}
    assert entry.paths["numpy"].hotspot == "somewhere.pyx:1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "3"], "expected 16 to 8192"),
        (["--size", "100000"], "expected 16 to 8192"),
        (["--threads", "1000"], "this process may use"),
        (["--shapes", "4x5,4x5"], "do not fit"),
        (["--shapes", "4by5"], "expected something like 64x784,784x128"),
        (["--shapes", "4x5"], "two operands"),
        (["--shapes", "0x5,5x3"], "0 FLOPs"),
        (["--shapes", "4x5,5x4", "--size", "64"], "exclude each other"),
        (["--lines"], "--lines: not for an operation"),
        (["--args", "x"], "--args: not for an operation"),
        (["--", "x"], "takes no arguments after --"),
    ],
)
def test_values_out_of_range_end_with_2(options, message, capsys):
    assert main(["report", "matmul", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmul", "--size", "big"], "invalid int value"),
        (["matmul", "--threads", "0"], "whole number from 1"),
        (["matmul", "--dtype", "int8"], "known: float32, float64"),
        (["matmul", "--json", "/no/such/folder/file"], "does not exist"),
        (["matmul", "--json", "/"], "is a folder"),
    ],
)
def test_usage_errors_end_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["report", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_shim_is_the_verb(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "no-such-target"])
    monkeypatch.delitem(sys.modules, "profiling.report", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("profiling.report", run_name="__main__")
    assert ended.value.code == 2
    assert "unknown target 'no-such-target': no operation of that name" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "sizes"), [(64, [64]), (512, [128, 512]), (2048, [128, 1024, 2048])])
def test_slow_rungs_are_measured_smaller(size, sizes):
    jobs = ladder.ladder_jobs(MATMUL, square_case(size, "float32"))
    assert [job.case.shapes[0][0] for job in jobs] == sizes
    assert sorted(name for job in jobs for name in job.contenders) == sorted(
        r.contender for r in MATMUL.ladder
    )
    assert [job.oracle for job in jobs] == [n <= 640 for n in sizes]


def test_extrapolated_times_and_speedups():
    seconds = {"path:python": 1.0, "ladder:naive": 0.1, "ladder:reordered": 0.05, "ladder:blocked": 0.02}
    seconds |= {"path:blocked/packed": 0.01, "numpy": 0.02}
    measured = []
    case = square_case(2048, "float32")
    for job in ladder.ladder_jobs(MATMUL, case):
        launch = Launch.of({n: [seconds[n]] * 4 for n in job.contenders}, dict.fromkeys(job.contenders, 1))
        measured.append(Measurement(job.case, 1, (launch,)))
    steps = {step.rung.contender: step for step in ladder.ladder_steps(MATMUL, case, measured)}
    python, naive, optimised = (steps[n] for n in ("path:python", "ladder:naive", "path:blocked/packed"))
    assert python.extrapolated
    assert not optimised.extrapolated
    assert python.seconds.estimate == pytest.approx(16**3)
    assert naive.seconds.estimate == pytest.approx(0.8)
    assert naive.speedup.estimate == pytest.approx(1.0)
    assert python.speedup.estimate == pytest.approx(0.8 / 4096)
    assert optimised.speedup.estimate == pytest.approx(80.0)


def test_shapes_take_the_place_of_a_size(short, capsys):
    assert main(["report", "matmul", "--shapes", "6x5,5x7", "--no-save", "--no-advice"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("matmul: 6x5x7 float32, 1 thread")
    assert "2. The ladder, 6x5x7" in text


def test_a_batch_skips_the_rungs_for_two_matrices(short, capsys):
    assert main(["report", "matmul", "--shapes", "2x6x5,2x5x7", "--no-save", "--no-advice"]) == 0
    text = capsys.readouterr().out
    assert "Speed-up over Python loops" in text
    assert "  reordered" not in text


def test_large_shapes_are_clipped_for_slow_rungs():
    case = Case("matmul", "float32", ((64, 784), (784, 128)))
    jobs = ladder.ladder_jobs(MATMUL, case)
    assert [job.case.shapes for job in jobs] == [((64, 128), (128, 128)), case.shapes]


def test_plain_python_is_never_measured_as_a_path():
    for n in (2, 64, 512):
        found = profile_paths(square_case(n, "float64"), 1)
        assert "python" not in found
        assert ("naive" in found) == (n <= 64)
