"""Backends of other distributions, really installed: pip's own metadata, found in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

GOOD = """
from tensorops.backends import ComputeBackend

class TwiceBackend(ComputeBackend):
    name = "twice"

    def supports(self, call):
        return None if call.op == "matmul" else f"it has no {call.op}"

    def run(self, op, arrays, out, *, variant=None, **params):
        a, b = arrays
        out[...] = 2 * (a @ b)
        return out
"""

BROKEN = {
    "an import that fails": ("import no_such_package", "ModuleNotFoundError"),
    "a syntax error": ("class", "SyntaxError"),
    "an exit": ("raise SystemExit(3)", "SystemExit"),
    "no such name": ("", "AttributeError"),
    "no backend": ("TwiceBackend = dict", "TypeError"),
    "a constructor that fails": (
        GOOD + "    def __init__(self):\n        raise OSError('no driver')\n",
        "OSError: no driver",
    ),
    "a name that is taken": (GOOD.replace('"twice"', '"numpy"'), "'numpy' is there already"),
    "a name that cannot stand in a path": (GOOD.replace('"twice"', '"a/b"'), "not an identifier"),
}
ANSWERS = {
    "available": "    def available(self):\n        raise OSError('driver lost')\n",
    "automatic": "    def automatic(self):\n        raise OSError('driver lost')\n",
}


def install(folder: Path, source: str) -> None:
    """Install a distribution with one backend into a folder, as the installer leaves it behind."""
    (folder / "twice_backend.py").write_text(source, encoding="utf-8")
    metadata = folder / "twice-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: twice\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(
        "[tensorops.backends]\ntwice = twice_backend:TwiceBackend\n", encoding="utf-8"
    )


def run(folder: Path, code: str, **variables: str) -> str:
    path = os.pathsep.join([str(folder), str(ROOT)])
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import numpy as np, tensorops\nx = np.eye(3)\n" + code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **variables},
        cwd=folder,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_it_is_found_and_computes(tmp_path: Path) -> None:
    install(tmp_path, GOOD)
    run(
        tmp_path,
        "import sys\n"
        "assert 'twice_backend' not in sys.modules\n"
        "assert tensorops.backends()['twice'] is None\n"
        "assert (tensorops.matmul(x, x, backend='twice') == 2 * x).all()\n"
        "with tensorops.use_backend('twice'):\n"
        "    assert (tensorops.matmul(x, x[0]) == 2 * x[0]).all()\n"
        "assert (tensorops.matmul(x, x) == x).all()\n"
        "assert 'twice' in [item.path for item in tensorops.explain('matmul', x, x).choice.candidates]\n",
    )
    run(tmp_path, "assert (tensorops.matmul(x, x) == 2 * x).all()", TENSOROPS_BACKEND="twice")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_is_a_reason(name: str, tmp_path: Path) -> None:
    source, reason = BROKEN[name]
    install(tmp_path, source)
    listed = run(
        tmp_path,
        "assert (tensorops.matmul(x, x) == x).all()\n"
        "assert (tensorops.matmul(x, x, backend='naive') == x).all()\n"
        "print(tensorops.explain('matmul', x, x))\n"
        "tensorops.show_config()\n"
        "print(tensorops.backends()['twice'])\n",
    )
    assert "could not be loaded" in listed.splitlines()[-1]
    assert reason in listed.splitlines()[-1]
    run(
        tmp_path,
        "try:\n    tensorops.matmul(x, x, backend='twice')\n"
        "except ValueError as error:\n    assert 'could not be loaded' in str(error), error\n"
        "else:\n    raise AssertionError\n",
    )


@pytest.mark.parametrize("question", ANSWERS)
def test_one_that_fails_to_answer_is_left_out(question: str, tmp_path: Path) -> None:
    install(tmp_path, GOOD + ANSWERS[question])
    listed = run(
        tmp_path,
        "assert (tensorops.matmul(x, x) == x).all()\nprint(tensorops.explain('matmul', x, x))\n",
    )
    assert f"{question}() failed: OSError: driver lost" in listed
