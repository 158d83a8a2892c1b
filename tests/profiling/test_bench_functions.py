"""``bench module:function``: anybody's functions, from the command line."""

import json
import sys

import pytest

from profiling.__main__ import main
from profiling.benchmark import BenchResult
from profiling.measure import calibration

SOURCE = """
import numpy as np

def double(x, factor=2):
    return x * factor

def added(x, factor=2):
    return x + x

def wrong(x, factor=2):
    return x

def broken(x, factor=2):
    raise ZeroDivisionError("no")

def stopped(x, factor=2, calls=[]):
    calls.append(1)
    if len(calls) > 20:
        raise KeyboardInterrupt

def lazy(x, factor=2):
    yield x
"""
SETUP = ["--setup", "import numpy as np; x = np.ones(100)", "--args", "x, factor=2", "--budget", "0.3"]


@pytest.fixture(autouse=True)
def benched_module(tmp_path, monkeypatch):
    (tmp_path / "benched.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(calibration, "piece", lambda: 0.004)
    yield
    sys.modules.pop("benched", None)


def test_functions_are_benched_beside_each_other(tmp_path, capsys):
    path = tmp_path / "bench.json"
    rivals = ["--against", "benched:added,benched:wrong", "--verify"]
    assert main(["bench", "benched:double", *rivals, *SETUP, "--json", str(path)]) == 1
    text = capsys.readouterr().out
    assert "bench benched:double" in text
    assert "WRONG: benched:wrong differs from the first contender in 100 of 100 elements." in text
    result = BenchResult.from_dict(json.loads(path.read_text(encoding="utf-8")))
    assert result.contenders == ("benched:double", "benched:added", "benched:wrong")
    assert list(result.errors) == ["benched:wrong"]


def test_each_thread_count_has_its_section(capsys):
    assert main(["bench", "benched:double", *SETUP, "--threads", "1,2"]) == 0
    text = capsys.readouterr().out
    assert "benched:double, 1 thread\n" in text
    assert "benched:double, 2 threads\n" in text


def test_ctrl_c_delivers_what_there_is(tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert main(["bench", "benched:stopped", *SETUP, "--json", str(path)]) == 130
    assert "INCOMPLETE: interrupted while measuring." in capsys.readouterr().out
    assert BenchResult.from_dict(json.loads(path.read_text(encoding="utf-8"))).samples("benched:stopped")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["benched:doubl"], 2, "did you mean double"),
        (["absent_module:f"], 2, "no module named 'absent_module'"),
        (["benched:np"], 2, "not a function"),
        (["benched:lazy", *SETUP], 2, "only makes a generator"),
        (["benched:broken", *SETUP], 1, "ZeroDivisionError: no (raised by 'benched:broken' while"),
        (["benched:double"], 1, "missing 1 required positional argument: 'x'"),
        (["benched:double", "--args", "1 +"], 2, "--args '1 +' failed"),
        (["benched:double", "--against", "benched:double", *SETUP], 2, "cannot be its own rival"),
        (["benched:double", "--quick", "--size", "8"], 2, "--quick, --size: only for an operation"),
        (["matmul", "--setup", "x = 1", "--verify"], 2, "--setup, --verify: only for a function"),
        (["matmul", "--groups", "tiny", "--size", "8"], 2, "exclude each other"),
        (["matmul", "--shapes", "2x3,4x5"], 2, "--shapes: matmul: shapes (2, 3) and (4, 5) do not fit"),
        (["matmul", "--against", "blas"], 2, "unknown rival 'blas'; known: numpy, torch"),
        (["matmul", "--against", "numpi"], 2, "did you mean numpy"),
    ],
)
def test_failures_are_told(arguments, code, message, capsys):
    assert main(["bench", *arguments]) == code
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("shapes", ["64", "ax3,3x4", "0x3,3x4", ""])
def test_shapes_that_are_none_are_usage_errors(shapes, capsys):
    code = 2
    try:
        code = main(["bench", "matmul", f"--shapes={shapes}"])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert "shape" in capsys.readouterr().err
