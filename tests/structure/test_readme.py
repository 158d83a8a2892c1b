"""The README's commands are the ones that CI runs, and its build requirements the ones of the build."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.structure.compiled import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def commands(heading: str) -> list[str]:
    """Return the lines of the first fenced block under a heading."""
    match = re.search(rf"^#+ {re.escape(heading)}\n.*?^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert match, f"README.md has no fenced block under {heading!r}"
    return match.group(1).splitlines()


def test_two_commands_are_what_ci_runs() -> None:
    two = commands("Two commands")
    assert len(two) == 2
    assert [line for line in two if f'run "{line}"' not in CI] == []


def test_the_test_command_comes_last_in_ci() -> None:
    assert CI.rstrip().splitlines()[-1] == f'run "{commands("Two commands")[1]}"'


def test_build_requirements_are_the_build_system_s() -> None:
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"][
        "requires"
    ]
    install, build = commands("Building in place")
    assert re.findall(r"'([^']+)'", install) == requires
    assert build == "python setup.py build_ext --inplace"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_paths_named_in_the_texts_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(
        re.findall(r"`((?:tensorops|profiling|tests|docs|benchmarks|notebooks|\.ci)/[\w./-]*)`", text)
    )
    # Capitals stand for a name that the reader chooses: NAME_backend.py.
    fixed = {path for path in named if not re.search(r"[A-Z]{2}", path)}
    assert fixed
    assert sorted(path for path in fixed if not (ROOT / path).exists()) == []
