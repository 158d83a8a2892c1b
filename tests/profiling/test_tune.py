"""The adaptive tune with times that are made up: where it looks, when it ends, what it keeps."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import profiling
from profiling.__main__ import main
from profiling.cases import Case, flops, product_case, square_case
from profiling.commands._tune_sections import tune_document
from profiling.measure import tune as tune_module
from profiling.measure import tuning_gain, tuning_score, tuning_space, tuning_timer
from profiling.measure.paths import entry_of
from profiling.measure.tune import tune, tune_cases
from profiling.measure.tuning_timer import PathTimer, Timed
from profiling.measure.worker import WorkerError
from profiling.targets import profile_paths, unknown_elsewhere
from tensorops.backends import ComputeBackend, register_backend, unregister_backend
from tensorops.dispatch import schema, selection
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.operations import OPERATIONS


def result(seconds, width=0.01):
    return PathResult(seconds, seconds * (1 - width), seconds * (1 + width), n=4)


class FakeTimer:
    """Knows the time of every path by a formula; small products cross over to packed ones at a size."""

    def __init__(self, clock, crossover=1e5, threads=(1,), fail_at=None):
        self.clock, self.crossover, self.threads, self.fail_at = clock, crossover, threads, fail_at
        self.cases = []
        self.left = False

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.left = True

    def measure(self, case):
        if self.fail_at is not None and len(self.cases) >= self.fail_at:
            raise KeyboardInterrupt
        self.cases.append(case)
        self.clock.now += 0.1
        m, k, n, count = tuning_space.sizes_of(case)
        work = m * k * n * count
        small, packed = 1e-7 + 1e-10 * work, 1e-7 + 1e-10 * (self.crossover + 0.1 * work)
        paths = {
            "blocked/small": result(small),
            "blocked/packed": result(packed),
            "numpy": result(4 * (small + packed)),
        }
        return Timed(
            case,
            tuple(
                Entry(case.op, case.dtype, case.shapes, case.layout, case.params, False, count, paths)
                for count in self.threads
            ),
        )


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_points_fill_the_cube_evenly():
    points = list(itertools.islice(tuning_space.unit_points(), 256))
    for axis in range(6):
        counts = [sum(int(point[axis] * 8) == cell for point in points) for cell in range(8)]
        assert min(counts) > 20, (axis, counts)


@pytest.mark.parametrize("op", OPERATIONS)
def test_problems_are_calls_of_the_operation_and_spread_over_all_sizes(op):
    cases = list(itertools.islice(tuning_space.problems(op, "float32"), 200))
    assert all(tuning_space.footprint(case) <= tuning_space.LARGEST_BYTES for case in cases)
    work = [max(1, flops(case)) for case in cases]
    # Classes without a range of their own stay near the registry's examples.
    ranged = OPERATIONS[op].cost_class in ("product", "elementwise", "rows")
    assert max(work) / min(work) > (1e5 if ranged else 30)
    assert len(set(cases)) > 150
    for case in cases[:20] if ranged else ():
        again = tuning_space.case_of(op, "float32", tuning_space.sizes_of(case), case.layout)
        assert tuning_space.sizes_of(again) == tuning_space.sizes_of(case)


def test_other_seeds_give_other_problems():
    first, second = (
        set(itertools.islice(tuning_space.problems("matmul", "float64", seed=seed), 100))
        for seed in (0.5, 0.123)
    )
    assert len(first & second) < 10


def test_a_close_decision_is_worth_more_than_a_clear_one_and_a_far_one_more_than_a_near_one():
    assert tuning_score.expected_loss([1.0, 1.02], 0.1) > tuning_score.expected_loss([1.0, 1.5], 0.1)
    assert tuning_score.expected_loss([1.0, 1.5], 0.5) > tuning_score.expected_loss([1.0, 1.5], 0.1)
    assert tuning_score.expected_loss([1.0], 0.3) == 0.3


def test_nothing_measured_is_chosen_again():
    cases = [square_case(n, "float32") for n in (8, 16, 64, 256)]
    chosen = tuning_score.choose_next(cases, cases[:2], lambda case: [{"a": 1e-5, "b": 1e-5}], 4)
    assert set(chosen) == set(cases[2:])


def test_the_middle_between_two_winners_is_halved_and_between_equal_ones_is_not():
    winners = {square_case(n, "float32"): ["small" if n < 30 else "numpy"] for n in (8, 16, 64, 128)}
    halved = tuning_score.crossovers(winners)
    assert [case.shapes[0][0] for case in halved] == [32]


def test_the_next_problems_are_those_near_the_crossover(clock):
    timer = FakeTimer(clock)

    def predict(case):
        return [{path: found.seconds for path, found in timer.measure(case).entries[0].paths.items()}]

    cases = list(itertools.islice(tuning_space.problems("matmul", "float32"), 400))
    chosen = tuning_score.choose_next(cases[100:], cases[:100], predict, 20)

    def near(cases):
        """Return the share of cases within a factor of four of the crossover."""
        work = [OPERATIONS["matmul"].flops(case.shapes) / 2 for case in cases]
        return sum(0.25 < one * 0.9 / 1e5 < 4 for one in work) / len(work)

    assert near(chosen) > 3 * near(cases[100:])


def test_a_tune_begins_with_the_spread_and_goes_on_with_what_it_chooses(clock):
    timer = FakeTimer(clock)
    tune(["matmul"], budget=5.0, dtypes=["float32"], measurer=timer, clock=clock)
    spread = list(itertools.islice(tuning_space.problems("matmul", "float32"), tune_module.FIRST_POINTS))
    assert timer.cases[: len(spread)] == spread
    assert len(set(timer.cases)) == len(timer.cases) > 40


def test_a_tune_keeps_to_its_budget_and_ends_its_processes(clock):
    timer = FakeTimer(clock)
    tuned = tune(["matmul"], budget=2.0, measurer=timer, clock=clock)
    assert 2.0 <= tuned.seconds < 2.2
    assert timer.left and not tuned.interrupted
    assert {entry.dtype for entry in tuned.entries} == {"float32", "float64"}


def test_a_tune_fits_into_the_profile(clock, monkeypatch):
    monkeypatch.setattr(tune_module, "MOST_BYTES", 20_000)
    tuned = tune(["matmul"], budget=1e6, measurer=FakeTimer(clock), clock=clock)
    size = sum(len(schema.encode_entry(entry)) for entry in tuned.entries)
    assert 15_000 < size < 25_000


def test_an_interrupted_tune_keeps_what_is_done(clock):
    timer = FakeTimer(clock, fail_at=7)
    tuned = tune(["matmul"], budget=100.0, measurer=timer, clock=clock)
    assert tuned.interrupted and len(tuned.entries) == 7 and timer.left
    assert tune_cases(
        [square_case(8, "float32")], budget=1.0, measurer=FakeTimer(clock, fail_at=0)
    ).interrupted


class EndsLater(FakeTimer):
    """Ends as if a backend had ended its measuring process."""

    def measure(self, case):
        if len(self.cases) == self.fail_at:
            raise WorkerError("the process of path:mine ended with exit code -11")
        fails, self.fail_at = self.fail_at, None
        try:
            return super().measure(case)
        finally:
            self.fail_at = fails


def test_what_is_done_before_a_process_fails_is_kept_and_the_failure_told(clock):
    tuned = tune(["matmul"], budget=100.0, measurer=EndsLater(clock, fail_at=3), clock=clock)
    assert len(tuned.entries) == 3 and "exit code -11" in tuned.errors["after these"]
    cases = [square_case(n, "float32") for n in (8, 16, 32, 64)]
    tuned = tune_cases(cases, budget=100.0, measurer=EndsLater(clock, fail_at=3), clock=clock)
    assert len(tuned.entries) == 3 and "exit code -11" in tuned.errors["after these"]
    for fails in (tune, lambda ops, **more: tune_cases(cases, **more)):
        with pytest.raises(WorkerError):
            fails(["matmul"], budget=100.0, measurer=EndsLater(clock, fail_at=0), clock=clock)


class Chatty(ComputeBackend):
    """A backend that no other process knows."""

    name = "chatty"

    def supports(self, call):
        return None if call.op == "matmul" else f"it has no {call.op}"

    def run(self, op, arrays, out, *, variant=None, **params):
        raise AssertionError("never measured")


@pytest.fixture
def chatty():
    register_backend(Chatty())
    yield
    unregister_backend("chatty")


def test_a_backend_of_this_process_alone_is_left_out_with_its_reason(chatty, clock, cache_dir):
    case = square_case(64, "float32")
    assert "chatty" not in profile_paths(case, 1)
    assert "chatty" not in tuning_timer.tuned_paths(case, 1)
    assert "entry point" in unknown_elsewhere(case, 1)["chatty"]
    timed = tune_cases([case], budget=1.0, clock=clock)
    assert not timed.errors and {"numpy", "blocked/packed"} <= set(timed.entries[0].paths)
    assert list(timed.left_out) == ["chatty"]
    tuned = tune(["matmul"], budget=1.0, measurer=FakeTimer(clock), clock=clock)
    report = profiling.tuning.TuneReport(tuned, (), (), 1.0, None)
    assert "chatty: backend 'chatty' was registered in this process only" in str(report)
    document = tune_document(report, None, None, exit_code=0)
    assert any("chatty: not measured" in str(block) for part in document.sections for block in part.blocks)
    assert "registered in this process" in document.data["left_out"]["chatty"]


def test_given_cases_are_measured_in_their_order_once_each(clock):
    cases = [square_case(n, "float32") for n in (64, 8, 64, 16)]
    timer = FakeTimer(clock)
    tune_cases(cases, budget=10.0, measurer=timer, clock=clock)
    assert timer.cases == [cases[0], cases[1], cases[3]]
    timer = FakeTimer(clock)
    tune_cases(cases, budget=0.15, measurer=timer, clock=clock)
    assert timer.cases == cases[:2]


class FakeContender:
    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, seconds, log

    def sample(self, loops):
        self.log.append(self.name)
        return next(self.seconds) if hasattr(self.seconds, "__next__") else self.seconds


def test_a_clear_decision_takes_one_block_and_a_close_one_more():
    log = []
    keys = [("a", 1), ("b", 1), ("c", 1)]
    noise = itertools.cycle([1.0e-3, 1.2e-3, 0.9e-3, 1.1e-3, 1.3e-3])
    seconds = {"a": 1e-3, "b": noise, "c": 5e-3}
    contenders = {(name, 1): FakeContender(name, took, log) for name, took in seconds.items()}
    blocks = tuning_timer.take(contenders, [keys], 100.0)
    assert len(blocks["c", 1]) == 1 and len(blocks["a", 1]) == len(blocks["b", 1]) > 2
    clear = tuning_timer.take(
        {key: contenders[key] for key in (keys[0], keys[2])}, [[keys[0], keys[2]]], 100.0
    )
    assert {len(taken) for taken in clear.values()} == {1}


def test_a_drift_of_the_machine_does_not_widen_what_is_compared():
    drift = [1.0, 1.5, 0.7, 2.0]
    samples = {("a", 1): [[one] for one in drift], ("b", 1): [[1.1 * one] for one in drift]}
    found = tuning_timer.estimate(samples)
    assert found["a", 1][2] < found["b", 1][1]
    assert found["b", 1][0] / found["a", 1][0] == pytest.approx(1.1, rel=1e-3)


def test_intervals_hold_their_estimate_whatever_the_samples():
    for values in ([[1.0]], [[1.0], [30.0]], [[1e-9], [1.0], [1e3]]):
        seconds, low, high = tuning_timer.estimate({("a", 1): values})["a", 1]
        PathResult(seconds, low, high)


def test_a_wrong_path_is_left_out_and_named(monkeypatch):
    real = tuning_timer.Worker.open

    def opened(self, case, seed, names, **options):
        return real(self, case, seed, names, **options) | (
            {"path:numpy": "wrong"} if "path:numpy" in names else {}
        )

    monkeypatch.setattr(tuning_timer.Worker, "open", opened)
    with PathTimer([1]) as timer:
        timed = timer.measure(square_case(8, "float32"), 0.0)
    assert "numpy" not in timed.entries[0].paths and timed.errors == {"numpy": "wrong"}


def test_real_paths_are_measured_at_one_and_two_threads():
    with PathTimer([1, 2]) as timer:
        timed = timer.measure(product_case(133, 147, 129, "float64", "FC"), 0.0)
        again = timer.measure(square_case(4, "float32"), 0.0)
    assert not timed.errors
    assert [entry.threads for entry in timed.entries] == [1, 2]
    # Nobody uses two threads for so little.
    assert [entry.threads for entry in again.entries] == [1]
    for entry in timed.entries:
        assert {"blocked/small", "blocked/packed", "numpy"} <= set(entry.paths)
        assert all(found.allocations == 0 == found.bytes for found in entry.paths.values())
    assert timed.entries[0].paths["blocked/small"] == timed.entries[1].paths["blocked/small"]
    assert "naive" in again.entries[0].paths


def test_changes_tell_both_paths_and_what_they_took(cache_dir):
    case = square_case(64, "float32")
    paths = {"blocked/packed": result(2e-5), "numpy": result(1e-5), "blocked/small": result(4e-5)}
    entry = Entry(case.op, case.dtype, case.shapes, case.layout, paths=paths)
    after = Profile(schema.fingerprint(), (entry,))
    (change,) = tuning_gain.changes([entry], None, after)
    assert (change.before, change.after, change.ratio) == ("blocked/packed", "numpy", 2.0)
    assert tuning_gain.mean_gain([entry], None, after) == pytest.approx(2.0)
    assert tuning_gain.changes([entry], after, after) == []
    timed = Timed(case, (Entry(case.op, case.dtype, case.shapes, paths={**paths, "numpy": result(3e-5)}),))
    (again,) = tuning_gain.confirmed([change], lambda case: timed)
    assert again.ratio == pytest.approx(2 / 3)


def quick(*arguments):
    return main(["tune", "--budget", "1.5s", "--threads", "1", "--dtype", "float32", *arguments])


def test_the_verb_writes_a_profile_that_the_dispatcher_reads(cache_dir, tmp_path, capsys):
    assert quick("--json", str(tmp_path / "tune.json")) == 0
    data = json.loads((tmp_path / "tune.json").read_text())
    assert data["problems"] > 0 and data["profile"] == str(schema.profile_path())
    profile = selection.current_profile()
    assert len(profile.entries) == data["problems"]
    assert all(found.hotspot for found in profile.entries[0].paths.values()) or not profile.entries[0].paths
    assert data["profile"] in capsys.readouterr().out


def test_the_verb_stores_nothing_if_asked_to(cache_dir, capsys):
    assert quick("--no-save") == 0
    assert not schema.profile_path().exists() and selection.current_profile() is None
    assert "Not written, as asked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ops", "matmull"], "did you mean matmul"),
        (["--budget", "soon"], "such as 30s or 2m"),
        (["--budget", "0s"], "such as 30s or 2m"),
        (["--threads", "0"], "numbers of threads"),
        (["--threads", "4000"], "this process may use"),
        (["--dtype", "int8"], "unknown dtype"),
        (["--record"], "one script, or -m"),
        (["--record", __file__, "--ops", "matmul"], "not for --record"),
        (["-m", "x"], "are for --record"),
        (["--", "x"], "are for --record"),
        (["--record", "no_such_file.py"], "no_such_file"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message, capsys):
    try:
        code = main(["tune", *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_no_profile_is_wanted(monkeypatch, capsys):
    monkeypatch.setenv("TENSOROPS_PROFILE", "none")
    assert main(["tune"]) == 2
    assert "--no-save" in capsys.readouterr().err
    with pytest.raises(ValueError, match="save=False"):
        profiling.autotune(0.0)


def test_a_profile_that_cannot_be_written_is_told_and_nothing_else_is_lost(
    cache_dir, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TENSOROPS_CACHE_DIR", str(tmp_path / "file" / "below"))
    # A folder that cannot be is no profile, which is nothing to warn of.
    assert selection.reload_profile() is None
    assert quick() == 1
    out = capsys.readouterr().out
    assert "NOT WRITTEN" in out and "problems in" in out


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_stores_what_is_done(tmp_path):
    environment = os.environ | {"TENSOROPS_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "profiling", "tune", "--budget", "60s", "--threads", "1"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        process.wait(timeout=7)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted: " in out
    (stored,) = (tmp_path / "profiles").glob("*.json")
    assert json.loads(stored.read_text())["entries"]


@pytest.mark.parametrize("wrong", [{"ops": ["exq"]}, {"dtypes": []}, {"threads": [0]}, {"seconds": -1.0}])
def test_autotune_refuses_what_makes_no_sense(wrong):
    with pytest.raises(ValueError, match=r"expected|unknown"):
        profiling.autotune(**wrong)


def test_autotune_reports_and_stores(cache_dir):
    report = profiling.autotune(1.5, threads=[1], dtypes=["float32"])
    assert report.path == schema.profile_path() and report.path.exists()
    assert "problems measured" in str(report) and str(report.path) in str(report)


def test_a_case_of_any_layout_has_operands_of_that_layout():
    from tensorops.backends.base import layout_letter

    case = Case("matmul", "float32", ((5, 7), (7, 3)), "SF")
    operands = case.operands()
    assert [layout_letter(array) for array in operands] == ["S", "F"]
    assert [array.shape for array in operands] == [(5, 7), (7, 3)]
    assert Case.from_dict(case.to_dict()) == case


SCRIPT = """
import sys
import numpy as np
import tensorops
x = np.ones((64, 30), np.float32)
w = np.ones((30, 20), np.float32)
for _ in range(int(sys.argv[1])):
    y = tensorops.matmul(x, w)
