"""The magics, in a shell without a terminal."""

import html
import re

import pytest

from profiling.document import Document

pytest.importorskip("IPython")

from profiling import magics


def make_shell(folder):
    """Return a shell that leaves the user's history and settings alone."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}})
    return InteractiveShell(config=config, ipython_dir=str(folder))


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    shell = make_shell(tmp_path_factory.mktemp("ipython"))
    magics.load_ipython_extension(shell)
    shell.run_cell(
        "import numpy as np\nx = np.ones(20_000)\n"
        "def f(x):\n    y = x * 2\n    return y.sum()\n"
        "def g(x):\n    return sum(x)\n"
        "def fail(x):\n    raise ZeroDivisionError('the user made it')\n"
    )
    return shell


def test_the_extension_comes_and_goes(tmp_path):
    shell = make_shell(tmp_path)
    for command, is_there in (("%load_ext", True), ("%unload_ext", False)):
        assert shell.run_cell(f"{command} profiling").success
        assert ("treport" in shell.magics_manager.magics["cell"]) == is_there
        for name in ("treport", "tbench"):
            assert (name in shell.magics_manager.magics["line"]) == is_there


def test_a_statement_is_profiled_line_by_line(shell):
    document = shell.run_line_magic("treport", "-r --seconds 0.05 f(x)")
    assert isinstance(document, Document)
    lines = [line for line in document.data["lines"] if line["function"] == "f"]
    assert any("x * 2" in line["source"] for line in lines)
    assert sum(line["allocations"] or 0 for line in lines) == 1
    assert document.data["allocations"]["bytes"] == 160_000


def test_a_cell_runs_once_and_what_it_assigns_stays(shell, capsys):
    shell.run_cell("count = 0")
    assert shell.run_cell_magic("treport", "", "count += 1\ntotal = f(x)\n") is None
    assert shell.user_ns["count"] == 1
    assert shell.user_ns["total"] == 40_000
    assert "y = x * 2" in capsys.readouterr().out


def test_statements_are_timed_against_each_other(shell, capsys):
    for line in ("--seconds 0.3 f(x) :: g(x)", "--seconds 0.3 f(x) --against g(x)"):
        assert shell.run_line_magic("tbench", line) is None
        shown = capsys.readouterr().out
        assert re.search(r"g\(x\) .* to ", shown)
        assert "ratio" in shown
    document = shell.run_line_magic("tbench", "-r --seconds 0.1 a = f(x)")
    assert isinstance(document, Document)
    assert "a" not in shell.user_ns


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("f(x)", ["f(x)"]),
        ("f(x) :: g(x) ::  h", ["f(x)", "g(x)", "h"]),
        ("a[1 :: 2] :: 's :: t'", ["a[1 :: 2]", "'s :: t'"]),
        ("a[1::2] --against b", ["a[1::2]", "b"]),
        ("  ", []),
    ],
)
def test_what_separates_statements_separates_nothing_else(text, statements):
    assert magics._statements(text) == statements


def test_names_of_statements_differ_and_are_short():
    assert magics._names(["f(x)", "f(x)", "x" * 100]) == ["f(x)", "f(x) (2)", "x" * 36 + " ..."]


@pytest.mark.parametrize(
    ("magic", "line", "message"),
    [
        ("treport", "", "expected a statement"),
        ("tbench", "", "expected statements"),
        ("tbench", "f(", "not valid Python"),
        ("tbench", "--seconds much f(x)", "seconds above 0, got 'much'"),
        ("tbench", "--threads 0 f(x)", "whole number from 1"),
        ("treport", "no_module_of_this_name:f", "no_module_of_this_name"),
        ("treport", "matmul --size 0", "--size 0"),
    ],
)
def test_mistakes_are_told_in_a_line(shell, magic, line, message):
    from IPython.core.error import UsageError

    with pytest.raises(UsageError, match=message):
        shell.run_line_magic(magic, line)


def test_what_the_users_code_raises_reaches_him(shell):
    for magic in ("treport", "tbench"):
        with pytest.raises(ZeroDivisionError, match="the user made it"):
            shell.run_line_magic(magic, "fail(x)")


def test_a_notebook_gets_the_page_in_a_frame(monkeypatch):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    view = magics.DocumentView(Document("a < b", ()))
    frame = view._repr_html_()
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1])
    assert "<h1>a &lt; b</h1>" in page
    assert frame.count("<") == 2
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert view._repr_html_() is None
    assert repr(view) == "a < b"
