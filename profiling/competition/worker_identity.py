"""Who works on a job, told so that another process can see whether it is still alive.

Wall clocks jump; so leases are measured by the time since the machine was started, and a worker is named
by that start, its process number and the moment at which this process began.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot_time() -> float:
    """Return seconds since the machine was started; no clock setting changes them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _boot() -> str:
    return _BOOT.read_text(encoding="ascii").strip() if _BOOT.is_file() else ""


def _began(process: int) -> str:
    try:
        fields = (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        )
    except OSError:
        return ""
    state, *rest = fields.split()
    return "" if state == "Z" else rest[18]


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that judges.

    Attributes
    ----------
    text : str
        Start of the machine, process number, start of the process.
    """

    text: str

    @staticmethod
    def current() -> Worker:
        """Return this process."""
        return Worker(f"{_boot()} {os.getpid()} {_began(os.getpid())}")

    def alive(self) -> bool:
        """Tell whether the process still runs on this start of the machine.

        Examples
        --------
        >>> Worker.current().alive(), Worker("").alive()
        (True, False)
        """
        parts = (self.text or "").split(" ")
        if len(parts) != 3 or not parts[1].isdecimal():
            return False
        boot, process, began = parts
        return boot == _boot() and began != "" and _began(int(process)) == began
