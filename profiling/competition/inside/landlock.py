"""Landlock: which files this process may still open, whatever its user may."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

CREATE, ADD_RULE, RESTRICT = 444, 445, 446
GET_VERSION = 1
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
# One right per bit, by the version that brought it: 13 in the first, then REFER, TRUNCATE and IOCTL_DEV.
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
TCP = 3
SCOPES = 3
"""No abstract sockets and no signals to processes outside."""


def version() -> int:
    """Return the version of Landlock of this kernel, 0 where it has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = int(libc.syscall(ctypes.c_long(CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(GET_VERSION)))
    return max(0, found)


def restrict(
    *, read: Iterable[str], names: Iterable[str] = (), execute: Iterable[str] = (), write: Iterable[str] = ()
) -> None:
    """Allow this thread, and the threads and processes that it starts, some files only.

    Parameters
    ----------
    read : iterable of str
        Files and folders that may be read.
    names : iterable of str
        Folders of which only the names may be listed.
    execute : iterable of str
        Files and folders that may be read and executed.
    write : iterable of str
        Folders in which everything may be done.

    Raises
    ------
    OSError
        Where the kernel has no Landlock or refuses.
    """
    found = version()
    if not found:
        raise OSError("this kernel has no Landlock")
    libc = ctypes.CDLL(None, use_errno=True)
    rights = max(value for least, value in RIGHTS.items() if least <= found)
    attributes = struct.pack("=QQQ", rights, TCP if found >= 4 else 0, SCOPES if found >= 6 else 0)
    size = 8 if found < 4 else 16 if found < 6 else 24
    ruleset = libc.syscall(ctypes.c_long(CREATE), attributes[:size], ctypes.c_size_t(size), ctypes.c_uint(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock refused the set of rights")
    try:
        for paths, allowed in (
            (read, READ_FILE | READ_DIR),
            (names, READ_DIR),
            (execute, READ_FILE | READ_DIR | EXECUTE),
            (write, rights),
        ):
            for path in paths:
                _allow(libc, ruleset, path, allowed & rights)
        libc.prctl(38, 1, 0, 0, 0)
        if libc.syscall(ctypes.c_long(RESTRICT), ctypes.c_int(ruleset), ctypes.c_uint(0)) != 0:
            raise OSError(ctypes.get_errno(), "Landlock refused to restrict the process")
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, allowed: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - the fewer modules in the box the better
            allowed &= FILE_RIGHTS
        rule = struct.pack("=Qi", allowed, handle)
        if libc.syscall(ctypes.c_long(ADD_RULE), ctypes.c_int(ruleset), PATH_BENEATH, rule, ctypes.c_uint(0)):
            raise OSError(ctypes.get_errno(), f"Landlock refused the rule for {path}")
    finally:
        os.close(handle)
