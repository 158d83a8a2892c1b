"""Write the course's notebooks as pages of this documentation.

Only the standard library is needed to write them; Sphinx reads them through myst-parser. Outputs are
shown where a notebook holds any, as those that ``notebooks/build.py run --to FOLDER`` writes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Cell = dict[str, Any]

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NAMES = "[0-9][0-9]_*.ipynb"
NOTICE = (
    "The course's notebooks are left out: myst-parser was not installed when these pages were made. "
    "python -m pip install -e '.[docs]' brings it."
)


def write(notebooks: Path, folder: Path) -> list[Path]:
    """Write one Markdown page for each notebook, and its pictures beside it.

    Parameters
    ----------
    notebooks : Path
        Folder of ``NN_name.ipynb`` files.
    folder : Path
        Where the pages go; what stands there of earlier notebooks is removed.

    Returns
    -------
    list of Path
        The pages, in the order of the course.

    Raises
    ------
    FileNotFoundError
        If there is no notebook.
    """
    sources = sorted(notebooks.glob(NAMES))
    if not sources:
        raise FileNotFoundError(f"{notebooks} holds no notebook {NAMES}")
    files: dict[Path, bytes] = {}
    for source in sources:
        notebook = json.loads(source.read_text(encoding="utf-8"))
        page = folder / f"{source.stem}.md"
        blocks = list(blocks_of(notebook["cells"], page, files))
        executed = any(cell.get("outputs") for cell in notebook["cells"])
        title, rest = blocks[0].split("\n", 1)
        blocks[0] = f"{title}\n\n{_origin(source.name, executed)}\n{rest}"
        files[page] = ("\n\n".join(blocks) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder, files)
    return [path for path in files if path.suffix == ".md"]


def write_notice(notebooks: Path, folder: Path) -> str:
    """Write a page that says why the notebooks are not shown, in their place.

    Parameters
    ----------
    notebooks, folder : Path
        As `write` takes them.

    Returns
    -------
    str
        What it says.
    """
    names = "".join(f"- ``notebooks/{path.name}``\n" for path in sorted(notebooks.glob(NAMES)))
    title = "Not shown here"
    text = f"{title}\n{'=' * len(title)}\n\n{NOTICE}\n\n{names}"
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder, {folder / "notice.rst": text.encode()})
    return NOTICE


def _replace(folder: Path, files: dict[Path, bytes]) -> None:
    """Make these the only files of a folder."""
    for path in folder.iterdir():
        if path not in files:
            path.unlink()
    for path, content in files.items():
        # An unchanged page is not read again by the next build.
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def blocks_of(cells: list[Cell], page: Path, files: dict[Path, bytes]) -> Iterator[str]:
    """Yield a page's blocks; pictures are added to `files`.

    Parameters
    ----------
    cells : list of dict
        A notebook's.
    page : Path
        The page they become.
    files : dict of Path to bytes
        What is to be written besides.

    Yields
    ------
    str
        Markdown.
    """
    for number, cell in enumerate(cells):
        text = "".join(cell["source"]).strip("\n")
        if cell["cell_type"] == "markdown":
            yield text
            continue
        if "solution" in cell["metadata"].get("tags", []):
            yield f"<details><summary>A solution</summary>\n\n{_fenced(text, 'python')}\n\n</details>"
        else:
            yield _fenced(text, "python")
        for place, output in enumerate(cell.get("outputs", [])):
            yield from _output(output, page.with_name(f"{page.stem}_{number}_{place}.png"), files)


def _origin(name: str, executed: bool) -> str:
    how = "executed when this page was made" if executed else "without its outputs: they are your machine's"
    return f"This is [`notebooks/{name}`](../course.rst), {how}.\n"


def _output(output: dict[str, Any], picture: Path, files: dict[Path, bytes]) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        files[picture] = base64.b64decode("".join(data["image/png"]))
        yield f"![A figure drawn by the cell above]({picture.name})"
        return
    text = "".join(output.get("text", "") or data.get("text/plain", ""))
    text = ESCAPES.sub("", text).rstrip()
    if text:
        yield _fenced(text, "text")


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
