"""What is given away: one version, a complete source distribution, metadata that agree."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tensorops
from tests.structure.compiled import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Return the tracked files of the tree."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git, or no repository: nothing says which files are tracked")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def test_the_version_stands_once(tracked: list[str]) -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "tensorops.__version__"}
    text = (ROOT / "tensorops" / "__init__.py").read_text(encoding="utf-8")
    (value,) = (
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )
    # A literal, so that the build reads it without importing what is not yet built.
    assert ast.literal_eval(value) == tensorops.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", tensorops.__version__)
    assert importlib.metadata.version("tensorops") == tensorops.__version__, "run: python -m pip install -e ."


def test_source_distribution_holds_every_tracked_file(tracked: list[str], tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="setuptools is too old or missing")
    tree = tmp_path / "tree"
    for name in tracked:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    # What building and testing leave behind stays out.
    for litter in ("tensorops/kernels/ladder.so", "tests/__pycache__/x.pyc", "docs/_build/index.html"):
        (tree / litter).parent.mkdir(parents=True, exist_ok=True)
        (tree / litter).touch()
    subprocess.run([sys.executable, "setup.py", "-q", "egg_info"], cwd=tree, check=True, capture_output=True)
    # That asked for no kernel to be translated.
    assert not (tree / "build").exists()
    (listed,) = tree.glob("*.egg-info/SOURCES.txt")
    found = {name for name in listed.read_text(encoding="utf-8").splitlines() if ".egg-info/" not in name}
    assert found == set(tracked)


def test_packages_carry_stubs_sources_and_markers() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    assert {"*.pyi", "*.pyx", "*.pxd", "*.pxi", "py.typed"} <= set(patterns)


def test_citation_agrees_with_the_metadata() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^([a-z-]+): (.+)$", text, re.MULTILINE))
    assert fields["license"] == PROJECT["project"]["license"]
    assert fields["title"].strip('"').startswith(PROJECT["project"]["name"])
    # It would be a second place for the version.
    assert "version" not in fields


def test_the_workflow_only_runs_commands_of_the_tree() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    runs = re.findall(r"^\s*- run: (.+)$", text, re.MULTILINE)
    assert runs
    assert [run for run in runs if not re.fullmatch(r"bash \.ci/\w+( dist)?", run)] == []
    assert [run for run in runs if not (ROOT / run.split()[1]).is_file()] == []


def test_every_extra_is_explained() -> None:
    page = (ROOT / "docs" / "installation.rst").read_text(encoding="utf-8")
    assert set(re.findall(r"^``(\w+)``  ", page, re.MULTILINE)) == set(
        PROJECT["project"]["optional-dependencies"]
    )
