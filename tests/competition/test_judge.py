"""The judge on honest and on wrong submissions."""

from __future__ import annotations

import os
import signal
import subprocess

import numpy as np
import pytest

from profiling.competition import judge, sandbox, verdict, warden
from profiling.competition.judge import CHECK_ONLY, Plan, refusal
from profiling.competition.score import score

SHORT = Plan(launches=1, blocks=1, repeats=1)


def judged(pack, text, suffix=".py", plan=CHECK_ONLY, **more):
    return judge.judge(pack, text.encode(), suffix, plan=plan, **more)


RIGHT = """
import numpy as np
def kernel(x, out):
    np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
"""


def test_a_right_kernel_is_timed(softmax, walls):
    phases = []
    found = judged(softmax, RIGHT, plan=SHORT, on_phase=phases.append)
    assert found.verdict.name == verdict.OK, found.verdict
    assert phases == ["load", "check", "time", "score"]
    assert {sample.case for sample in found.samples} == {band.name for band in softmax.problem.timed}
    assert all(len(sample.ours) == len(sample.theirs) == 4 for sample in found.samples)
    assert score(found.samples, [band.name for band in softmax.problem.timed]).total.estimate > 0
    assert set(found.worst) == {band.name for band in (*softmax.problem.timed, *softmax.problem.checked)}


def test_a_cython_kernel_is_compiled_and_checked(softmax, walls):
    found = judge.judge(softmax, softmax.file("starter.pyx").read_bytes(), ".pyx", plan=CHECK_ONLY)
    assert found.verdict.name == verdict.OK, found.verdict
    assert "-O3" in found.versions["flags"]


def test_all_processors(softmax, walls):
    found = judged(softmax, RIGHT, track="all", plan=SHORT)
    assert found.verdict.name == verdict.OK, found.verdict


@pytest.mark.parametrize(
    ("text", "name", "phase", "told"),
    [
        ("import nonsense_module", verdict.LOAD_ERROR, "load", "nonsense_module"),
        ("x = (", verdict.LOAD_ERROR, "load", "SyntaxError"),
        ("x = 1", verdict.LOAD_ERROR, "load", "no function named kernel"),
        ("def kernel(x): pass", verdict.RUNTIME_ERROR, "check", "positional argument"),
        ("def kernel(x, out): raise ValueError('no')", verdict.RUNTIME_ERROR, "check", "ValueError: no"),
        ("def kernel(x, out): pass", verdict.WRONG_ANSWER, "check", "not finite"),
        ("def kernel(x, out): x[:] = 0; out[:] = 1", verdict.WRONG_ANSWER, "check", "operand 1"),
        (
            "import numpy as np\ndef kernel(x, out): return bytearray(1 << 34)",
            verdict.MEMORY_LIMIT,
            "check",
            "MemoryError",
        ),
        ("def kernel(x, out): open('/etc/passwd')", verdict.FORBIDDEN, "check", "PermissionError"),
        (
            "import os\ndef kernel(x, out): os._exit(0)",
            verdict.CRASH,
            "check",
            "exit code 0",
        ),
        (
            "import faulthandler\ndef kernel(x, out): faulthandler._sigsegv()",
            verdict.CRASH,
            "check",
            "SIGSEGV",
        ),
        ("def kernel(x, out): print('x' * 100000)", verdict.OUTPUT_LIMIT, "check", "printed"),
    ],
)
def test_each_fault_has_its_verdict(softmax, walls, text, name, phase, told):
    found = judged(softmax, text).verdict
    assert (found.name, found.phase) == (name, phase), found
    assert told in found.reason
    assert found.hint


def test_a_wrong_answer_names_the_case_and_the_error(softmax, walls):
    found = judged(softmax, RIGHT + "    out += 1e-4\n").verdict
    assert found.name == verdict.WRONG_ANSWER
    assert "rows" in found.case
    assert found.error > found.tolerance > 0


def test_a_traceback_shows_the_line_of_the_submission_and_none_of_the_box(softmax, walls):
    found = judged(softmax, "def kernel(x, out):\n    return 1 / 0\n").verdict
    assert "return 1 / 0" in found.stderr
    assert "inside" not in found.stderr


def test_the_same_seed_gives_the_same_cases(softmax, walls):
    first, second = (judged(softmax, RIGHT, plan=SHORT, seed="ab" * 32) for _ in range(2))
    assert [sample.sizes for sample in first.samples] == [sample.sizes for sample in second.samples]
    assert first.worst == second.worst
    assert [s.sizes for s in judged(softmax, RIGHT, plan=SHORT).samples] != [s.sizes for s in first.samples]


def test_a_failing_baseline_is_the_judges_fault(softmax, walls):
    found = judged(softmax, RIGHT, plan=SHORT, rival=(b"def kernel(x, out): raise ValueError", ".py"))
    assert found.verdict.name == verdict.JUDGE_ERROR


def test_a_broken_oracle_is_the_judges_fault(softmax, walls, monkeypatch):
    def broken(*operands):
        raise ZeroDivisionError

    monkeypatch.setattr(type(softmax.problem), "error", broken)
    found = judged(softmax, RIGHT)
    assert found.verdict.name == verdict.JUDGE_ERROR
    assert "ZeroDivisionError" in found.verdict.reason


