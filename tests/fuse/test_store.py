"""The cache on disk: faults, several processes, bounds; no compiler runs here but where it says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tensorops
from tensorops.fuse import building, compiler, store
from tensorops.fuse.errors import FuseError, FuseWarning
from tests.fuse.conftest import Define

ROOT = Path(__file__).resolve().parents[2]
KEY = "0123456789abcdef"
TEXT = "def f(x):\n    return x * 2.0 + 1"


def builder(content: bytes = b"kernel") -> Callable[[Path], Path]:
    """Return what takes the place of the compiler."""

    def build(folder: Path) -> Path:
        path = folder / "built.so"
        path.write_bytes(content)
        return path

    return build


def never(folder: Path) -> Path:
    """Fail: nothing is to be compiled."""
    raise AssertionError("compiled again")


def test_a_kernel_is_built_once(cache_dir: Path) -> None:
    found = store.obtain(KEY, builder())
    assert (found.path.read_bytes(), found.complaint) == (b"kernel", "")
    assert store.obtain(KEY, never) == found
    assert not [path for path in store.folder().iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:3]),
        lambda path: path.write_bytes(b"other!"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".sum").unlink(),
        lambda path: path.with_suffix(".sum").write_bytes(b"\xff\xfe"),
        lambda path: path.chmod(0o666),
    ],
)
def test_a_damaged_kernel_is_built_anew(damage: Callable[[Path], object], cache_dir: Path) -> None:
    path = store.obtain(KEY, builder()).path
    damage(path)
    assert store.look_up(KEY) is None
    assert store.obtain(KEY, builder(b"again")).path.read_bytes() == b"again"
    assert store.look_up(KEY) == path


def test_a_folder_that_is_a_file_is_no_hindrance(cache_dir: Path) -> None:
    cache_dir.write_bytes(b"")
    found = store.obtain(KEY, builder())
    assert found.path.read_bytes() == b"kernel"
    assert "Error" in found.complaint
    assert found.temporary is not None
    shutil.rmtree(found.temporary)


def test_a_folder_that_others_may_write_to_is_not_used(cache_dir: Path) -> None:
    store.folder().mkdir(parents=True)
    store.folder().chmod(0o777)
    found = store.obtain(KEY, builder())
    assert "others may write" in found.complaint
    assert found.temporary is not None
    shutil.rmtree(found.temporary)


def test_a_full_disk_is_no_hindrance(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_store", full)
    found = store.obtain(KEY, builder())
    assert found.path.read_bytes() == b"kernel"
    assert "No space left" in found.complaint
    assert found.temporary is not None
    shutil.rmtree(found.temporary)


def test_an_error_of_the_compiler_leaves_nothing_behind(cache_dir: Path) -> None:
    def fails(folder: Path) -> Path:
        (folder / "half.c").write_bytes(b"")
        raise FuseError("the C compiler failed")

    with pytest.raises(FuseError):
        store.obtain(KEY, fails)
    assert [path.name for path in store.folder().iterdir()] == ["lock-0"]


def test_what_was_used_longest_ago_goes_first(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_KERNELS", 3)
    for number in range(3):
        path = store.obtain(f"{number}abc", builder()).path
        os.utime(path, (1000 + number, 1000 + number))
    assert store.look_up("0abc") is not None
    store.obtain("3abc", builder())
    assert [store.look_up(f"{number}abc") is not None for number in range(4)] == [True, False, True, True]
    monkeypatch.setattr(store, "MAX_BYTES", 13)
    store.obtain("4abc", builder())
    assert sum(path.suffix == ".so" for path in store.folder().iterdir()) == 2
    assert store.look_up("4abc") is not None


def test_leftovers_of_a_killed_process_go(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.folder().mkdir(parents=True, mode=0o700)
    (store.folder() / ".build-x").mkdir()
    (store.folder() / "ffff.sum").write_text("")
    monkeypatch.setattr(store, "LEFTOVER_SECONDS", -1.0)
    store.obtain(KEY, builder())
    assert {path.name for path in store.folder().iterdir()} == {f"{KEY}.so", f"{KEY}.sum", "lock-0"}


def test_clear(cache_dir: Path) -> None:
    assert tensorops.fuse.clear() == 0
    store.obtain(KEY, builder())
    assert tensorops.fuse.folder == store.folder()
    assert tensorops.fuse.clear() == 1
    assert store.look_up(KEY) is None


def test_of_several_threads_one_builds(cache_dir: Path) -> None:
    count = []

    def build(folder: Path) -> Path:
        count.append(1)
        time.sleep(0.05)
        return builder()(folder)

    threads = [threading.Thread(target=store.obtain, args=(KEY, build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count) == 1


def test_without_a_compiler(define: Define, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc -O2")
    with pytest.raises(FuseError, match="no C compiler: '/nowhere/cc'"):
        tensorops.fuse(define(TEXT), strict=True)(np.ones(3))
    fused = tensorops.fuse(define(TEXT))
    with pytest.warns(FuseWarning, match="no C compiler"):
        assert np.array_equal(fused(np.ones(3)), [3, 3, 3])
    assert np.array_equal(fused(np.ones(3)), [3, 3, 3])


def test_without_cython(cache_dir: Path, define: Define, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_modules", {})
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FuseError, match=r"tensorops\[fuse\]"):
        tensorops.fuse(define(TEXT), strict=True)(np.ones(3))


def test_a_compiler_that_fails_is_quoted(
    cache_dir: Path, tmp_path: Path, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "cc"
    fake.write_text("#!/bin/sh\necho 'Python.h: No such file' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(building, "_modules", {})
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(FuseError, match=r"Python\.h: No such file"):
        tensorops.fuse(define(TEXT), strict=True)(np.ones(3))


PROGRAM = """
import json, sys, time
import numpy as np, tensorops
sys.path.insert(0, sys.argv[1])
from fused_functions import f
print(json.dumps({"result": f(np.arange(5.0)).tolist(), "cython": "Cython" in sys.modules}))
"""


def test_processes_share_what_one_has_compiled(cache_dir: Path, tmp_path: Path) -> None:
    """Three at once on an empty cache, one afterwards, which needs neither Cython nor the compiler."""
    (tmp_path / "fused_functions.py").write_text(
        f"import tensorops\n\n@tensorops.fuse(strict=True)\n{TEXT}\n", encoding="utf-8"
    )
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)]
    environment = {**os.environ, "TENSOROPS_CACHE_DIR": str(cache_dir)}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)

    found = [json.loads(process.communicate()[0]) for process in [start() for _ in range(3)]]
    assert [item["result"] for item in found] == [[1.0, 3.0, 5.0, 7.0, 9.0]] * 3
    assert sum(path.suffix == ".so" for path in (cache_dir / "fuse").iterdir()) == 1
    assert sum(item["cython"] for item in found) == 1
    again = json.loads(start().communicate()[0])
    assert again == {"result": [1.0, 3.0, 5.0, 7.0, 9.0], "cython": False}
