"""The command line: verbs by file, files by format, errors by exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import profiling
from profiling import __main__ as entry
from profiling.__main__ import main
from profiling.commands import _base
from profiling.commands._base import Command, CommandError, get_command, verbs
from profiling.document import Document, Section

ROOT = Path(profiling.__file__).parent


def test_every_file_of_the_folder_is_a_verb():
    files = {path.stem for path in (ROOT / "commands").glob("*.py") if not path.stem.startswith("_")}
    assert set(verbs()) == files == {"bench", "report"}
    for verb in verbs():
        assert isinstance(get_command(verb), Command)
        assert type(get_command(verb)).__doc__


def test_the_help_lists_the_verbs_and_their_formats(capsys):
    for arguments, words in (
        (["--help"], verbs()),
        (["report", "--help"], ["--json FILE", "--no-save", "matmul"]),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert all(word in text for word in words)


@pytest.fixture
def verb(monkeypatch):
    """Stand in for every verb with one whose work is given by the test."""

    class Made(Command):
        """Made up."""

        work = staticmethod(lambda: Document("Title", (Section("Part", ("Words.",)),), {"schema": 1}))

        def prepare_parser(self, parser):
            pass

        def run(self, arguments):
            return Made.work()

    monkeypatch.setattr(entry, "get_command", lambda name: Made())
    return Made


def test_a_document_goes_to_the_screen_and_to_files(verb, tmp_path, capsys):
    path = tmp_path / "x.json"
    assert main(["report", "--json", str(path)]) == 0
    assert capsys.readouterr().out == "Title\n\nPart\n  Words.\n"
    assert path.read_text(encoding="utf-8") == '{\n "schema": 1\n}\n'


@pytest.mark.parametrize(
    ("error", "code"), [(CommandError("no"), 2), (CommandError("no", 1), 1), (KeyboardInterrupt(), 130)]
)
def test_failures_become_exit_codes(verb, capsys, error, code):
    def work():
        raise error

    verb.work = staticmethod(work)
    assert main(["report"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tensorops report: ")


def test_a_bug_is_not_hidden(verb):
    def work():
        raise ZeroDivisionError

    verb.work = staticmethod(work)
    with pytest.raises(ZeroDivisionError):
        main(["report"])


def test_a_file_that_cannot_be_written_is_told(verb, tmp_path, capsys):
    path = tmp_path / "x.json"
    path.mkdir()
    arguments = type("Arguments", (), {"json": path})()
    with pytest.raises(CommandError, match="cannot write"):
        _base.deliver(verb.work(), arguments)


def test_a_reader_that_leaves_early_is_no_error():
    script = "import sys; from profiling.__main__ import main; sys.exit(main(['--help']))"
    command = f'{sys.executable} -c "{script}" | true'
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT.parent
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "prog"),
    [
        (["-m", "profiling", "report", "x"], "python -m profiling report"),
        (["-m", "profiling.report", "x"], "python -m profiling report"),
        (["benchmarks/matmul.py", "--groups", "x"], "benchmarks/matmul.py bench"),
    ],
)
def test_the_ways_in(command, prog):
    environment = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT.parent,
        env=environment,
    )
    assert done.returncode == 2
    assert f"{prog}: error:" in done.stderr
    assert done.stdout == ""
