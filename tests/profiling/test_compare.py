"""The verb ``compare``: what it tells, what it refuses, and how it ends."""

import json

import numpy as np
import pytest

from profiling.__main__ import main
from profiling.benchmark import BenchResult, BenchSeries
from profiling.cases import square_case
from profiling.commands.compare import threshold
from profiling.measure.run import Launch, Measurement, Run

MACHINE = {
    "cpu": "Example CPU",
    "cores": 2,
    "caches": {"L1d": 32768},
    "os": "Linux x86_64",
    "isa": "v3",
    "python": "3.11.7",
    "numpy": "2.4.6",
    "blas": [],
}
CALM = {"before": [0.004] * 10, "after": [0.004] * 10}
SOURCE = {
    1: "def train(x, w):",
    2: "    y = x @ w",
    3: "    z = np.tanh(y)",
    4: "    w = w - 0.1 * z",
    5: "    log.append(float(z.sum()))",
    6: "    return w",
}
SAMPLES = {2: 4000, 3: 2500, 4: 1200, 5: 300, 6: 4}


def line(number, source, samples, function="train", file="/home/me/train.py", **figures):
    return {
        "file": file,
        "function": function,
        "line": number,
        "source": source,
        "seconds": samples * 0.001,
        "samples": samples,
        "waiting_seconds": 0.0,
        "hits": 100,
        "allocations": 2,
        "bytes": 1600,
        "origin": "python",
    } | figures


def report(lines=None, **values):
    return {
        "schema": 2,
        "kind": "report",
        "target": {"kind": "script", "name": "train.py", "arguments": ["--epochs", "1"]},
        "machine": MACHINE,
        "lines": lines or [line(number, SOURCE[number], count) for number, count in SAMPLES.items()],
        "operations": [{"name": "matmul", "library": "numpy", "calls": 100, "flops": 10**6, "bytes": 10**5}],
        "allocations": {"count": 1000, "bytes": 800_000, "peak": 4000, "live": 0, "min_bytes": 64},
        "calibration": CALM,
        "sampling": {"interval": 0.001, "seconds": 8.0, "samples": 8004, "lost": 0},
        "notes": [],
    } | values


def result(seconds=1e-3, name="f", rival=None, speed=1.0, calibration=CALM, **values):
    rng = np.random.default_rng(len(name))
    noise = speed * (1 + 0.01 * rng.random(64))
    taken = {name: (seconds * noise).tolist()} | ({"numpy": (2e-3 * noise).tolist()} if rival else {})
    calibration = {when: tuple(speed * one for one in times) for when, times in calibration.items()}
    launches = (Launch.of(taken, dict.fromkeys(taken, 1)),)
    return BenchResult(name, launches, machine=MACHINE, calibration=calibration, **values)


def bench_file(factor=1.0, sizes=(64, 128), dtype="float32", threads=1, **values):
    launches = tuple(
        Launch.of({"tensorops": [1e-3 * factor] * 32, "numpy": [2e-3] * 32}, {"tensorops": 1, "numpy": 1})
        for _ in range(3)
    )
    measured = tuple(Measurement(square_case(n, dtype), threads, launches) for n in sizes)
    run = Run(MACHINE | {"versions": {"numpy": "2.4.6"}}, {}, measured).to_dict()
    return {"schema": 1, "kind": "bench", "target": "matmul", "calibration": CALM, "run": run} | values


@pytest.fixture
def compare(tmp_path, capsys):
    """Return a function that compares two objects: exit code, text in one line, data."""

    def run(before, after, *options):
        paths = [tmp_path / "before.json", tmp_path / "after.json"]
        for path, values in zip(paths, (before, after), strict=True):
            if isinstance(values, (BenchResult, BenchSeries)):
                values.save(path)
            elif values is not None:
                path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
        data = tmp_path / "comparison.json"
        code = main(["compare", *map(str, paths), "--json", str(data), *options])
        captured = capsys.readouterr()
        run.out = captured.out
        text = " ".join((captured.out + captured.err).split())
        return code, text, json.loads(data.read_text(encoding="utf-8")) if code != 2 else None

    return run


def verdicts(rows):
    return {row.get("source") or row["name"]: row["verdict"] for row in rows}


def test_equal_reports_are_silent(compare):
    code, text, data = compare(report(), report(), "--fail-above", "0%")
    assert code == 0
    # Four lines and all together; the fifth has four samples.
    assert "0 slower, 0 faster, 5 not to be told apart. All intervals" in text
    assert "1 lines have fewer than 8 samples in both reports: no verdict" in text
    assert "Hits, allocations and operations are equal" in text
    assert "Passed: nothing got significantly worse by more than 0 %" in text
    assert set(verdicts(data["lines"]).values()) == {"same", "unknown"}
    assert data["failures"] == []


