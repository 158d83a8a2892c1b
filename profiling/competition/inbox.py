"""The inbox of a class: one folder per participant, from which new files are taken in order.

Nothing in it is trusted: links are not followed, names are judged, no file is read beyond the limit.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..reporters._printable import printable
from . import entry, pack
from .judge import MOST_BYTES, SUFFIXES, refusal
from .store import Store, StoreError
from .verdict import JUDGE_ERROR

FOLDER = "inbox"
MOST_FILES = 500
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How much each participant may enter.

    Attributes
    ----------
    per_hour : int
        Finished verdicts in an hour; the judge's own faults are not counted.
    waiting : int
        Submissions that may wait at the same time; further files stay in the inbox.
    """

    per_hour: int = 20
    waiting: int = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A file in the inbox."""

    changed: int
    size: int
    participant: str
    path: Path

    @property
    def state(self) -> tuple[str, int, int]:
        """What stays the same while nobody writes the file."""
        return str(self.path), self.changed, self.size


class Inbox:
    """The inbox of one competition.

    Parameters
    ----------
    store : Store
        The competition.
    home : Path
        Its folder; the inbox is ``HOME/inbox``.
    rules : Rules
        How much each participant may enter.
    """

    def __init__(self, store: Store, home: Path, rules: Rules | None = None) -> None:
        self.store, self.home, self.rules = store, home, rules or Rules()
        self.folder = home / FOLDER
        self._seen: dict[str, tuple[str, int, int]] = {}
        self._done: set[tuple[str, int, int]] = set()

    def take(self, *, settled: bool = True) -> int:
        """Store what is new.

        Parameters
        ----------
        settled : bool
            Whether to wait until a file has looked the same twice, so that none is taken half-written.

        Returns
        -------
        int
            Number of new submissions.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for found in sorted(self._files(), key=lambda found: (found.changed, str(found.path))):
            state = found.state
            if state in self._done:
                continue
            if settled and self._seen.get(str(found.path)) != state:
                self._seen[str(found.path)] = state
                continue
            taken = self._take(found)
            if taken is not None:
                self._done.add(state)
                count += taken
        return count

    def _files(self) -> Iterator[Found]:
        for folder in _entries(self.folder):
            if not folder.is_dir(follow_symlinks=False):
                continue
            name = entry.participant(folder.name)
            if name is None:
                self._note("?", folder.name, f"folder {folder.name}", entry.RULE)
                continue
            for number, file in enumerate(_entries(Path(folder.path))):
                if number >= MOST_FILES:
                    self._note(
                        name, "", f"{name}: many", f"more than {MOST_FILES} files; the others are not read"
                    )
                    break
                if file.name.startswith("."):
                    continue
                try:
                    status = file.stat(follow_symlinks=False)
                except OSError:
                    continue
                path = Path(file.path)
                if stat.S_ISREG(status.st_mode):
                    if path.suffix in SUFFIXES:
                        yield Found(status.st_mtime_ns, status.st_size, name, path)
                elif path.suffix in SUFFIXES:
                    self._note(
                        name, file.name, f"{file.path}: no file", "not an ordinary file: it is not read"
                    )

    def _take(self, found: Found) -> int | None:
        """Return how many submissions came of a file, None where it has to wait."""
        code = _read(found.path)
        if code is None:
            return 0
        name = found.path.name
        digest = hashlib.sha256(code).hexdigest()
        origin = f"{found.participant}/{name}#{digest}"
        if self.store.one("SELECT 1 FROM submission WHERE origin = ?", (origin,)):
            return 0
        refused = refusal(code, found.path.suffix)
        problem = entry.problem_of(found.path.stem, code, self.home)
        if not refused and problem not in pack.names(self.home):
            known = ", ".join(pack.names(self.home))
            refused = (
                f"which problem is it for? Name it NAME_anything, or write # problem: NAME; known: {known}"
            )
        if refused:
            self._note(found.participant, name, origin, refused)
            return 0
        wait = self._must_wait(found.participant)
        if wait:
            self._note(found.participant, name, f"{origin} waits", wait)
            return None
        assert problem is not None
        try:
            self.store.submit(found.participant, problem, entry.track_of(code), code, name, origin)
        except StoreError as error:
            # A full disk, for example: the file stays where it is, and is taken later.
            self._note(found.participant, name, f"{origin} not stored", str(error))
            return None
        return 1

    def _must_wait(self, participant: str) -> str | None:
        now = time.time()
        finished = self.store.one(
            "SELECT count(*) AS n FROM run JOIN submission ON submission.id = run.submission "
            "WHERE participant = ? AND verdict != ? AND finished BETWEEN ? AND ?",
            (participant, JUDGE_ERROR, now - HOUR, now + 60),
        )["n"]
        if finished >= self.rules.per_hour:
            return f"{finished} verdicts within an hour, of {self.rules.per_hour} allowed; it is taken later"
        waiting = self.store.one(
            "SELECT count(*) AS n FROM job JOIN submission ON submission.id = job.submission "
            "WHERE participant = ? AND state != 'done'",
            (participant,),
        )["n"]
        if waiting >= self.rules.waiting:
            return f"{waiting} submissions wait already; it is taken when they are judged"
        return None

    def _note(self, participant: str, file: str, origin: str, reason: str) -> None:
        self.store.note(participant, printable(file), printable(origin), printable(reason))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda one: one.name)
    except OSError:
        return []


def _read(path: Path) -> bytes | None:
    """Return the contents of an ordinary file, one byte more than is allowed at most."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        # It may have become something else since the folder was read.
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        try:
            return file.read(MOST_BYTES + 1)
        except OSError:
            return None