@pytest.mark.parametrize(
    ("code", "suffix", "told"),
    [
        (b"x", ".c", ".py or .pyx"),
        (b"  \n", ".py", "empty"),
        (b"#" * 300_000, ".py", "at most 256000"),
        (b"\xff\xfe", ".py", "UTF-8"),
        (b"a\0b", ".pyx", "null"),
    ],
)
def test_files_that_are_no_submissions(code, suffix, told):
    assert told in refusal(code, suffix)


def test_the_judge_keeps_its_own_processors(softmax, walls):
    before = os.sched_getaffinity(0)
    judged(softmax, RIGHT)
    assert os.sched_getaffinity(0) == before


def test_errors_are_relative_to_the_row(softmax):
    expected = np.array([[0.5, 0.5], [1e-9, 1.0]])
    out = expected.astype(np.float32)
    assert softmax.problem.error(out, expected) < 1e-6
    out[1, 0] = 0
    assert softmax.problem.error(out, expected) < 2e-6
    out[0, 0] = np.nan
    assert softmax.problem.error(out, expected) == np.inf


def test_hot_lines_are_found_in_a_box(softmax, walls, tmp_path):
    from profiling.competition import advice

    path = tmp_path / "kernel.py"
    path.write_text(RIGHT)
    lines = advice.hot_lines(softmax, path, walls)
    assert {line.line for line in lines} == {4, 5, 6}
    assert lines[0].seconds >= lines[-1].seconds > 0
    path.write_text("def kernel(x, out): raise ValueError\n")
    assert advice.hot_lines(softmax, path, walls) == []


@pytest.mark.parametrize(
    ("limit", "share", "told"),
    [("compute", 0.1, "wider vectors"), ("L2", 0.1, "fewer passes"), ("L2", 0.9, "little is left")],
)
def test_the_next_gain_follows_from_the_roof(limit, share, told):
    from profiling.competition import advice
    from profiling.model.roofline import Place

    placed = [advice.Placed("wide", Place(1.0, "L2", limit, 10.0, 10.0 * share))]
    assert told in advice.next_gain([], placed)[0]


def test_without_cython_only_python_is_judged(softmax, walls, monkeypatch):
    from profiling.competition import compiler, machine_class, validate

    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    found = judge.judge(softmax, softmax.file("starter.pyx").read_bytes(), ".pyx", plan=CHECK_ONLY)
    assert (found.verdict.name, found.verdict.phase) == (verdict.JUDGE_ERROR, "compile")
    assert "tensorops[compete]" in found.verdict.reason
    assert machine_class.describe()["cython"] == "none"
    validate.validate(softmax, right=("starter.pyx",))


def test_what_must_stay_closed_is_left_out_of_what_is_open(tmp_path):
    for name in ("lib/python/site/numpy", "lib/python/json", "lib/c", "share"):
        (tmp_path / name).mkdir(parents=True)
    closed = [tmp_path / "lib" / "python" / "site"]
    parts = [tmp_path / name for name in ("lib/c", "lib/python/json", "share")]
    assert sandbox.without(tmp_path, closed) == [str(part) for part in parts]
    assert sandbox.without(tmp_path / "share", closed) == [str(tmp_path / "share")]
    assert sandbox.without(closed[0] / "numpy", closed) == []
    assert sandbox.without(tmp_path / "missing", closed) == []


def test_a_judging_has_an_end_however_long_each_call_may_take(softmax, walls):
    plan = Plan(launches=0, call_seconds=10.0, total_seconds=1.0)
    found = judged(softmax, RIGHT + "    import time; time.sleep(0.2)\n", plan=plan)
    assert found.verdict.name == verdict.TIMEOUT
    assert "together" in found.verdict.reason


def test_a_very_large_gain_is_reviewed(softmax, walls, monkeypatch):
    monkeypatch.setattr(judge, "DOUBTFUL", 0.0)
    phases = []
    found = judged(softmax, RIGHT, plan=SHORT, on_phase=phases.append)
    assert found.verdict.name == verdict.OK
    assert found.reviewed
    assert phases == ["load", "check", "time", "load", "check", "score"]


def test_more_pairs_of_processes_are_started_while_too_little_is_known(softmax, walls):
    counts = []

    def enough(samples):
        counts.append(len({sample.launch for sample in samples}))
        return len(counts) == 2

    judged(softmax, RIGHT, plan=Plan(launches=1, extra=5, blocks=1, repeats=1), enough=enough)
    assert counts == [1, 2]


def test_who_is_deaf_to_the_limit_of_processor_time_is_named_all_the_same(softmax, walls, monkeypatch):
    real = judge.Limits
    monkeypatch.setattr(judge, "Limits", lambda **more: real(**more | {"processor_seconds": 1}))
    text = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\ndef kernel(x, out):\n"
    assert judged(softmax, f"{text}    while True: pass\n").verdict.name == verdict.CPU_LIMIT


def test_a_process_that_does_not_stand_still_is_ended(monkeypatch):
    monkeypatch.setattr(warden, "STOP_SECONDS", 0.05)
    process = subprocess.Popen(["sleep", "60"])
    guard = warden.Warden(process.pid)
    guard.expect_stop()
    assert process.wait(20) == -signal.SIGKILL
    guard.dismiss()
    assert "stand still" in guard.reason


def test_namespaces_are_a_part_of_the_name_of_the_walls(walls):
    assert sandbox.Sandbox(sandbox.NATIVE + sandbox.NAMESPACES).namespaces
    assert not sandbox.Sandbox(sandbox.NATIVE).namespaces
    assert walls.name.startswith(sandbox.NATIVE)
