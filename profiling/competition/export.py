"""Everything of a competition as data: for other programs, and to keep."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

from . import history, standings
from .store import Store

SCHEMA = 1
COLUMNS = (
    "problem",
    "version",
    "track",
    "machine",
    "rank",
    "tied",
    "participant",
    "submission",
    "score",
    "low",
    "high",
    "launches",
    "sandbox",
)


def boards(store: Store) -> list[dict[str, Any]]:
    """Return all boards as JSON-ready values, by the one ranking."""
    return [
        {
            "problem": key.problem,
            "version": key.version,
            "track": key.track,
            "machine": key.machine,
            "noise": standings.noise(store, key.machine),
            "entries": [entry.to_dict() for entry in standings.board(store, key)],
        }
        for key in standings.keys(store)
    ]


def everything(store: Store, *, sources: bool = False) -> dict[str, Any]:
    """Return the whole competition as JSON-ready values.

    Parameters
    ----------
    store : Store
        The competition.
    sources : bool
        Whether to add the submissions' texts.

    Returns
    -------
    dict
        Boards, submissions with their judgings and raw samples, machines, decisions.
    """
    found = []
    for row in store.all("SELECT id FROM submission ORDER BY id"):
        submission = store.submission(row["id"])
        assert submission is not None
        told: dict[str, Any] = {
            "submission": submission.id,
            "participant": submission.participant,
            "problem": submission.problem,
            "track": submission.track,
            "file": submission.file,
            "sha": submission.sha,
            "kind": submission.kind,
            "submitted": submission.submitted,
            "runs": [
                {**run.to_dict(), "samples": samples(store, run.id)} for run in history.runs(store, row["id"])
            ],
        }
        if sources:
            told["source"] = store.code(submission.sha).decode("utf-8", "replace")
        found.append(told)
    decisions = store.all("SELECT decided, subject, key, value FROM decision ORDER BY id")
    return {
        "schema": SCHEMA,
        "kind": "competition",
        "exported": time.time(),
        "boards": boards(store),
        "submissions": found,
        "machines": {row["id"]: json.loads(row["description"]) for row in store.all("SELECT * FROM machine")},
        "decisions": [dict(row) for row in decisions],
    }


def samples(store: Store, run: int) -> list[dict[str, Any]]:
    """Return the raw samples of a run."""
    rows = store.all("SELECT * FROM sample WHERE run = ? ORDER BY name, launch", (run,))
    return [
        {
            "case": row["name"],
            "launch": row["launch"],
            "sizes": json.loads(row["sizes"]),
            "ours": json.loads(row["ours"]),
            "theirs": json.loads(row["theirs"]),
        }
        for row in rows
    ]


def as_csv(store: Store) -> str:
    """Return all boards as a table, for spreadsheets.

    Parameters
    ----------
    store : Store
        The competition.

    Returns
    -------
    str
        One line per entry; a text that a spreadsheet would compute is quoted by an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for board in boards(store):
        for entry in board["entries"]:
            row = {**board, **entry}
            writer.writerow([_harmless(row[name]) for name in COLUMNS])
    return text.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" and value else value
