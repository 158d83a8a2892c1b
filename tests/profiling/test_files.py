"""Files are judged before the work and replaced in one step."""

import argparse
import os
import stat

import pytest

from profiling.commands._files import output_file, write_file

is_root = os.geteuid() == 0


def test_a_new_and_an_old_file_in_a_folder_are_taken(tmp_path):
    old = tmp_path / "old"
    old.write_text("x")
    for path in (tmp_path / "new", old):
        assert output_file(str(path)) == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is a folder; give the name of a file"),
        ("missing/x", "missing does not exist; create it first"),
        ("file/x", "file is not a folder"),
        ("x" * 300, "too long"),
    ],
)
def test_what_cannot_be_a_file_is_told_before(tmp_path, name, message):
    (tmp_path / "file").write_text("x")
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        output_file(str(tmp_path / name) if name else "")


@pytest.mark.skipif(is_root, reason="root may write everywhere")
def test_read_only_files_and_folders_are_told_before(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o400)
    with pytest.raises(argparse.ArgumentTypeError, match="read-only"):
        output_file(str(file))
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(argparse.ArgumentTypeError, match="cannot be created"):
            output_file(str(tmp_path / "new"))
    finally:
        tmp_path.chmod(0o700)


def test_what_the_system_says_of_a_path_is_told(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("profiling.commands._files.os.access", refuse)
    with pytest.raises(argparse.ArgumentTypeError, match="cannot be written: Permission denied"):
        output_file("x")


def test_a_new_file_has_the_usual_rights_and_an_old_one_keeps_its_own(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("before")
    old.chmod(0o640)
    mask = os.umask(0o022)
    try:
        for path in (new, old):
            write_file(path, b"content")
    finally:
        os.umask(mask)
    assert [path.read_bytes() for path in (new, old)] == [b"content"] * 2
    assert [stat.S_IMODE(path.stat().st_mode) for path in (new, old)] == [0o644, 0o640]
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old"}


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "folder" / "file")
    write_file(link, b"content")
    assert link.is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"content"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("before")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, b"content")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "before"


def test_a_pipe_is_written_in_place(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(pipe, b"content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
