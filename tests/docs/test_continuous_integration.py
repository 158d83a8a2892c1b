"""The shell lines of the page on continuous integration, run in a repository made for the purpose."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks

PAGE = "docs/howto/continuous_integration.rst"
FAST = "def function(n):\n    return sum(range(n))\n"
# Far beyond any noise, so that the verdict does not depend on the machine.
SLOW = "def function(n):\n    return sum(sum(range(n)) for _ in range(20))\n"


def lines() -> str:
    """Return the page's first block, with less time to measure in."""
    text = next(block.text for block in blocks(PAGE) if block.language == "console")
    assert text.count("--json") == 2
    return text.replace("--json", "--budget 0.5 --json")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a clone whose ``package`` is the same as in its ``origin/main``."""
    if shutil.which("git") is None or shutil.which("bash") is None:
        pytest.skip("git and bash are needed")
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    (origin / "package").mkdir(parents=True)
    (origin / "package" / "__init__.py").touch()
    (origin / "package" / "module.py").write_text(FAST, encoding="utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (
        ["init", "-q", "-b", "main", str(origin)],
        ["-C", str(origin), "add", "."],
        ["-C", str(origin), *identity, "commit", "-q", "-m", "Begin"],
        ["clone", "-q", str(origin), str(clone)],
    ):
        subprocess.run(["git", *command], check=True, capture_output=True)
    return clone


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the lines with this interpreter as ``python``, the library found from its tree."""
    programs = folder.parent / "programs"
    programs.mkdir()
    # No link: an interpreter finds its environment by the path that it was started with.
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    (programs / "python").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_slower_function_fails(repository: Path) -> None:
    (repository / "package" / "module.py").write_text(SLOW, encoding="utf-8")
    done = run(repository)
    assert done.returncode == 1, done.stderr
    assert "package.module:function" in done.stdout
    # The first file is the base's: its times are the short ones.
    before, after = (shortest(repository / name) for name in ("before.json", "after.json"))
    assert after > 4 * before


def shortest(path: Path) -> float:
    """Return the shortest sample of a benchmark's file."""
    (samples,) = json.loads(path.read_text(encoding="utf-8"))["launches"][0]["seconds"].values()
    return float(min(samples))
