"""A thread of the judge that ends a box which nothing else would end.

The judge waits without a limit for a process to stand still: that takes microseconds, and a limit would
cost as much. Should a submission find a way not to stop, or start threads until the system has no room
for others, the warden kills it; the wait is over then.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

PERIOD = 0.1
STOP_SECONDS = 5.0
MOST_THREADS = max(512, 4 * (os.cpu_count() or 1))
_THREADS_FIELD = 17
"""Of /proc/PID/stat, counted behind the command's name."""


class Warden:
    """The guard of one box.

    Parameters
    ----------
    process : int
        The box; a child of this process that nobody has waited for.
    """

    def __init__(self, process: int) -> None:
        self.process = process
        self.reason = ""
        self._stop_by: float | None = None
        self._dismissed = threading.Event()
        self._stat = os.open(f"/proc/{process}/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._watch, name="warden", daemon=True)
        self._thread.start()

    def expect_stop(self) -> None:
        """Begin to wait for the process to stand still."""
        self._stop_by = time.monotonic() + STOP_SECONDS

    def stopped(self) -> None:
        """End the wait."""
        self._stop_by = None

    def dismiss(self) -> None:
        """End the watch; the process may be waited for afterwards."""
        self._dismissed.set()
        self._thread.join()
        os.close(self._stat)

    def _watch(self) -> None:
        while not self._dismissed.wait(PERIOD):
            reason = self._cause()
            if reason:
                self.reason = reason
                # Nobody else has waited for it, so its number is still its own.
                with suppress(ProcessLookupError):
                    os.kill(self.process, signal.SIGKILL)
                return

    def _cause(self) -> str:
        stop_by = self._stop_by
        if stop_by is not None and time.monotonic() > stop_by:
            return f"the process did not stand still within {STOP_SECONDS:g} s"
        try:
            fields = os.pread(self._stat, 4096, 0).rpartition(b")")[2].split()
            threads = int(fields[_THREADS_FIELD])
        except (OSError, IndexError, ValueError):
            return ""
        return f"more than {MOST_THREADS} threads" if threads > MOST_THREADS else ""
