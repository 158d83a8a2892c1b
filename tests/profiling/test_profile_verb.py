"""The verb ``profile``: what is in the file, and that nobody loses anything."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys

import pytest

from profiling.__main__ import main
from tensorops.dispatch import schema, selection
from tensorops.dispatch.records import Entry, PathResult, Profile


def entry(n, seconds=1e-5):
    paths = {
        "numpy": PathResult(seconds, 0.9 * seconds, 1.1 * seconds, n=12, hotspot="libblas.so"),
        "blocked/packed": PathResult(2 * seconds, 1.9 * seconds, 2.1 * seconds, 4, allocations=1, bytes=64),
    }
    return Entry("matmul", "float32", ((n, n), (n, n)), paths=paths)


@pytest.fixture
def stored(cache_dir):
    return schema.save(Profile(schema.fingerprint(), (entry(8), entry(16))))


def test_show_lists_every_entry(stored, tmp_path, capsys):
    assert main(["profile", "show", "--json", str(tmp_path / "x.json")]) == 0
    out = capsys.readouterr().out
    assert "16x16x16 float32" in out and "libblas.so" in out and "buffers" in out and str(stored) in out
    data = json.loads((tmp_path / "x.json").read_text())
    assert [one["shapes"][0] for one in data["entries"]] == [[8, 8], [16, 16]]
    assert main(["profile", "show", "--op", "exp"]) == 0
    assert "0 of 2 entries" in capsys.readouterr().out


def test_show_without_a_profile(cache_dir, capsys):
    assert main(["profile", "show"]) == 0
    assert "no profile yet" in capsys.readouterr().out


def test_what_is_exported_can_be_merged_after_it_was_cleared(stored, tmp_path, capsys):
    copy = tmp_path / "copy.json"
    assert main(["profile", "export", str(copy)]) == 0
    assert main(["profile", "clear"]) == 0
    assert not stored.exists() and selection.current_profile() is None
    assert main(["profile", "clear"]) == 0
    assert "no profile to remove" in capsys.readouterr().out
    schema.save(Profile(schema.fingerprint(), (entry(32),)))
    assert main(["profile", "merge", str(copy)]) == 0
    assert len(selection.current_profile().entries) == 3


@pytest.mark.parametrize("content", ["", "{}", "no JSON", '{"schema": 99}'])
def test_a_damaged_file_is_not_merged(stored, tmp_path, content, capsys):
    (tmp_path / "bad.json").write_text(content)
    before = stored.read_bytes()
    assert main(["profile", "merge", str(tmp_path / "bad.json")]) == 1
    assert "bad.json" in capsys.readouterr().err
    assert stored.read_bytes() == before


def test_another_machines_file_is_not_merged(stored, tmp_path, capsys):
    other = tmp_path / "other.json"
    schema.save(Profile(schema.fingerprint() | {"cpu": "6502"}, (entry(8),)), other)
    assert main(["profile", "merge", str(other)]) == 1
    assert "another machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "file"], 2),
        (["export"], 2),
        (["merge"], 2),
        (["merge", "no_such_file.json"], 1),
        (["export", "no_such_folder/x.json"], 2),
        (["clear", "--op", "matmul"], 2),
    ],
)
def test_wrong_arguments(cache_dir, arguments, code, capsys):
    assert main(["profile", *arguments]) == code
    assert capsys.readouterr().err


def test_export_without_a_profile(cache_dir, tmp_path, capsys):
    assert main(["profile", "export", str(tmp_path / "x.json")]) == 1
    assert "verb tune" in capsys.readouterr().err


def test_no_profile_is_kept(monkeypatch, capsys):
    monkeypatch.setenv("TENSOROPS_PROFILE", "none")
    assert main(["profile", "show"]) == 2
    assert "TENSOROPS_PROFILE" in capsys.readouterr().err


def _write(start):
    for n in range(start, start + 20):
        schema.save(Profile(schema.fingerprint(), (entry(n),)))


def test_two_writers_at_once_lose_nothing(cache_dir):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(start,)) for start in (100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(schema.load().entries) == 40


def test_a_writer_killed_before_the_rename_leaves_the_old_profile(stored):
    before = stored.read_bytes()
    code = """
import os, signal
from pathlib import Path
from tensorops.dispatch import schema
from tensorops.dispatch.records import Entry, PathResult, Profile
Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
new = Entry("matmul", "float64", ((3, 3), (3, 3)), paths={"numpy": PathResult(1.0, 1.0, 1.0)})
schema.save(Profile(schema.fingerprint(), (new,)))
"""
    ended = subprocess.run([sys.executable, "-c", code])
    assert ended.returncode == -9
    assert stored.read_bytes() == before
    # Nothing that the killed process held stops the next one.
    schema.save(Profile(schema.fingerprint(), (entry(64),)))
    assert len(schema.load().entries) == 3
