"""Make the notebooks from their scripts: ``python notebooks/build.py sync | student FOLDER | run``.

``sync`` writes the ``.ipynb`` beside each script, without outputs. ``student`` writes notebooks without the
solutions, ``instructor`` with them; both carry the metadata that nbgrader reads. ``run`` executes the
notebooks and says how long each took; ``run --to FOLDER`` keeps them there with their outputs.
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)


def scripts() -> list[Path]:
    """Return the scripts, in the order of the course."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def notebook_of(script: Path) -> NotebookNode:
    """Return the notebook that a script stands for, without outputs.

    Parameters
    ----------
    script : Path
        In jupytext's percent format; cells tagged "solution" hold answers, those tagged "check" test them.

    Returns
    -------
    NotebookNode
        With the metadata that nbgrader reads; the same script gives the same notebook.
    """
    notebook = jupytext.read(script)
    notebook.metadata.pop("jupytext", None)
    notebook.metadata["jupytext"] = {"formats": "ipynb,py:percent"}
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{script.stem[:2]}-{number:03}"
        tags = cell.metadata.get("tags", [])
        if "solution" in tags or "check" in tags:
            checks = "check" in tags
            cell.metadata["nbgrader"] = {
                "grade": checks,
                "grade_id": cell["id"],
                "locked": checks,
                "schema_version": 3,
                "solution": not checks,
                "task": False,
                **({"points": 1} if checks else {}),
            }
    nbformat.validate(notebook)
    return notebook


def for_students(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook without its solutions.

    Parameters
    ----------
    notebook : NotebookNode
        With solutions between ``### BEGIN SOLUTION`` and ``### END SOLUTION``.

    Returns
    -------
    NotebookNode
        Where each of them is an error that says that the answer is missing.
    """
    copied = copy.deepcopy(notebook)
    for cell in copied.cells:
        if cell.cell_type == "code":
            cell.source = SOLUTION.sub(r"\1# your answer\n\1raise NotImplementedError", cell.source)
    return copied


def text_of(notebook: NotebookNode) -> str:
    """Return a notebook as the text of its file."""
    return str(nbformat.writes(notebook)) + "\n"


def run(script: Path, seconds: int = 90, folder: Path | None = None) -> float:
    """Execute a notebook and return how long it took.

    Parameters
    ----------
    script : Path
        Its script.
    seconds : int
        Time that no cell may exceed.
    folder : Path, optional
        Where the notebook is written with its outputs.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    from nbclient import NotebookClient

    notebook = notebook_of(script)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": str(HERE)}}).execute()
    taken = time.perf_counter() - start
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{script.stem}.ipynb").write_text(text_of(notebook), encoding="utf-8")
    return taken


def main(words: list[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("sync", help="write the notebooks beside their scripts")
    for verb in ("student", "instructor"):
        parsed = verbs.add_parser(verb, help=f"write the {verb}s' notebooks")
        parsed.add_argument("folder", type=Path)
    parsed = verbs.add_parser("run", help="execute the notebooks")
    parsed.add_argument("names", nargs="*", help="numbers or names; all by default")
    parsed.add_argument("--to", type=Path, metavar="FOLDER", help="write them there, with their outputs")
    arguments = parser.parse_args(words)
    for script in scripts():
        if arguments.verb == "run":
            if not arguments.names or any(script.stem.startswith(name) for name in arguments.names):
                print(f"{script.stem}: {run(script, folder=arguments.to):.0f} s", flush=True)
            continue
        notebook = notebook_of(script)
        target = script.with_suffix(".ipynb")
        if arguments.verb != "sync":
            arguments.folder.mkdir(parents=True, exist_ok=True)
            target = arguments.folder / target.name
            (arguments.folder / "course.py").write_text((HERE / "course.py").read_text(encoding="utf-8"))
        notebook = for_students(notebook) if arguments.verb == "student" else notebook
        target.write_text(text_of(notebook), encoding="utf-8")
        print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
