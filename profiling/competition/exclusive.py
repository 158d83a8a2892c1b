"""One timed run on a machine at a time, whoever starts it and whichever competition it is for."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock_path() -> Path:
    """Return the file that all judges of this machine lock."""
    return Path(tempfile.gettempdir()) / "tensorops-competition.lock"


@contextmanager
def machine_lock() -> Iterator[None]:
    """Wait until nobody else is timed on this machine.

    The system gives the lock back when a judge is killed.

    Yields
    ------
    None
        While nobody else is timed.

    Raises
    ------
    OSError
        If somebody has put something else than a file in the lock's place.
    """
    path = lock_path()
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        # Another user's judge has to be able to lock it, too.
        mask = os.umask(0)
        try:
            handle = os.open(path, flags | os.O_CREAT, 0o666)
        finally:
            os.umask(mask)
    except PermissionError:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is in the way: it is no file")
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
