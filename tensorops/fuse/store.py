"""Compiled kernels on disk: found by their key, checked before they are loaded, bounded in number and size.

A kernel is ``KEY.so`` with ``KEY.sum``, its checksum, beside it. Each is renamed into its place when it is
complete; a file that does not fit its checksum is compiled anew. The lock files are never removed: a process
that waits for one would lock a deleted file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tensorops.runtime import paths

MAX_BYTES = 64 << 20
MAX_KERNELS = 1000
# What a killed process left is removed after this time.
LEFTOVER_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Found:
    """A compiled kernel.

    Attributes
    ----------
    path : Path
        The file to load.
    complaint : str
        Why it could not be stored; empty if it was.
    temporary : Path or None
        A folder to remove after loading.
    """

    path: Path
    complaint: str = ""
    temporary: Path | None = None


def folder() -> Path:
    """Return the folder of the compiled kernels; it need not exist.

    Returns
    -------
    Path
        ``fuse`` in the library's cache folder.

    Examples
    --------
    >>> folder().name
    'fuse'
    """
    return paths.cache_dir() / "fuse"


def look_up(key: str) -> Path | None:
    """Return a stored kernel.

    Parameters
    ----------
    key : str
        Its key.

    Returns
    -------
    Path or None
        The file, if there is one that fits its checksum and that nobody else could have written.
    """
    path = folder() / f"{key}.so"
    try:
        expected = path.with_suffix(".sum").read_text(encoding="ascii")
        content = path.read_bytes()
    except (OSError, UnicodeDecodeError):
        return None
    if hashlib.sha256(content).hexdigest() != expected.strip() or _open_to_others(path):
        return None
    with contextlib.suppress(OSError):
        # Its time tells when it was last used.
        os.utime(path)
    return path


def obtain(key: str, build: Callable[[Path], Path]) -> Found:
    """Return a stored kernel, or build and store it; of several processes one builds.

    Parameters
    ----------
    key : str
        The kernel's key.
    build : callable
        ``build(folder)`` compiles it in an empty folder and returns the file.

    Returns
    -------
    Found
        The file, and why it is not in the cache if it could not be stored there.
    """
    path = look_up(key)
    if path is not None:
        return Found(path)
    try:
        target = folder()
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _open_to_others(target):
            raise PermissionError(f"others may write to {target}")
        with _locked(target / f"lock-{key[0]}"):
            path = look_up(key)
            if path is not None:
                return Found(path)
            with tempfile.TemporaryDirectory(prefix=".build-", dir=target) as work:
                path = _store(build(Path(work)), target / f"{key}.so")
            _evict(target, path)
            return Found(path)
    except OSError as error:
        work = tempfile.mkdtemp(prefix="tensorops-fuse-")
        try:
            return Found(build(Path(work)), f"{type(error).__name__}: {error}", Path(work))
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise


def clear() -> int:
    """Remove every stored kernel.

    Returns
    -------
    int
        How many there were.
    """
    count = 0
    for path in _files(folder()):
        count += path.suffix == ".so"
        _remove(path)
    return count


def _store(built: Path, target: Path) -> Path:
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    checksum = built.with_suffix(".sum")
    checksum.write_text(digest + "\n", encoding="ascii")
    built.replace(target)
    checksum.replace(target.with_suffix(".sum"))
    return target


def _files(where: Path) -> list[Path]:
    try:
        return [path for path in where.iterdir() if path.suffix in (".so", ".sum") or path.is_dir()]
    except OSError:
        return []


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _evict(where: Path, newest: Path) -> None:
    """Remove what was used longest ago until the rest is within bounds, and what killed processes left."""
    kernels = []
    for path in _files(where):
        try:
            status = path.stat()
        except OSError:
            continue
        if path.suffix == ".so":
            kernels.append((status.st_mtime, status.st_size, path))
        elif time.time() - status.st_mtime > LEFTOVER_SECONDS and not path.with_suffix(".so").exists():
            _remove(path)
    total, count = sum(size for _, size, _ in kernels), len(kernels)
    for _, size, path in sorted(kernels):
        if total <= MAX_BYTES and count <= MAX_KERNELS:
            return
        if path != newest:
            for suffix in (".sum", ".so"):
                _remove(path.with_suffix(suffix))
            total, count = total - size, count - 1


def _open_to_others(path: Path) -> bool:
    """Tell whether someone else than this user could have written a file: it would be run."""
    if sys.platform == "win32":
        return False
    status = path.stat()
    return status.st_uid not in (os.geteuid(), 0) or bool(status.st_mode & stat.S_IWOTH)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