def test_a_slow_line_is_found_though_it_moved(compare):
    slow = [line(number + 7, SOURCE[number], count) for number, count in SAMPLES.items()]
    slow[1] = line(10, SOURCE[3], 3000)
    code, text, data = compare(report(), report(slow), "--fail-above", "5%")
    assert code == 1
    assert verdicts(data["lines"])["z = np.tanh(y)"] == "slower"
    assert list(verdicts(data["lines"]).values()).count("slower") == 1
    assert {row["match"] for row in data["lines"]} == {"same"}
    assert "train.py:10 z = np.tanh(y) 2.50 s 3.00 s" in text
    assert "FAILED: worse by more than 5 %: train.py:10 z = np.tanh(y)" in text
    assert compare(report(), report(slow), "--fail-above", "25%")[0] == 0
    assert compare(report(), report(slow))[0] == 0


def test_a_slow_machine_is_divided_out(compare):
    slow = [line(number, SOURCE[number], round(1.3 * count)) for number, count in SAMPLES.items()]
    busy = {when: [1.3 * seconds for seconds in taken] for when, taken in CALM.items()}
    code, text, data = compare(report(), report(slow, calibration=busy), "--fail-above", "5%")
    assert code == 0
    assert "took 1.300 times as long around the second run" in text
    assert data["total"]["verdict"] == "same"
    code, _, data = compare(report(), report(slow), "--fail-above", "5%")
    assert code == 1
    assert data["failures"][0] == "all lines together"


def repeated(rng, factor=1.0, spread=0.03, runs=10, **values):
    """Return a report of several runs, each line with its own luck in each; line 3 takes `factor` as long."""
    lines = []
    for number, count in SAMPLES.items():
        seconds = (
            0.001 * count * (factor if number == 3 else 1.0) * np.exp(spread * rng.standard_normal(runs))
        )
        entry = line(number, SOURCE[number], count, seconds=float(seconds.mean()))
        lines.append(entry | {"samples": count * runs, "run_seconds": seconds.tolist()})
    sampling = {"interval": 0.001, "seconds": 8.0 * runs, "samples": 8004 * runs, "lost": 0}
    return report(lines, sampling=sampling | {"runs": runs, "calls": runs}, **values)


def test_runs_tell_a_slow_line_from_chance(compare, rng):
    for _ in range(20):
        before = repeated(rng)
        code, text, data = compare(before, repeated(rng), "--fail-above", "0%")
        assert (code, data["by_runs"]) == (0, True)
        code, text, data = compare(before, repeated(rng, 1.2), "--fail-above", "5%")
        assert code == 1
        # All lines together got slower as well, and may be named.
        assert "train.py:3 z = np.tanh(y)" in data["failures"]
        assert [row["source"] for row in data["lines"] if row["verdict"] == "slower"] == ["z = np.tanh(y)"]
    assert "Changes are those of the quieter half of 10 and 10 runs" in text


def test_what_cannot_be_told_is_said(compare, rng):
    _, text, data = compare(report(), report())
    assert not data["by_runs"]
    assert "The reports rest on 1 and 1 run, which cannot tell small changes from chance" in text
    assert "make both reports with --runs 20 (at least 4)" in text
    assert "rest on 10 and 1 runs" in compare(repeated(rng), report())[1]
    _, text, data = compare(repeated(rng, spread=0.1), repeated(rng, spread=0.1))
    assert set(verdicts(data["lines"]).values()) <= {"same", "unknown"}
    assert "To tell 20 % nearly always, make both reports with --runs" in text
    _, text, data = compare(repeated(rng, spread=0.8), repeated(rng, 1.2, spread=0.8))
    assert "The machine was too busy for less, however many runs" in text


def slower_throughout(values, factor):
    """Return a report of several runs in which every line took longer."""
    for entry in values["lines"]:
        entry["seconds"] *= factor
        entry["run_seconds"] = [factor * seconds for seconds in entry["run_seconds"]]
    return values


def test_only_a_large_change_of_the_machine_is_divided_out_of_runs(compare, rng):
    little, much = ({when: [by * one for one in taken] for when, taken in CALM.items()} for by in (1.08, 1.5))
    _, text, data = compare(repeated(rng), repeated(rng, calibration=little))
    assert data["total"]["ratio"][0] == pytest.approx(1.0, abs=0.03)
    assert "fixed work" not in text
    _, text, data = compare(repeated(rng), slower_throughout(repeated(rng, calibration=much), 1.5))
    assert data["total"]["ratio"][0] == pytest.approx(1.1, abs=0.03)
    assert "The fixed work took 1.500 times as long around the second report" in text
    # The fixed work ran on a busy core and the program did not, so nothing is divided out.
    _, text, data = compare(repeated(rng), repeated(rng, calibration=much))
    assert data["total"]["ratio"][0] == pytest.approx(1.0, abs=0.03)


