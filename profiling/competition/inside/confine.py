"""The order in which a process gives up what it may do, before a submission is in it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

from . import landlock, seccomp

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x4000000, 0x8000000, 0x10000000, 0x40000000
CAPABILITIES = 64
CAPABILITY_VERSION = 0x20080522
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
PROCESSORS = ("/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo", "/dev/null", "/dev/urandom")


def enter_namespaces() -> None:
    """Go where there is no network, no shared memory of other processes and no right over this system.

    The process must have one thread. It stays the judge's child, which a program like bubblewrap would come
    between: only a parent can wait until a process stands still.

    Raises
    ------
    OSError
        Where the system does not let its users do so.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0:
        raise OSError(ctypes.get_errno(), "new namespaces were refused")


def leave_privileges() -> None:
    """End with the judge, hide from other processes, and drop what root could do."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    head = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    libc.capset(head, bytes(24))


def limit(*, seconds: int, file_bytes: int, files: int, memory: int | None = None) -> None:
    """Set the limits that only a computation needs.

    Parameters
    ----------
    seconds : int
        Processor time.
    file_bytes : int
        Largest file that may be written.
    files : int
        Open files.
    memory : int, optional
        Address space beyond what the process has now.
    """
    _cap(resource.RLIMIT_CPU, seconds, seconds + 1)
    _cap(resource.RLIMIT_CORE, 0, 0)
    _cap(resource.RLIMIT_FSIZE, file_bytes, file_bytes)
    _cap(resource.RLIMIT_NOFILE, files, files)
    _cap(resource.RLIMIT_MEMLOCK, 0, 0)
    if memory is not None:
        _cap(resource.RLIMIT_AS, memory, memory)


def _cap(kind: int, soft: int, hard: int) -> None:
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def address_space(statm: int) -> int:
    """Return the bytes of address space of this process.

    Parameters
    ----------
    statm : int
        ``/proc/self/statm``, opened while it could be.
    """
    return int(os.pread(statm, 200, 0).split()[0]) * resource.getpagesize()


def confine_files(read: list[str], names: list[str], write: list[str], execute: list[str]) -> None:
    """Put the process under Landlock. It must have one thread: others would stay free."""
    landlock.restrict(read=[*PROCESSORS, *read], names=names, write=write, execute=execute)


def confine_calls(program: bytes) -> None:
    """Put all threads under a filter of system calls."""
    seccomp.install(program)
