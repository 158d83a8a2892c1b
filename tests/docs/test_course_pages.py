"""The notebooks as pages of the documentation, and what the build says where it cannot read them."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURE = b"\x89PNG\r\n"


def load() -> ModuleType:
    """Import ``docs/course_pages.py``, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("course_pages", ROOT / "docs" / "course_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


course_pages = load()


def code(source: str, *outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": outputs, "metadata": {"tags": tags}}


def page_of(folder: Path, *cells: dict[str, Any]) -> str:
    """Return the page that a notebook of a title and some cells becomes."""
    title = {"cell_type": "markdown", "source": ["# 1. Title\n", "\n", "Text."], "metadata": {}}
    (folder / "01_name.ipynb").write_text(json.dumps({"cells": [title, *cells]}), encoding="utf-8")
    (page,) = course_pages.write(folder, folder / "pages")
    return str(page.read_text(encoding="utf-8"))


def test_every_notebook_becomes_a_page_with_all_its_texts(tmp_path: Path) -> None:
    pages = course_pages.write(ROOT / "notebooks", tmp_path)
    assert [page.stem for page in pages] == sorted(
        path.stem for path in (ROOT / "notebooks").glob("[0-9]*.py")
    )
    for page in pages:
        cells = json.loads((ROOT / "notebooks" / f"{page.stem}.ipynb").read_text(encoding="utf-8"))["cells"]
        text = page.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert "without its outputs" in text
        last_lines = ["".join(cell["source"]).strip().splitlines()[-1] for cell in cells]
        assert [line for line in last_lines if line not in text] == []


def test_solutions_are_folded(tmp_path: Path) -> None:
    text = page_of(tmp_path, code("x = 1", tags=("solution",)), code("y = 2"))
    assert "<details><summary>A solution</summary>\n\n```python\nx = 1\n```\n\n</details>" in text
    assert text.count("<details>") == 1


def test_outputs_are_shown(tmp_path: Path) -> None:
    drawn = {"data": {"image/png": base64.b64encode(PICTURE).decode(), "text/plain": "<Figure>"}}
    printed = {"text": ["\x1b[1mbold\x1b[0m\n", "```\n"]}
    text = page_of(
        tmp_path, code("draw()", drawn), code("print()", printed), code("3", {"data": {"text/plain": "3"}})
    )
    assert "executed when this page was made" in text
    assert "````text\nbold\n```\n````" in text
    assert "```text\n3\n```" in text
    assert "<Figure>" not in text
    (name,) = re.findall(r"!\[.*\]\((.+)\)", text)
    assert (tmp_path / "pages" / name).read_bytes() == PICTURE


def test_pages_of_earlier_notebooks_go_and_unchanged_ones_stay(tmp_path: Path) -> None:
    page_of(tmp_path, code("x"))
    page = tmp_path / "pages" / "01_name.md"
    before = page.stat().st_mtime_ns
    (tmp_path / "pages" / "00_old.md").touch()
    page_of(tmp_path, code("x"))
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["01_name.md"]
    assert page.stat().st_mtime_ns == before


def test_a_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no notebook"):
        course_pages.write(tmp_path, tmp_path / "pages")


def test_a_build_without_the_extra_says_what_is_left_out(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="sphinx is not installed: extra 'docs'")
    # The configuration alone, with the package hidden: a whole build takes too long for a test.
    program = f"""
import importlib.util, pathlib, types
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "myst_parser" else find(name, *rest)
namespace = {{"__file__": {str(ROOT / "docs" / "conf.py")!r}}}
exec(compile(open(namespace["__file__"]).read(), "conf.py", "exec"), namespace)
assert "myst_parser" not in namespace["extensions"]
namespace["ROOT"] = pathlib.Path({str(tmp_path)!r})
namespace["write_course"](None, types.SimpleNamespace(course_notebooks={str(ROOT / "notebooks")!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "docs" / "course").iterdir()
    text = page.read_text(encoding="utf-8")
    assert "myst-parser was not installed" in text
    assert "pip install -e '.[docs]'" in text
    assert "notebooks/01_measure_first.ipynb" in text
    course_pages.write(ROOT / "notebooks", page.parent)
    assert not page.exists()
