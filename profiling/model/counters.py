"""The processor's own counters, through Linux's ``perf_event_open``.

Virtual machines often have none, and the kernel's settings may keep them from users: `why_unavailable`
says which of it is the case.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")

_SYSCALL = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319, "s390x": 331}
_HARDWARE, _SOFTWARE, _CACHE = 0, 1, 3
_L1D_READ_MISS = 0 | 0 << 8 | 1 << 16
_LAST_READ_MISS = 2 | 0 << 8 | 1 << 16

HARDWARE_EVENTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "cycles": (_HARDWARE, 0),
        "instructions": (_HARDWARE, 1),
        "L1 read misses": (_CACHE, _L1D_READ_MISS),
        "last-level read misses": (_CACHE, _LAST_READ_MISS),
    }
)
"""Kind and number of each event that is counted for a kernel."""

PAGE_FAULTS = (_SOFTWARE, 2)
"""An event that every Linux has; the tests count it."""

_ATTRIBUTE_BYTES = 112
# disabled, exclude_kernel, exclude_hv
_FLAGS = 1 << 0 | 1 << 5 | 1 << 6
_ENABLE, _DISABLE, _RESET = 0x2400, 0x2401, 0x2403
# total time enabled, total time running
_READ_FORMAT = 3


class CounterError(OSError):
    """A counter that cannot be had; the message says why and what to do."""


def count_events(
    events: Mapping[str, tuple[int, int]], call: Callable[[], Any]
) -> tuple[dict[str, int], dict[str, str]]:
    """Run a call and count events of this thread in user code.

    Parameters
    ----------
    events : mapping of str to (kind, number)
        Such as `HARDWARE_EVENTS`.
    call : callable
        What is counted. It runs once for each event, so that no counter is shared out in time.

    Returns
    -------
    counts : dict of str to int
        By event.
    reasons : dict of str to str
        Why there is no count, for the others.

    Examples
    --------
    >>> counts, reasons = count_events(HARDWARE_EVENTS, lambda: None)
    >>> sorted([*counts, *reasons]) == sorted(HARDWARE_EVENTS)
    True
    """
    counts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for name, (kind, number) in events.items():
        try:
            counts[name] = _count(kind, number, call)
        except CounterError as error:
            reasons[name] = str(error.strerror)
    return counts, reasons


def why_unavailable() -> str | None:
    """Return why this machine counts no cycles for us, or None.

    Returns
    -------
    str or None
        One sentence without a full stop.

    Examples
    --------
    >>> why_unavailable() != ""
    True
    """
    return count_events({"cycles": HARDWARE_EVENTS["cycles"]}, lambda: None)[1].get("cycles")


def _count(kind: int, number: int, call: Callable[[], Any]) -> int:
    descriptor = _open(kind, number)
    try:
        import fcntl

        fcntl.ioctl(descriptor, _RESET, 0)
        fcntl.ioctl(descriptor, _ENABLE, 0)
        try:
            call()
        finally:
            fcntl.ioctl(descriptor, _DISABLE, 0)
        count, enabled, running = (int(word) for word in struct.unpack("QQQ", os.read(descriptor, 24)))
    finally:
        os.close(descriptor)
    if enabled and not running:
        raise CounterError(errno.EBUSY, "all counters of the processor are taken by others")
    return count * enabled // running if running else count


def _open(kind: int, number: int) -> int:
    syscall = _SYSCALL.get(platform.machine())
    if not sys.platform.startswith("linux") or syscall is None:
        raise CounterError(
            errno.ENOSYS, f"counters are read on Linux only, not on {sys.platform} {platform.machine()}"
        )
    # struct perf_event_attr: type, size, config, sample_period, sample_type, read_format, flags.
    attribute = struct.pack("IIQQQQQ", kind, _ATTRIBUTE_BYTES, number, 0, 0, _READ_FORMAT, _FLAGS)
    buffer = ctypes.create_string_buffer(attribute, _ATTRIBUTE_BYTES)
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    arguments = (ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(-1), ctypes.c_ulong(8))
    descriptor = library.syscall(ctypes.c_long(syscall), buffer, *arguments)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise CounterError(number, _reason(number))
    return int(descriptor)


def _reason(number: int) -> str:
    if number in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV, errno.EINVAL):
        return "this machine has no such counter; virtual machines and containers often hide them"
    if number in (errno.EACCES, errno.EPERM):
        level = PARANOID.read_text(encoding="ascii").strip() if PARANOID.is_file() else "unknown"
        return (
            f"the kernel keeps counters from users (perf_event_paranoid is {level}); an administrator allows "
            "them with: sysctl kernel.perf_event_paranoid=2"
        )
    if number == errno.ENOSYS:
        return "perf_event_open is blocked here, as in many containers"
    return f"perf_event_open failed: {os.strerror(number)}"
