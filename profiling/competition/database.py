"""The file of a competition: opened, asked, and written in whole transactions."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

SCHEMA = 1
FILE = "competition.db"
WAIT = 30.0


class StoreError(RuntimeError):
    """A competition's file that cannot be read or written; the message says why."""


class Database:
    """The SQLite file in one folder, with what a teacher decides and what is only noted.

    Parameters
    ----------
    home : Path
        The folder; it is created.

    Raises
    ------
    StoreError
        Where it cannot be opened, and for a file of a newer version.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(home / FILE, timeout=WAIT, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            with self.transaction():
                for statement in _statements():
                    self._connection.execute(statement)
                self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
        except (sqlite3.Error, OSError, StoreError) as error:
            raise StoreError(f"{home / FILE} cannot be used: {error}") from error
        found = self.one("SELECT value FROM meta WHERE key = 'schema'")["value"]
        if int(found) > SCHEMA:
            raise StoreError(f"{home / FILE} was written by a newer version (schema {found})")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Close the file."""
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all or nothing of what is inside, with no other writer in between.

        Yields
        ------
        None
            Nothing.

        Raises
        ------
        StoreError
            Where it could not be written, such as on a full disk.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled it back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"{self.home / FILE}: nothing was stored: {error}") from error

    def all(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """Return the first row of a query, or None."""
        return self._connection.execute(query, values).fetchone()

    def decide(self, subject: str, key: str, value: str) -> None:
        """Note a teacher's decision; the newest counts.

        Parameters
        ----------
        subject : str
            "hidden", "hidden participant", "deadline" (seconds since 1970), "noise", "setting" and so on.
        key, value : str
            Of what, and how.
        """
        with self.transaction():
            self._connection.execute(
                "INSERT INTO decision (decided, subject, key, value) VALUES (?, ?, ?, ?)",
                (time.time(), subject, key, value),
            )

    def decided(self, subject: str, key: str) -> str | None:
        """Return the newest decision on a subject, or None."""
        row = self.one("SELECT value FROM decided WHERE subject = ? AND key = ?", (subject, key))
        return None if row is None else str(row["value"])

    def note(self, participant: str, file: str, origin: str, reason: str) -> None:
        """Note once why something in the inbox was not taken.

        Parameters
        ----------
        participant, file : str
            Whose, and which.
        origin : str
            The state of the file that this is about.
        reason : str
            One line.
        """
        if self.one("SELECT 1 FROM notice WHERE origin = ?", (origin,)):
            return
        try:
            with self.transaction():
                self._connection.execute(
                    "INSERT OR IGNORE INTO notice (noticed, participant, file, origin, reason) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (time.time(), participant, file, origin, reason),
                )
        except StoreError:
            # A notice is of no use where nothing can be stored.
            return

    def note_machine(self, machine: str, description: dict[str, Any]) -> None:
        """Keep the description of a machine class."""
        with self.transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO machine VALUES (?, ?)", (machine, json.dumps(description))
            )


def _statements() -> list[str]:
    text = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
