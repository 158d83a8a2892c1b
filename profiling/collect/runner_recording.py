"""A script's calls of the library, recorded in the process that runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import CodeType

from .runner_imports import toolkit_on_path
from .runner_state import write_atomically


class CallRecording:
    """Records the library's calls into ``recording.json``; an `Instruments` of the runner.

    Parameters
    ----------
    folder : Path
        Where the file goes.
    """

    def __init__(self, folder: Path) -> None:
        self.calls = 1
        self._folder = folder
        with toolkit_on_path():
            from .recording import Recording
        self._recording = Recording()

    def before_imports(self) -> None:
        """Do nothing: the library is loaded already."""

    def start(self) -> None:
        """Record from now on."""
        self._recording.__enter__()

    def measure(self, call: Callable[[], object], seconds: float) -> None:
        """Record one call of a function; how long it takes does not matter."""
        with self._recording:
            call()

    def prepare(self, code: CodeType) -> CodeType:
        """Return the code as it is."""
        return code

    def flush(self) -> None:
        """Write what was recorded so far."""
        write_atomically(self._folder / "recording.json", self._recording.to_dict())

    def stop(self) -> None:
        """Write what was recorded; the process ends anyway."""
        self.flush()