tensorops.matmul(x.T, y)
tensorops.matmul(np.ones((2, 2), int), np.ones((2, 2), int))
sys.exit(int(sys.argv[2]))
"""


def test_what_a_program_calls_is_noted_with_layout_and_count():
    import numpy as np

    import tensorops
    from profiling.collect.operations import count_operations

    x = np.ones((5, 7))
    with profiling.record() as recording, count_operations() as counter:
        for _ in range(3):
            tensorops.matmul(x, x.T)
        tensorops.matmul(x[:, ::2], np.ones(4))
        tensorops.matmul(np.ones((2, 2), int), np.ones((2, 2), int))
        tensorops.matmul(np.ones((0, 2)), np.ones((2, 2)))
    tensorops.matmul(x, x.T)
    found = {(entry.case.shapes, entry.case.layout): entry.calls for entry in recording.calls()}
    assert found == {(((5, 7), (7, 5)), "CF"): 3, (((5, 4), (4,)), "SC"): 1}
    assert counter.calls >= 6
    again = [type(entry).from_dict(json.loads(json.dumps(entry.to_dict()))) for entry in recording.calls()]
    assert again == recording.calls()


def test_a_call_that_fails_is_not_noted():
    import numpy as np

    import tensorops

    with profiling.record() as recording, pytest.raises(ValueError, match="match"):
        tensorops.matmul(np.ones((2, 3)), np.ones((2, 3)))
    assert recording.calls() == []


def test_every_recorded_shape_can_be_measured():
    case = Case("matmul", "float64", ((5, 4), (4,)), "SC")
    with PathTimer([1]) as timer:
        timed = timer.measure(case, 0.0)
        stack = timer.measure(Case("matmul", "float32", ((3, 5, 4), (4, 6)), "CF"), 0.0)
    assert not timed.errors and not stack.errors
    assert timed.entries[0].shapes == ((5, 4), (4,)) and timed.entries[0].layout == "SC"


@pytest.mark.parametrize("code", [0, 3])
def test_a_script_is_recorded_and_its_calls_are_tuned(cache_dir, tmp_path, code, capsys):
    script, found = tmp_path / "train.py", tmp_path / "tune.json"
    script.write_text(SCRIPT)
    arguments = [
        "tune",
        "--record",
        str(script),
        "--budget",
        "20s",
        "--json",
        str(found),
        "--",
        "50",
        str(code),
    ]
    assert main(arguments) == int(bool(code))
    data = json.loads(found.read_text())
    assert [entry["calls"] for entry in data["calls"]] == [50, 1]
    shapes = {json.dumps(one["case"]["shapes"]) for one in data["calls"]}
    assert {json.dumps([list(shape) for shape in one.shapes]) for one in schema.load().entries} == shapes
    assert data["script_exit_code"] == code
    out = capsys.readouterr().out
    assert "64x30x20 float32" in out and ("FAILED" in out) == bool(code)


def test_a_program_that_calls_nothing_is_told(cache_dir, tmp_path, capsys):
    script = tmp_path / "empty.py"
    script.write_text("pass")
    assert main(["tune", "--record", str(script)]) == 0
    assert "called no operation" in capsys.readouterr().out
    assert not schema.profile_path().exists()


def test_what_a_tune_saves_is_calls_times_seconds():
    from profiling.collect.recording import RecordedCall
    from profiling.measure.tune import Tuned
    from profiling.tuning import TuneReport

    case, other = square_case(64, "float32"), square_case(32, "float32")
    change = tuning_gain.Change(case, 1, "numpy", "blocked/packed", 3e-5, 2e-5)
    again = tuning_gain.Change(case, 1, "numpy", "blocked/packed", 4e-5, 2e-5)
    foreign = tuning_gain.Change(other, 1, "numpy", "blocked/packed", 3e-5, 2e-5)
    report = TuneReport(Tuned(), (change, foreign), (again,), 1.2, None, (RecordedCall(case, 1, 1000),))
    ((told, calls, seconds),) = report.savings()
    assert (told, calls) == (again, 1000) and seconds == pytest.approx(0.02)
    assert "saves 20.0 ms" in str(report)


def test_calls_that_differ_in_what_decides_nothing_are_saved_together():
    from profiling.collect.recording import RecordedCall
    from profiling.measure.tune import Tuned
    from profiling.tuning import TuneReport

    calls = [Case("leaky_relu", "float32", ((99,),), "C", "", (("slope", slope),)) for slope in (0.1, 0.2)]
    entry = Entry("leaky_relu", "float32", ((99,),), "C", paths={"numpy": result(1e-6)})
    case = tuning_gain.case_of_entry(entry)
    change = tuning_gain.Change(case, 1, "numpy", "blocked", 3e-5, 2e-5)
    # Two threads make no difference to so little: it is measured on one.
    recorded = tuple(RecordedCall(one, 2, 1000) for one in calls)
    ((_, count, seconds),) = TuneReport(Tuned([entry]), (change,), (), 1.2, None, recorded).savings()
    assert count == 2000 and seconds == pytest.approx(0.02)


def test_convolutions_of_other_strides_are_told_apart(cache_dir):
    import numpy as np

    import tensorops

    x, weight = np.ones((1, 2, 9, 9), np.float32), np.ones((3, 2, 3, 3), np.float32)
    with profiling.record() as recording:
        for stride in (1, 2, (2, 1)):
            tensorops.conv2d(x, weight, stride=stride, padding=(1, 1) if stride == 2 else 1)
    calls = recording.calls()
    assert len(calls) == 3
    again = [type(entry).from_dict(json.loads(json.dumps(entry.to_dict()))) for entry in calls]
    assert again == calls
    entries = [entry_of(one.case, 1, {"numpy": result(1e-5)}) for one in calls]
    schema.save(Profile(schema.fingerprint(), tuple(entries)))
    stored = schema.load()
    assert {one.key for one in stored.entries} == {one.key for one in entries} and len(stored.entries) == 3
    sizes = {tuning_space.sizes_of(tuning_gain.case_of_entry(one)) for one in stored.entries}
    assert sizes == {(3, 18, 81, 1), (3, 18, 25, 1), (3, 18, 45, 1)}


def test_threads_that_the_script_does_not_use_are_told(cache_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TENSOROPS_NUM_THREADS", "1")
    script = tmp_path / "train.py"
    script.write_text("import numpy, tensorops\ntensorops.matmul(numpy.ones((9, 9)), numpy.ones((9, 9)))\n")
    if len(os.sched_getaffinity(0)) > 1:
        assert main(["tune", "--record", str(script), "--threads", "2"]) == 2
        assert "--threads 2: the script's calls may use 1" in capsys.readouterr().err


def test_the_digits_network_is_recorded_tuned_and_its_gain_told(cache_dir, tmp_path, capsys):
    pytest.importorskip("sklearn")
    script, found = Path(__file__).parents[2] / "benchmarks/digits.py", tmp_path / "tune.json"
    arguments = ["--record", str(script), "--budget", "20s", "--json", str(found), "--", "--epochs", "2"]
    assert main(["tune", *arguments]) == 0
    data = json.loads(found.read_text())
    assert {entry["calls"] for entry in data["calls"]} == {56} and len(data["calls"]) == 5
    assert (
        data["problems"]
        == 5
        == len({(one.shapes, one.layout) for one in selection.current_profile().entries})
    )
    assert all(saved["calls"] == 56 for saved in data["saves"])
    out = capsys.readouterr().out
    assert "64x64x128 float32" in out and "What changed" in out


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_has_problems_that_can_be_computed(op):
    for case in itertools.islice(tuning_space.problems(op, "float32"), 8):
        assert case.op == op
        assert flops(case) > 0
        if tuning_space.footprint(case) < 2**20:
            operands = case.operands()
            assert tuple(x.shape for x in operands) == case.shapes
