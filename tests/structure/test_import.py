"""``import tensorops`` loads NumPy and nothing else, and leaves the process as it found it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import json, os, sys
import numpy
threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
before = set(sys.modules)
written = []
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & writing:
        written.append(str(arguments[0]))
    if event == "os.mkdir":
        written.append(str(arguments[0]))
sys.addaudithook(hook)
import tensorops
modules = set(sys.modules) - before
loaded = {name.split(".")[0] for name in modules}
print(json.dumps({
    "modules": sorted(modules),
    "packages": sorted(loaded - sys.stdlib_module_names),
    "threads": len(os.listdir("/proc/self/task")) - threads if threads else 0,
    "written": written,
}))
"""


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Return what importing the library did to a fresh interpreter."""
    cache = tmp_path_factory.mktemp("import") / "cache"
    completed = subprocess.run(
        [sys.executable, "-B", "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TENSOROPS_CACHE_DIR": str(cache)},
        cwd=Path(__file__).resolve().parents[2],
    )
    assert not cache.exists()
    found: dict[str, object] = json.loads(completed.stdout)
    return found


def test_only_numpy_is_loaded(effects: dict[str, object]) -> None:
    # Cython's own bookkeeping modules carry its version in their name.
    packages = {name for name in effects["packages"] if not name.startswith(("_cython_", "cython_runtime"))}
    assert packages - {"numpy"} == {"tensorops"}


# What few programs need, or not before the first call of an operation: each takes a millisecond or more.
LATER = {
    "tensorops.adapters",
    "tensorops.backends.base",
    "tensorops.configuration",
    "tensorops.dispatch.cost_model",
    "tensorops.dispatch.explanation",
    "tensorops.dispatch.policy",
    "tensorops.dispatch.schema",
    "tensorops.dispatch.selection",
    "tensorops.elementwise_table",
    "tensorops.fuse.function",
    "tensorops.nn",
    "tensorops.numpy_twins",
    "tensorops.operations",
    "tensorops.reference",
    "tensorops.specs",
    "asyncio",
    "hashlib",
    "importlib.metadata",
    "json",
    "subprocess",
    "tempfile",
}


def test_what_is_heavy_is_left_for_later(effects: dict[str, object]) -> None:
    assert LATER & set(effects["modules"]) == set()


def test_what_is_left_for_later_comes_when_it_is_asked_for() -> None:
    code = "import tensorops; tensorops.exp([0.0]); print(tensorops.explain('relu', (2,)).choice.path)"
    completed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "TENSOROPS_PROFILE": "none"},
    )
    assert completed.stdout == "blocked\n"


def test_no_thread_is_started(effects: dict[str, object]) -> None:
    assert effects["threads"] == 0


def test_no_file_is_written(effects: dict[str, object]) -> None:
    assert effects["written"] == []


def test_a_missing_build_is_explained(tmp_path: Path) -> None:
    """Without its compiled modules the package names the command that builds them."""
    root = Path(__file__).resolve().parents[2]
    for source in (root / "tensorops").rglob("*.py"):
        copy = tmp_path / source.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    completed = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            "import sys; sys.path[:0] = sys.argv[1:]; import tensorops",
            str(tmp_path),
            _numpy(),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert completed.returncode == 1
    assert "ImportError:" in completed.stderr
    assert "python setup.py build_ext --inplace" in completed.stderr


def _numpy() -> str:
    import numpy

    return str(Path(numpy.__file__).parents[1])
