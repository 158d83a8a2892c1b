"""What is known of one submission, for every output that shows it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from .store import Store, Submission


@dataclass(frozen=True, slots=True)
class Run:
    """One judging.

    Attributes
    ----------
    id : int
        Number.
    verdict, phase, sandbox, version, machine : str
        As stored.
    detail : dict
        Reason, case, error, tolerance, end of what was printed, hint, versions.
    finished, seconds : float
        Seconds since 1970, and how long it took.
    seed_hash, seed : str
        The hash was stored before, the seed after.
    score : dict or None
        The pooled score up to this run.
    """

    id: int
    verdict: str
    phase: str
    sandbox: str
    version: str
    machine: str
    detail: dict[str, Any]
    finished: float
    seconds: float
    seed_hash: str
    seed: str
    score: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values; the seed stays out until it may be told."""
        kept = {
            name: self.detail.get(name) for name in ("reason", "case", "error", "tolerance", "stderr", "hint")
        }
        return {
            "run": self.id,
            "verdict": self.verdict,
            "phase": self.phase,
            **kept,
            "sandbox": self.sandbox,
            "version": self.version,
            "machine": self.machine,
            "finished": self.finished,
            "seconds": self.seconds,
            "seed_hash": self.seed_hash,
            "score": self.score,
        }


def runs(store: Store, submission: int) -> list[Run]:
    """Return the judgings of a submission, the oldest first."""
    rows = store.all(
        "SELECT run.*, score.estimate, score.low, score.high, score.launches, score.stable, score.cases "
        "FROM run LEFT JOIN score ON score.run = run.id WHERE submission = ? ORDER BY run.id",
        (submission,),
    )
    return [_run(row) for row in rows]


def _run(row: Any) -> Run:
    scored = None
    if row["estimate"] is not None:
        scored = {
            "score": row["estimate"],
            "low": row["low"],
            "high": row["high"],
            "launches": row["launches"],
            "stable": bool(row["stable"]),
            "cases": json.loads(row["cases"]),
        }
    return Run(
        row["id"],
        row["verdict"],
        row["phase"],
        row["sandbox"],
        row["version"],
        row["machine"],
        json.loads(row["detail"]),
        row["finished"],
        row["seconds"],
        row["seed_hash"],
        row["seed"],
        scored,
    )


def state(store: Store, submission: int) -> str:
    """Return where a submission stands: its newest verdict, or where its judging is.

    Parameters
    ----------
    store : Store
        The competition.
    submission : int
        Number.

    Returns
    -------
    str
        A verdict, "waiting (3rd)", or "running (time)".
    """
    job = store.one("SELECT * FROM job WHERE submission = ? ORDER BY id DESC LIMIT 1", (submission,))
    if job is None:
        return "unknown"
    if job["state"] == "done":
        found = runs(store, submission)
        return found[-1].verdict if found else "unknown"
    if job["state"] == "leased":
        return f"running ({job['phase']})"
    ahead = store.one("SELECT count(*) AS n FROM job WHERE state = 'queued' AND id <= ?", (job["id"],))["n"]
    return f"waiting (number {ahead} in the queue)"


def earlier(store: Store, submission: Submission) -> list[Submission]:
    """Return the participant's submissions to the same problem and track, the oldest first."""
    rows = store.all(
        "SELECT id FROM submission WHERE participant = ? AND problem = ? AND track = ? ORDER BY id",
        (submission.participant, submission.problem, submission.track),
    )
    found = [store.submission(row["id"]) for row in rows]
    return [one for one in found if one is not None]


def deadline(store: Store, problem: str) -> float | None:
    """Return the deadline of a problem in seconds since 1970, or None."""
    value = store.decided("deadline", problem)
    return float(value) if value else None


def may_show_source(store: Store, problem: str) -> bool:
    """Tell whether sources may be shown: after the deadline, or where the teacher has said so."""
    setting = store.decided("setting", "show source")
    if setting is not None:
        return setting == "always"
    end = deadline(store, problem)
    return end is not None and time.time() > end


def date_text(seconds: float) -> str:
    """Return a time in words, in UTC.

    Examples
    --------
    >>> date_text(0)
    '1970-01-01 00:00 UTC'
    """
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
