"""A spool is read as far as it was written, and nothing else passes for one."""

import pytest

from profiling.collect.samples import Frame, Sample
from profiling.collect.spool import SpoolWriter, read_spool

FRAMES = [Frame("a.py", "f", 2, 1), Frame("b ü\udcff.py", "g", 5, 4)]
MODULES = ["/lib/blas.so"]


def write_twice(path):
    writer = SpoolWriter(path, 1e-3)
    first = [[7, 1, None, 0, 0.5, 5, (0,)]]
    writer.write(FRAMES[:1], [], first, seconds=1.0, lost=0, notes=[])
    second = [[7, 1, None, 0, 0.25, 2, (0,)], [8, 0, 0, 64, 2.0, 1, (1, 0)]]
    writer.write(FRAMES, MODULES, second, seconds=2.0, lost=3, notes=["a note"])


def test_what_was_written_bit_by_bit_is_read_as_one(tmp_path):
    write_twice(tmp_path / "spool")
    found = read_spool(tmp_path / "spool")
    assert found.samples == (
        Sample(8, (FRAMES[1], FRAMES[0]), "/lib/blas.so", 64, 2.0, False, 1),
        Sample(7, (FRAMES[0],), None, 0, 0.75, True, 7),
    )
    assert (found.interval, found.seconds, found.lost, found.notes) == (1e-3, 2.0, 3, ("a note",))


def test_a_file_cut_off_anywhere_loses_the_last_line_at_most(tmp_path):
    path = tmp_path / "spool"
    write_twice(path)
    whole = path.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    assert len(ends) == 3
    for length in range(ends[0] + 1, len(whole)):
        path.write_bytes(whole[:length])
        assert read_spool(path).seconds == (0.0 if length <= ends[1] else 1.0)
    for length in (0, 5, ends[0]):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="no complete line"):
            read_spool(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello\n", "line 1"),
        ("[]\n", "line 1"),
        ('{"interval": 1}\n', "line 1"),
        ('{"spool": 99, "interval": 1}\n', "version 99, expected 1"),
        ('{"spool": 1, "interval": 1}\n{"frames": [[1]]}\n', "line 2"),
        ('{"spool": 1, "interval": 1}\n{"samples": [[1, 1, 0, 0, 1.0, 1, []]]}\n', "line 2"),
        ('{"spool": 1, "interval": 1}\nhalf a line{\n{}\n', "line 2"),
    ],
)
def test_something_else_is_an_error_that_names_the_line(tmp_path, text, reason):
    path = tmp_path / "spool"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_spool(path)


def test_a_missing_file_and_a_missing_folder_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_spool(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        SpoolWriter(tmp_path / "nowhere" / "spool", 1e-3)


def test_an_old_spool_is_replaced(tmp_path):
    write_twice(tmp_path / "spool")
    SpoolWriter(tmp_path / "spool", 2e-3)
    assert read_spool(tmp_path / "spool").samples == ()


def test_a_write_that_fails_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "spool"
    writer = SpoolWriter(path, 1e-3)
    real = __import__("os").write

    def full(descriptor, text):
        if len(text) < 40:
            raise OSError(28, "No space left on device")
        return real(descriptor, text[:30])

    monkeypatch.setattr("profiling.collect.spool.os.write", full)
    with pytest.raises(OSError, match="No space"):
        writer.write(FRAMES, MODULES, [], seconds=1.0, lost=0, notes=[])
    monkeypatch.undo()
    writer.write(FRAMES, MODULES, [[7, 1, 0, 64, 0.5, 5, (1,)]], seconds=2.0, lost=0, notes=[])
    assert read_spool(path).samples[0].frames == (FRAMES[1],)


def test_the_folder_may_change_meanwhile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = SpoolWriter("spool", 1e-3)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    writer.write([], [], [], seconds=4.0, lost=0, notes=[])
    assert read_spool(tmp_path / "spool").seconds == 4.0
