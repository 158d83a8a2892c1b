"""Every code block of README and docs: sessions and Python are run, commands are parsed by what they name."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profiling.__main__ import main, make_parser
from tensorops.backends import backends
from tests.docs.blocks import PAGES, ROOT, Block, blocks, commands

ALL = [block for page in PAGES for block in blocks(page)]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Python that only compiles here: what it begins with, and why it is not run.
NOT_RUN = {
    "import tensorops\nimport course_library": "the library is the reader's own; tests/adapters has one",
    "import dask.array": "needs the extra dask; tests/backends runs it",
    'profiling.bench("matmul"': "needs PyTorch, and minutes",
    "import profiling\n\nprint(profiling.autotune": "measures for five seconds",
    "with profiling.record()": "needs a program; tests/profiling has one",
    "cythonize(": "a line of a build script",
}
# Commands that take no time are run as well.
QUICK = (
    "profiling machine",
    "profiling profile show",
    "profiling compete list",
    "profiling compete problem softmax",
)


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    """Fail where a page leaves a backend behind for the tests that follow."""
    before = backends().keys()
    yield
    assert backends().keys() == before


def of_language(*languages: str) -> list[Any]:
    """Return the blocks in these languages as parameters."""
    return [pytest.param(block, id=block.name) for block in ALL if block.language in languages]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if ">>>" in (ROOT / page).read_text(encoding="utf-8")]
)
def test_sessions_print_what_the_page_says(page: str) -> None:
    outcome = doctest.testfile(
        str(ROOT / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert outcome.attempted
    assert not outcome.failed


@pytest.mark.parametrize("block", of_language("python"))
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compile(block.text, block.name, "exec")
    if any(block.text.startswith(beginning) for beginning in NOT_RUN):
        return
    monkeypatch.chdir(tmp_path)
    namespace = {"np": np, "a": np.ones((3, 4)), "b": np.ones((4, 5)), "__name__": "block"}
    exec("import tensorops, profiling", namespace)
    exec(code, namespace)


@pytest.mark.parametrize("beginning", NOT_RUN)
def test_every_exception_is_still_needed(beginning: str) -> None:
    assert any(block.language == "python" and block.text.startswith(beginning) for block in ALL)


@pytest.mark.parametrize("block", of_language("console"))
def test_commands_are_understood(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(block):
        words = shlex.split(command.strip("()"))
        if words[0] == "tensorops":
            words[:1] = ["python", "-m", "profiling"]
        if words[:2] == ["python", "-m"] and words[2] in ("profiling", "profiling.report"):
            given = words[3:] if words[2] == "profiling" else ["report", *words[3:]]
            given = given[: given.index("--")] if "--" in given else given
            make_parser("tensorops", given[0]).parse_args(given)
            assert not capsys.readouterr().err
            if " ".join(words[2:]) in QUICK:
                assert main(given) == 0, command
        elif words[:3] == ["python", "-m", "pip"]:
            _check_install(words[4:])
        elif words[:2] == ["python", "-c"]:
            exec(compile(words[2], block.name, "exec"), {})
        elif words[0] == "python" and words[1].endswith(".py"):
            script = (ROOT / words[1]).read_text(encoding="utf-8")
            options = [word for word in words[2:] if word.startswith("--")]
            assert [
                option for option in options if f'"{option}"' not in script and words[1] != "setup.py"
            ] == []
        elif words[:2] == ["python", "-m"]:
            assert (
                words[2] in CI or (ROOT / (words[2].replace(".", "/") + ".py")).exists() or words[2] == "venv"
            )
        else:
            assert words[0] in (".", "pre-commit", "bash", "git", "cd"), command


def _check_install(words: list[str]) -> None:
    for word in words:
        for extra in re.findall(r"\[([\w,]+)\]", word):
            assert set(extra.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


def test_install_lines_of_the_readme_are_ci_s() -> None:
    first = next(block for block in ALL if block.page == "README.md" and block.language == "console")
    assert [line for line in first.text.splitlines() if f'run "{line}"' not in CI] == []


@pytest.mark.parametrize("block", of_language("toml", "json"))
def test_data_is_well_formed(block: Block) -> None:
    assert (tomllib if block.language == "toml" else json).loads(block.text)


def test_every_block_belongs_to_one_of_these_tests() -> None:
    checked = {"doctest", "python", "console", "toml", "json"}
    shown = {"text", "ipython"}
    assert {block.language for block in ALL} <= checked | shown
    assert len([block for block in ALL if block.language == "console"]) > 20


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_inside_the_tree_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_a_wrong_block_is_found() -> None:
    block = Block("x", 1, "console", "python -m profiling bench matmul --no-such-option\n")
    with pytest.raises(SystemExit):
        make_parser("tensorops", "bench").parse_args(shlex.split(commands(block)[0])[3:])
