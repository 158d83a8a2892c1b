"""The verb as people type it."""

from __future__ import annotations

import json

import pytest

from profiling.__main__ import main
from profiling.commands import compete
from profiling.competition import pack
from profiling.competition.store import Store

SLOW_RIGHT = """
import numpy as np
def kernel(x, out):
    for row, result in zip(x, out):
        powers = np.exp(row - row.max())
        result[:] = powers / powers.sum()
"""


def run(*words):
    return main(["compete", *map(str, words)])


def told(tmp_path, *words):
    path = tmp_path / "told.json"
    code = run(*words, "--json", path)
    return code, json.loads(path.read_text())


def test_every_part_has_help_and_a_json_option(capsys):
    for part in compete.PARTS:
        with pytest.raises(SystemExit) as ended:
            run(part.name, "--help")
        assert ended.value.code == 0
        assert "--json" in capsys.readouterr().out


def test_a_student_starts_checks_and_submits(home, tmp_path, walls, capsys):
    assert run("start", "softmax", "--into", tmp_path) == 0
    assert (tmp_path / "softmax.pyx").is_file()
    assert run("start", "softmax", "--into", tmp_path) == 2
    code, data = told(tmp_path, "check", tmp_path / "softmax.py", "--only")
    assert (code, data["verdict"]) == (0, "OK")
    code, data = told(tmp_path, "submit", tmp_path / "softmax.py", "--as", "ann")
    assert (code, data["submission"]) == (0, 1)
    code, data = told(tmp_path, "result", 1)
    assert data["state"] == "waiting (number 1 in the queue)"
    assert told(tmp_path, "work", "--once", "--quick")[1]["judged"] == 1
    code, data = told(tmp_path, "result", 1)
    assert data["state"] in ("OK", "UNSTABLE")
    assert data["runs"][0]["seed_hash"] and "seed" not in data["runs"][0]
    code, data = told(tmp_path, "replay", 1)
    assert code == 0 and data["same"] and data["seed_holds"]
    code, data = told(tmp_path, "board", "softmax")
    assert code == 0 and len(data["boards"]) == (data["boards"] != [])


def test_a_wrong_kernel_is_an_exit_code(home, tmp_path, walls):
    path = tmp_path / "softmax_zero.py"
    path.write_text("def kernel(x, out): out[:] = 0\n")
    code, data = told(tmp_path, "check", path)
    assert (code, data["verdict"]) == (1, "WRONG_ANSWER")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "missing.py"), "No such file"),
        (("problem", "sofmax"), "unknown problem"),
        (("board", "sofmax"), "did you mean softmax"),
        (("result", "7"), "there is no submission 7"),
        (("replay", "7"), "there is no submission 7"),
        (("vs", "7", "8"), "there is no submission 7"),
    ],
)
def test_what_does_not_exist(home, words, message, capsys):
    assert run(*words) in (1, 2)
    assert message in capsys.readouterr().err


def test_files_that_cannot_be_entered(home, tmp_path, capsys):
    for name, text, message in (
        ("k.py", "def kernel(x, out): pass", "which problem"),
        ("softmax.c", "int x;", ".py or .pyx"),
        ("softmax.py", "", "empty"),
    ):
        (tmp_path / name).write_text(text)
        assert run("submit", tmp_path / name) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "softmax.py").write_text("def kernel(x, out): pass")
    assert run("submit", tmp_path / "softmax.py", "--as", "../up") == 2
    with Store(home) as store:
        assert store.one("SELECT count(*) AS n FROM submission")["n"] == 0


def test_a_comment_names_the_problem(home, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("# problem: softmax\ndef kernel(x, out): pass\n")
    assert told(tmp_path, "submit", path, "--as", "ann")[1]["problem"] == "softmax"


def test_the_packs_are_listed(home, tmp_path):
    _, data = told(tmp_path, "list")
    assert [found["name"] for found in data["problems"]] == pack.names()
    for name in pack.names():
        assert told(tmp_path, "problem", name)[1]["call"].startswith("kernel(")


def test_two_files_against_each_other(home, tmp_path, walls, monkeypatch):
    from profiling.competition import judge

    monkeypatch.setattr(judge, "RANKED", judge.QUICK)
    slow = tmp_path / "softmax_slow.py"
    slow.write_text(SLOW_RIGHT)
    fast = tmp_path / "softmax_fast.py"
    fast.write_bytes(pack.load("softmax").file("baseline.py").read_bytes())
    code, data = told(tmp_path, "vs", fast, slow)
    assert code == 0
    assert data["conclusion"]
