"""The filter of system calls: a small classic-BPF program, installed for all threads of the process."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from . import syscalls

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, TRAP, ERRNO, KILL = 0x7FFF0000, 0x00030000, 0x00050000, 0x80000000
EPERM, ENOSYS = 1, 38
CLONE_THREAD, CLONE_VFORK = 0x10000, 0x4000
STOPPING = (18, 19, 20, 21, 22)
"""SIGCONT and the signals that stop: only the judge says when a box stands still."""
X32_BIT = 0x40000000
PR_SET_NO_NEW_PRIVS, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA = 38, 15, 16, 0x53564D41
DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL and F_DUPFD_CLOEXEC of fcntl."""
SET_MODE_FILTER, FLAG_TSYNC = 1, 1
SECCOMP = (317, 277)
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


class Program:
    """Instructions, each test being followed by its own return, so that no jump is far."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def add(self, code: int, value: int, yes: int = 0, no: int = 0) -> None:
        """Append one instruction; `yes` and `no` are numbers of instructions to skip."""
        self.code.append((code, yes, no, value))

    def returns(self, action: int) -> None:
        """Append the end with an action."""
        self.add(RETURN, action)

    def each(self, numbers: Iterable[int], action: int) -> None:
        """Answer some system calls with an action."""
        for number in numbers:
            self.add(EQUAL, number, 0, 1)
            self.returns(action)

    def bytes(self) -> bytes:
        """Return the program as the kernel reads it."""
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in self.code)


def _argument(index: int) -> int:
    return FIRST_ARGUMENT + 8 * index


def computing(*, choosing: bool = False) -> bytes:
    """Return the filter of a kernel: what is not needed for computing is refused, what attacks is fatal.

    Parameters
    ----------
    choosing : bool
        Whether it may choose among processors: where it has them all.

    Returns
    -------
    bytes
        A refused call fails with EPERM; one that can only be an attack ends the process with SIGSYS,
        so that the judge can name it.
    """
    program = _head()
    index, _ = syscalls.place()
    own = {name: pair[index] for name, pair in syscalls.JUDGED_BY_ARGUMENT.items()}
    # A new thread is fine, a new process is not. glibc falls back to clone where clone3 is unknown,
    # and the flags of clone3 cannot be read by a filter.
    program.add(EQUAL, _number(own["clone3"]), 0, 1)
    program.returns(ERRNO | ENOSYS)
    # Who waits for a vfork cannot be stopped, and the judge would wait with it.
    program.add(EQUAL, _number(own["clone"]), 0, 6)
    program.add(LOAD, _argument(0))
    program.add(ANY_BIT, CLONE_VFORK, 0, 1)
    program.returns(TRAP)
    program.add(ANY_BIT, CLONE_THREAD, 0, 1)
    program.returns(ALLOW)
    program.returns(TRAP)
    # abort() signals the process itself, which nobody else can be hurt by. A signal to go on would
    # take back the judge's to stop.
    for name, place in (("tgkill", 2), ("kill", 1)):
        program.add(EQUAL, _number(own[name]), 0, 5 + 2 * len(STOPPING))
        program.add(LOAD, _argument(0))
        program.add(EQUAL, os.getpid(), 1, 0)
        program.returns(TRAP)
        program.add(LOAD, _argument(place))
        for number in STOPPING:
            program.add(EQUAL, number, 0, 1)
            program.returns(TRAP)
        program.returns(ALLOW)
    program.add(EQUAL, _number(own["prctl"]), 0, 6)
    program.add(LOAD, _argument(0))
    for option in (PR_SET_NAME, PR_GET_NAME):
        program.add(EQUAL, option, 0, 1)
        program.returns(ALLOW)
    program.returns(ERRNO | EPERM)
    # A descriptor may be copied and asked; its owner and signal could reach the judge.
    program.add(EQUAL, _number(own["fcntl"]), 0, 2 * len(DESCRIPTOR_COMMANDS) + 2)
    program.add(LOAD, _argument(1))
    for command in DESCRIPTOR_COMMANDS:
        program.add(EQUAL, command, 0, 1)
        program.returns(ALLOW)
    program.returns(ERRNO | EPERM)
    # Limits may be read (the new value is a null pointer), not set.
    program.add(EQUAL, _number(own["prlimit64"]), 0, 6)
    program.add(LOAD, _argument(2))
    program.add(EQUAL, 0, 0, 3)
    program.add(LOAD, _argument(2) + 4)
    program.add(EQUAL, 0, 0, 1)
    program.returns(ALLOW)
    program.returns(ERRNO | EPERM)
    program.each(syscalls.numbers(syscalls.COMPUTING), ALLOW)
    program.each(syscalls.numbers(syscalls.PROCESSORS), ALLOW if choosing else TRAP)
    program.each(
        syscalls.numbers(
            syscalls.NETWORK,
            syscalls.OTHER_PROCESSES,
            syscalls.KERNEL,
            syscalls.NEW_PROCESSES,
            syscalls.CHANGED_FILES,
        ),
        TRAP,
    )
    program.returns(ERRNO | EPERM)
    return program.bytes()


def compiling() -> bytes:
    """Return the filter of the compiler's box: processes and files, but no network and nobody else.

    Returns
    -------
    bytes
        Everything is allowed that is not refused with EPERM.
    """
    program = _head()
    program.each(syscalls.numbers(syscalls.NETWORK, syscalls.OTHER_PROCESSES, syscalls.KERNEL), ERRNO | EPERM)
    program.returns(ALLOW)
    return program.bytes()


def install(program: bytes) -> None:
    """Put every thread of this process under a filter, for good.

    Parameters
    ----------
    program : bytes
        As `computing` and `compiling` return it.

    Raises
    ------
    OSError
        Where the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS was refused")
    buffer = ctypes.create_string_buffer(program)
    fields = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    index, _ = syscalls.place()
    if libc.syscall(ctypes.c_long(SECCOMP[index]), SET_MODE_FILTER, FLAG_TSYNC, fields) != 0:
        raise OSError(ctypes.get_errno(), "the seccomp filter was refused")


def _head() -> Program:
    program = Program()
    _, architecture = syscalls.place()
    program.add(LOAD, ARCHITECTURE)
    program.add(EQUAL, architecture, 1, 0)
    program.returns(KILL)
    program.add(LOAD, NUMBER)
    # The second table of numbers that x86-64 kernels may have.
    program.add(AT_LEAST, X32_BIT, 0, 1)
    program.returns(KILL)
    return program


def _number(number: int | None) -> int:
    assert number is not None
    return number
