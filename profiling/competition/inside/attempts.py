"""What a submission must not be able to do, tried from within: prints which ways are closed, and how."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from . import confine, seccomp, syscalls

PTRACE_ATTACH = 16


def main(configuration: dict[str, Any]) -> None:
    """Confine this process as a kernel is, and try.

    Parameters
    ----------
    configuration : dict
        Paths of a secret file and of one to be written, and the judge's process.
    """
    try:
        confine.enter_namespaces()
        namespaces = True
    except OSError:
        namespaces = False
    confine.leave_privileges()
    confine.confine_files(configuration["read"], configuration["names"], [], [])
    confine.limit(seconds=20, file_bytes=0, files=64)
    # The calls themselves, not their signals: the trial has to go on.
    program = seccomp.computing().replace(_trap(), _refusal())
    confine.confine_calls(program)
    libc = ctypes.CDLL(None, use_errno=True)
    judge = configuration["judge"]
    index, _ = syscalls.place()
    socket = syscalls.NETWORK["socket"][index]
    found = {
        "reading files": _refused(lambda: os.open(configuration["secret"], os.O_RDONLY)),
        "writing files": _refused(lambda: os.open(configuration["written"], os.O_WRONLY | os.O_CREAT)),
        "sockets": libc.syscall(ctypes.c_long(socket or 0), 2, 1, 0) < 0,
        "new processes": _refused(_fork),
        "signals": _refused(lambda: os.kill(judge, 0)),
        "other processes": libc.ptrace(PTRACE_ATTACH, judge, None, None) < 0,
        "executing": _refused(lambda: os.execv("/bin/true", ["true"])),
    }
    sys.stdout.write(json.dumps({"closed": found, "namespaces": namespaces}))


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _trap() -> bytes:
    return seccomp.RETURN.to_bytes(2, sys.byteorder) + bytes(2) + seccomp.TRAP.to_bytes(4, sys.byteorder)


def _refusal() -> bytes:
    action = seccomp.ERRNO | seccomp.EPERM
    return seccomp.RETURN.to_bytes(2, sys.byteorder) + bytes(2) + action.to_bytes(4, sys.byteorder)