def test_lines_of_other_numbers_of_runs_are_damage(compare, rng):
    damaged = repeated(rng)
    damaged["lines"][0]["run_seconds"].pop()
    code, text, _ = compare(damaged, repeated(rng))
    assert code == 2
    assert "is damaged: ValueError" in text


def test_counts_compare_exactly(compare):
    more = [line(number, SOURCE[number], count) for number, count in SAMPLES.items()]
    more[2]["allocations"], more[2]["hits"] = 3, 101
    changed = report(
        more,
        allocations={"count": 1100, "bytes": 800_000, "peak": 4000, "live": 0, "min_bytes": 64},
        operations=[{"name": "matmul", "library": "numpy", "calls": 120, "flops": 10**6, "bytes": 10**5}],
    )
    code, text, data = compare(report(), changed, "--fail-above", "5%")
    assert code == 1
    assert "train.py:4 w = w - 0.1 * z hits 100 101 +1" in text
    assert "train.py:4 w = w - 0.1 * z allocations 2 3 +1" in text
    assert "numpy.matmul calls 100 120 +20" in text
    assert data["failures"] == ["all allocations: count 1000 to 1100"]
    assert compare(report(), changed, "--fail-above", "10%")[0] == 0
    assert compare(changed, report(), "--fail-above", "5%")[0] == 0


def test_what_only_one_report_counted_is_no_difference(compare):
    bare = [line(number, SOURCE[number], count) for number, count in SAMPLES.items()]
    for entry in bare:
        entry["hits"] = None
    code, text, _ = compare(report(), report(bare, operations=[], allocations=None), "--fail-above", "0%")
    assert code == 0
    assert "hits" not in text.replace("Hits, allocations", "")


def test_operations_not_counted_to_the_end_are_not_compared(compare):
    fewer = [{"name": "matmul", "library": "numpy", "calls": 9, "flops": 10, "bytes": 10}]
    changed = report(operations=fewer, operations_complete=False)
    assert compare(report(), changed, "--fail-above", "0%")[0] == 0
    assert "matmul" not in compare(report(), changed)[1]
    assert "numpy.matmul calls 100 9" in compare(report(), report(operations=fewer))[1]


def test_new_and_gone_lines_are_listed(compare):
    other = [line(number, SOURCE[number], count) for number, count in SAMPLES.items() if number != 4]
    other.append(line(9, "    check(everything)", 900))
    _, text, data = compare(report(), report(other))
    assert "New lines: train.py:9 check(everything)." in text
    assert "Lines that are gone: train.py:4 w = w - 0.1 * z." in text
    kinds = {row["source"]: row["match"] for row in data["lines"]}
    assert (kinds["check(everything)"], kinds["w = w - 0.1 * z"]) == ("new", "gone")


def test_an_edited_line_is_compared_with_its_old_text(compare):
    edited = [line(number, SOURCE[number], count) for number, count in SAMPLES.items()]
    edited[1] = line(3, "    z = np.tanh(y.copy())", 3300)
    _, text, data = compare(report(), report(edited))
    assert verdicts(data["lines"])["z = np.tanh(y.copy())"] == "slower"
    assert "slower; edited" in text


def test_reports_without_times_still_compare_counts(compare):
    untimed = [line(number, SOURCE[number], 0) | {"seconds": None, "samples": None} for number in SAMPLES]
    code, text, data = compare(report(untimed), report(untimed), "--fail-above", "5%")
    assert code == 0
    assert "No times: at least one report has none of its lines" in text
    assert data["total"] is None


def test_a_benchmark_beside_a_rival_ignores_the_machine(compare):
    code, text, data = compare(result(rival=True), result(rival=True, speed=1.15), "--fail-above", "5%")
    assert code == 0
    assert data["timings"][0]["basis"] == "numpy in the same runs"
    assert data["timings"][0]["ratio"][0] == pytest.approx(1.0, rel=1e-6)
    assert "All 1 cannot be told apart" in text
    code, text, data = compare(
        result(rival=True), result(1.2e-3, rival=True, speed=1.15), "--fail-above", "5%"
    )
    assert code == 1
    assert verdicts(data["timings"]) == {"f": "slower"}
    assert "+20 %" in text


