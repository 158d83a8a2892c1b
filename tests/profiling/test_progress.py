"""The progress bar: silent without a terminal, and with the time left at one."""

import io
import sys

from profiling.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_nothing_is_written_where_nobody_looks(capsys):
    with progress_bar("work", 2) as advance:
        advance("first")
        advance("second")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_terminal_sees_what_is_done_and_the_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bar("work", 3) as advance:
        for text in ("first", "second", "third"):
            advance(text)
    shown = terminal.getvalue()
    assert "work" in shown
    assert "third" in shown
    assert "left" in shown
    assert "0:00:00" in shown
