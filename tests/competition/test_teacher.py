"""What who runs a competition does: serve, decide, doctor, export, new problems."""

from __future__ import annotations

import csv

import pytest

from profiling.competition import export, noise, pack, standings
from profiling.competition.noise import Noise
from profiling.competition.store import Store

from .test_compete import run, told
from .test_store import enter, judge_next


def test_a_class_is_served(tmp_path, walls):
    home = tmp_path / "class"
    for who, text in (
        ("ann", pack.load("softmax").file("baseline.py").read_text()),
        ("eve", "def kernel(x, out): out[...] = 0\n"),
    ):
        (home / "inbox" / who).mkdir(parents=True)
        (home / "inbox" / who / "softmax.py").write_text(text)
    code, data = told(tmp_path, "serve", home, "--once", "--quick")
    assert (code, data["judged"]) == (0, 2)
    with Store(home) as store:
        found = {row["verdict"] for row in store.all("SELECT verdict FROM run")}
    assert "WRONG_ANSWER" in found
    assert "WRONG_ANSWER" in (home / "site" / "index.html").read_text()


def test_decisions(home, tmp_path):
    with Store(home) as store:
        enter(store, "ann", b"a")
        judge_next(store, 2.0)
    for words, entries in (
        (("hide", "1"), 0),
        (("show", "1"), 1),
        (("hide", "ann", "--participant"), 0),
        (("show", "ann", "--participant"), 1),
        (("deadline", "softmax", "2020-01-01 10:00"), 0),
        (("deadline", "softmax", "none"), 1),
        (("source", "always"), 1),
    ):
        assert run("decide", *words) == 0
        with Store(home) as store:
            assert len(standings.keys(store)) == entries, words
    assert run("decide", "judge-again", "1") == 0
    with Store(home) as store:
        assert store.one("SELECT count(*) AS n FROM job WHERE state = 'queued'")["n"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("hide", "9"),
        ("judge-again", "x"),
        ("deadline", "softmax", "soon"),
        ("deadline", "softmax"),
        ("source", "x"),
    ],
)
def test_decisions_about_nothing(home, words, capsys):
    assert run("decide", *words) == 2
    assert capsys.readouterr().err


def test_the_doctor_measures_the_noise(home, tmp_path, walls, monkeypatch):
    monkeypatch.setattr(noise, "measure", lambda *args: Noise((0.001, -0.02, 0.01)))
    code, data = told(tmp_path, "doctor")
    assert (code, data["confined"]) == (0, True)
    assert data["noise"]["level"] == pytest.approx(1.96 * ((1e-6 + 4e-4 + 1e-4) / 3) ** 0.5)
    with Store(home) as store:
        assert store.one("SELECT value FROM decided WHERE subject = 'noise'") is not None
    monkeypatch.setattr(noise, "measure", lambda *args: Noise((0.2, -0.1)))
    assert told(tmp_path, "doctor")[0] == 1


def test_equal_programs_are_measured(softmax, walls):
    from profiling.competition.judge import Plan

    found = noise.measure(softmax, 1, Plan(launches=1, blocks=1, repeats=1))
    assert len(found.differences) == 1
    assert found.level >= 0.01


def test_everything_is_exported(home, tmp_path):
    with Store(home) as store:
        enter(store, "=ann", b"a = 1")
        judge_next(store, 2.0)
        assert export.boards(store)[0]["entries"][0]["participant"] == "=ann"
    code, data = told(tmp_path, "export", "--csv", tmp_path / "boards.csv", "--sources")
    assert code == 0
    (submission,) = data["submissions"]
    assert submission["source"] == "a = 1"
    assert len(submission["runs"][0]["samples"][0]["ours"]) == 16
    with (tmp_path / "boards.csv").open(newline="") as file:
        head, row = csv.reader(file)
    # A spreadsheet would compute what begins with =.
    assert row[head.index("participant")] == "'=ann"


def test_a_new_problem_works_at_once(home, tmp_path, walls):
    code, data = told(tmp_path, "new-problem", "row_sums")
    assert code == 0
    assert "row_sums" in pack.names(home)
    assert told(tmp_path, "problem", "row_sums")[1]["version"] == data["version"]
    assert run("new-problem", "row_sums") == 2
    (home / "problems" / "row_sums" / "must_fail" / "zeros.py").write_text(
        (home / "problems" / "row_sums" / "baseline.py").read_text()
    )
    assert run("new-problem", "row_sums", "--try") == 1


@pytest.mark.parametrize("name", ["../up", "Big", "", "a b"])
def test_names_that_no_problem_has(home, name):
    assert run("new-problem", name) == 2
