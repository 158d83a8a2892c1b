"""Notebooks run, carry no outputs, agree with their scripts, and can be given to students."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

for needed in ("jupytext", "nbclient", "ipykernel", "matplotlib"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: python -m pip install -e '.[notebooks]'")

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
SCRIPTS = sorted(FOLDER.glob("[0-9]*.py"))
# A figure that somebody typed and no cell computed: a number with a unit of speed or time, or a factor.
TYPED = re.compile(r"\b\d+(\.\d+)?\s?(GFLOP/s|GB/s|ns|µs|ms|times faster|x faster)\b")


def load(name: str) -> ModuleType:
    """Import a script of the folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


build = load("build")
each = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def stored(script: Path) -> Any:
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))


def test_there_are_notebooks() -> None:
    assert SCRIPTS
    assert {path.stem for path in SCRIPTS} == {path.stem for path in FOLDER.glob("*.ipynb")}


@each
def test_notebook_agrees_with_its_script(script: Path) -> None:
    found = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    made = json.loads(build.text_of(build.notebook_of(script)))
    assert json.loads(found)["cells"] == made["cells"], "run python notebooks/build.py sync"


@each
def test_notebook_stores_no_outputs(script: Path) -> None:
    code = [cell for cell in stored(script)["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@each
def test_no_figure_is_typed(script: Path) -> None:
    texts = ["".join(cell["source"]) for cell in stored(script)["cells"] if cell["cell_type"] == "markdown"]
    assert [found.group() for text in texts for found in TYPED.finditer(text)] == []


@each
def test_every_solution_is_checked_and_can_be_hidden(script: Path) -> None:
    notebook = build.notebook_of(script)
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    assert sum("solution" in found for found in tags) == sum("check" in found for found in tags) >= 1
    for before, after in zip(notebook.cells, build.for_students(notebook).cells, strict=True):
        if "solution" in before.metadata.get("tags", []):
            assert "### BEGIN SOLUTION" in before.source
            assert "SOLUTION" not in after.source
            assert "raise NotImplementedError" in after.source
            compile(after.source, "<student>", "exec")
        else:
            assert after == before


@each
def test_notebook_runs(script: Path, cache_dir: Path) -> None:
    assert build.run(script) > 0


def test_notebooks_for_students_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["student", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.glob("*.ipynb")} == {script.stem for script in SCRIPTS}
    assert (tmp_path / "course.py").exists()
    assert str(tmp_path / SCRIPTS[0].with_suffix(".ipynb").name) in capsys.readouterr().out


def test_an_exercise_that_is_not_done_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    course = load("course")

    def undone() -> None:
        raise NotImplementedError

    def wrong() -> None:
        raise AssertionError("3, expected 4")

    course.check("first", undone)
    with pytest.raises(AssertionError):
        course.check("second", wrong)
    course.check("third", lambda: None)
    assert capsys.readouterr().out.splitlines() == [
        "first: still to be done",
        "second: not yet: 3, expected 4",
        "third: done",
    ]