def test_a_benchmark_alone_leans_on_the_calibration(compare):
    assert compare(result(), result(speed=1.3), "--fail-above", "5%")[0] == 0
    code, _, data = compare(result(), result(1.2e-3, speed=1.05), "--fail-above", "5%")
    assert code == 1
    assert data["timings"][0]["basis"] == "the calibration stored with each file"
    _, text, data = compare(result(calibration={}), result(1.2e-3, calibration={}))
    assert verdicts(data["timings"]) == {"f": "same"}
    assert "A file has no calibration" in text


def test_a_rival_of_another_version_is_no_yardstick(compare):
    newer = bench_file(1.25)
    newer["run"]["machine"] = newer["run"]["machine"] | {"versions": {"numpy": "9.9"}}
    _, text, data = compare(bench_file(), newer)
    assert {row["basis"] for row in data["timings"]} == {"the calibration stored with each file"}
    assert "Software differs: versions numpy 2.4.6, then numpy 9.9" in text


def test_benchmarks_compare_case_by_case(compare):
    slow = bench_file()
    slow["run"]["measurements"][1] = bench_file(1.2)["run"]["measurements"][1]
    code, text, data = compare(bench_file(), slow, "--fail-above", "0.05")
    assert code == 1
    assert data["failures"] == ["matmul 128x128x128 float32, 1 thread"]
    assert "The other 1 cannot be told apart" in text
    code, text, data = compare(bench_file(), bench_file(sizes=(128, 256)), "--all")
    assert data["only_before"] == ["matmul 64x64x64 float32, 1 thread"]
    assert "Only in the second file: matmul 256x256x256 float32, 1 thread" in text


def test_runs_and_series_compare_too(compare):
    _, _, data = compare(bench_file()["run"], bench_file(1.2)["run"])
    assert set(verdicts(data["timings"]).values()) == {"slower"}
    series = [
        BenchSeries((result(factor, threads=1), result(factor, threads=2))) for factor in (1e-3, 1.3e-3)
    ]
    _, _, data = compare(*series)
    assert verdicts(data["timings"]) == {"f, 1 thread": "slower", "f, 2 threads": "slower"}


OTHER_MACHINE = MACHINE | {"cpu": "Another CPU"}
SCRIPT = {"kind": "script", "name": "train.py", "arguments": ["--epochs", "2"]}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (None, report(), "cannot read"),
        ("{not json", report(), "is damaged or no JSON"),
        ("[1, 2]", report(), "is no report, benchmark or run"),
        ({"kind": "profile"}, report(), "its kind is 'profile'"),
        (report(schema=3), report(), "was written by a newer version: update tensorops"),
        (report(schema=1), report(), "must be made anew"),
        ({"kind": "report", "schema": 2}, report(), "is damaged: KeyError"),
        (report(lines=[{"file": 3}]), report(), "is damaged"),
        (report(calibration={"before": [0.0]}), report(), "is damaged: ValueError"),
        (report(), bench_file(), "is a report and"),
        (
            report(),
            report(machine=OTHER_MACHINE),
            "the files come from different machines (cpu Example CPU and",
        ),
        (report(), report(target=SCRIPT), "the arguments differ:"),
        (report(), report(target=SCRIPT | {"name": "other.py"}), "the target differs: train.py in"),
        (bench_file(), bench_file(dtype="float64"), "have no case in common (sizes, dtypes or thread counts"),
        (bench_file(), bench_file(target="gelu"), "the target differs: matmul"),
        (result(), result(name="g"), "the target differs: f in"),
    ],
)
def test_what_cannot_be_compared_is_refused(compare, before, after, message):
    code, text, _ = compare(before, after)
    assert code == 2
    assert message in text


def test_other_machines_can_be_forced(compare):
    code, text, data = compare(report(), report(machine=OTHER_MACHINE), "--force")
    assert code == 0
    assert "DIFFERENT MACHINES" in text
    assert data["other_machine"] == ["cpu Example CPU and Another CPU"]


@pytest.mark.parametrize("text", ["5", "-1%", "nan", "five", "", "%"])
def test_a_threshold_must_be_a_share(text, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", "a", "b", f"--fail-above={text}"])
    assert ended.value.code == 2
    assert "such as 5% or 0.05" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("12.5 %", 0.125), ("150%", 1.5), ("0", 0)]
)
def test_thresholds(text, value):
    assert threshold(text) == pytest.approx(value)


@pytest.mark.parametrize("columns", [80, 100])
def test_the_page_holds(compare, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    slow = [line(number, SOURCE[number], count) for number, count in SAMPLES.items()]
    slow[1] = line(10, SOURCE[3] + "  # " + "words " * 30, 3300)
    compare(report(), report(slow), "--all")
    assert max(len(text) for text in compare.out.splitlines() if "before.json" not in text) <= columns
