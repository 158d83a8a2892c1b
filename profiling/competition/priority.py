"""Precedence for what is timed, where the system grants it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FIRST = -20
AUTOGROUP = Path("/proc/self/autogroup")


@contextmanager
def raised() -> Iterator[bool]:
    """Put this process, and those it starts, before others.

    Where the scheduler groups processes by session, a process's own priority counts only inside its
    session: then the session's is raised as well.

    Yields
    ------
    bool
        Whether the system has granted it; it takes root or the right to set priorities.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    group = _group_priority()
    try:
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    except (PermissionError, OSError):
        yield False
        return
    _set_group_priority(group, FIRST)
    try:
        yield True
    finally:
        _set_group_priority(group, group)
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


def _group_priority() -> int | None:
    try:
        return int(AUTOGROUP.read_text(encoding="ascii").rpartition(" ")[2])
    except (OSError, ValueError):
        return None


def _set_group_priority(known: int | None, value: int | None) -> None:
    if known is not None and value is not None:
        with suppress(OSError):
            AUTOGROUP.write_text(str(value), encoding="ascii")
