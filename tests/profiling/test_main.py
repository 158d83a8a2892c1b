"""The command line: verbs by file, files by format, errors by exit code."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import profiling
import tensorops
from profiling import __main__ as entry
from profiling.__main__ import main, make_parser
from profiling.commands import _base
from profiling.commands._base import Command, CommandError, get_command, verbs
from profiling.document import Document, Section

ROOT = Path(profiling.__file__).parent


def test_every_file_of_the_folder_is_a_verb():
    files = {path.stem for path in (ROOT / "commands").glob("*.py") if not path.stem.startswith("_")}
    assert set(verbs()) == files >= {"bench", "report"}
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


@pytest.mark.parametrize("name", ["report", "bench"])
def test_help_gives_examples_that_name_the_program_as_it_was_called(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"], prog="python -m profiling")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  python -m profiling {name} " in text


@pytest.mark.parametrize("name", verbs())
def test_every_verb_has_examples_that_its_parser_takes(name):
    command = get_command(name)
    assert command.examples
    for example in command.examples:
        words = shlex.split(example.partition("  #")[0])
        assert words[0] == name
        cut = words.index("--") if "--" in words else len(words)
        assert cut == len(words) or command.takes_script_arguments
        assert make_parser("tensorops", name).parse_args(words[:cut]).verb == name


def test_without_a_verb_the_help_is_shown(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(word in captured.err for word in verbs())


def test_an_unknown_verb_is_answered_with_the_nearest(capsys):
    assert main(["reprot"]) == 2
    assert "unknown verb 'reprot'" in (message := capsys.readouterr().err)
    assert "did you mean report?" in message


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tensorops {tensorops.__version__}\n"


def test_what_follows_two_dashes_is_the_scripts(verb, capsys):
    seen = []
    verb.run = lambda self, arguments: seen.append(arguments.script_arguments) or verb.work()
    assert main(["report", "--", "--json", "x"]) == 2
    assert "takes no arguments after --" in capsys.readouterr().err
    verb.takes_script_arguments = True
    assert main(["report", "--", "--json", "--", "x"]) == 0
    assert main(["report"]) == 0
    assert seen == [["--json", "--", "x"], []]


def test_outputs_are_judged_before_the_work(verb, tmp_path, monkeypatch, capsys):
    verb.run = lambda self, arguments: pytest.fail("measured")
    path = str(tmp_path / "x")
    for arguments, message in (
        (["--png", path], "no figure to draw"),
        (["--json", path, "--html", path], "--html and --json name one file"),
    ):
        assert main(["report", *arguments]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for option in ("--html", "--png"):
        assert main(["report", option, path]) == 2
        assert "pip install 'tensorops[html]'" in capsys.readouterr().err


def test_a_picture_without_a_figure_is_told_and_the_rest_is_delivered(verb, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    verb.draws = True
    data, picture = tmp_path / "x.json", tmp_path / "x.png"
    assert main(["report", "--png", str(picture), "--json", str(data)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "Title\n\nPart\n  Words.\n"
    assert "no figure to draw" in captured.err
    assert data.exists()
    assert not picture.exists()


def test_a_disk_that_fills_up_loses_no_text(verb, tmp_path, monkeypatch, capsys):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_base, "write_file", fail)
    assert main(["report", "--json", str(tmp_path / "x.json")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "Title\n\nPart\n  Words.\n"
    assert "No space left on device" in captured.err


def test_a_document_decides_the_exit_code(verb):
    verb.work = staticmethod(lambda: Document("Title", (), exit_code=137))
    assert main(["report"]) == 137


def test_a_terminal_that_lacks_a_character_still_gets_the_text():
    script = (
        "from argparse import Namespace; from profiling.commands._base import deliver; "
        "from profiling.document import Document; deliver(Document('\\u00fcber', ()), Namespace())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.parent,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.stdout == "\\xfcber\n"
