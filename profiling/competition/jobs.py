"""What was handed in, and who judges it: submissions and the leases of their jobs.

A submission is stored before anything of it runs. A job is leased to one worker, and goes back to the
queue when that worker is gone.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import verdict
from .database import Database
from .source_kind import kind
from .worker_identity import Worker, boot_time

LEASE_SECONDS = 600.0
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Submission:
    """A row of the table."""

    id: int
    participant: str
    problem: str
    track: str
    sha: str
    file: str
    submitted: float
    suffix: str
    kind: str


@dataclass(frozen=True, slots=True)
class Job:
    """A leased job."""

    id: int
    attempt: int
    submission: Submission
    code: bytes
    seed: str


class Jobs(Database):
    """Submissions, jobs and runs: what waits, what is worked on, how it ended."""

    def submit(
        self, participant: str, problem: str, track: str, code: bytes, file: str, origin: str | None = None
    ) -> int:
        """Store a submission and queue it.

        Parameters
        ----------
        participant, problem, track : str
            Who, what, and with how many processors.
        code : bytes
            Contents of the file.
        file : str
            Its name.
        origin : str, optional
            Where it came from; one origin is taken once.

        Returns
        -------
        int
            Number of the submission, the one it has already where the origin is known.

        Raises
        ------
        StoreError
            If it could not be stored; nothing is, then.
        """
        suffix = Path(file).suffix
        sha = hashlib.sha256(suffix.encode() + b"\0" + code).hexdigest()
        with self.transaction():
            known = self.one("SELECT id FROM submission WHERE origin = ?", (origin,)) if origin else None
            if known:
                return int(known["id"])
            self._connection.execute(
                "INSERT OR IGNORE INTO source VALUES (?, ?, ?, ?)", (sha, suffix, kind(code, suffix), code)
            )
            cursor = self._connection.execute(
                "INSERT INTO submission (participant, problem, track, sha, file, submitted, origin) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (participant, problem, track, sha, file, time.time(), origin),
            )
            number = cursor.lastrowid
            assert number is not None
            self._connection.execute("INSERT INTO job (submission) VALUES (?)", (number,))
        return number

    def judge_again(self, submission: int) -> None:
        """Queue a submission once more; its samples will be pooled with those it has."""
        with self.transaction():
            self._connection.execute("INSERT INTO job (submission) VALUES (?)", (submission,))

    def submission(self, number: int) -> Submission | None:
        """Return a submission, or None."""
        row = self.one(
            "SELECT submission.*, source.suffix, source.kind FROM submission JOIN source USING (sha) "
            "WHERE id = ?",
            (number,),
        )
        return _submission(row) if row else None

    def code(self, sha: str) -> bytes:
        """Return the bytes of a source."""
        return bytes(self.one("SELECT code FROM source WHERE sha = ?", (sha,))["code"])

    def lease(self, worker: Worker, seed: str, seed_hash: str) -> Job | None:
        """Take the oldest job that waits.

        Parameters
        ----------
        worker : Worker
            Who takes it.
        seed, seed_hash : str
            What its judging will be made of; the hash is stored before anything runs.

        Returns
        -------
        Job or None
            None where nothing waits.
        """
        now = boot_time()
        with self.transaction():
            self._return_lost(now)
            row = self.one("SELECT * FROM job WHERE state = 'queued' ORDER BY id LIMIT 1")
            if row is None:
                return None
            self._connection.execute(
                "UPDATE job SET state = 'leased', attempt = attempt + 1, worker = ?, lease_until = ?, "
                "phase = 'accept', seed = ?, seed_hash = ? WHERE id = ?",
                (worker.text, now + LEASE_SECONDS, seed, seed_hash, row["id"]),
            )
        found = self.submission(row["submission"])
        assert found is not None
        return Job(row["id"], row["attempt"] + 1, found, self.code(found.sha), seed)

    def _return_lost(self, now: float) -> None:
        """Put jobs back whose worker is dead, or has not been heard of until the lease's end."""
        for row in self.all("SELECT id, attempt, worker, lease_until FROM job WHERE state = 'leased'"):
            if Worker(row["worker"]).alive() and row["lease_until"] > now:
                continue
            if row["attempt"] < MOST_ATTEMPTS:
                self._connection.execute(
                    "UPDATE job SET state = 'queued', worker = NULL WHERE id = ?", (row["id"],)
                )
            else:
                self._give_up(row["id"])

    def _give_up(self, job: int) -> None:
        row = self.one("SELECT submission, seed, seed_hash FROM job WHERE id = ?", (job,))
        reason = f"the judge was lost {MOST_ATTEMPTS} times while it judged this"
        detail = verdict.Verdict(verdict.JUDGE_ERROR, "accept", reason).to_dict()
        self._connection.execute("UPDATE job SET state = 'done' WHERE id = ?", (job,))
        self._add_run(
            job, row["submission"], "", "", "", detail, row["seed_hash"] or "", row["seed"] or "", 0.0
        )

    def renew(self, job: Job, worker: Worker, phase: str) -> bool:
        """Tell that a job is still worked on; False where it has been taken away."""
        with self.transaction():
            changed = self._connection.execute(
                "UPDATE job SET phase = ?, lease_until = ? "
                "WHERE id = ? AND state = 'leased' AND worker = ? AND attempt = ?",
                (phase, boot_time() + LEASE_SECONDS, job.id, worker.text, job.attempt),
            ).rowcount
        return changed == 1

    def give_back(self, job: Job, worker: Worker) -> None:
        """Queue a leased job again, for another attempt."""
        with self.transaction():
            state = "queued" if job.attempt < MOST_ATTEMPTS else "leased"
            self._connection.execute(
                "UPDATE job SET state = ?, lease_until = ? "
                "WHERE id = ? AND state = 'leased' AND worker = ? AND attempt = ?",
                (state, boot_time() - 1, job.id, worker.text, job.attempt),
            )

    def _add_run(
        self,
        job: int,
        submission: int,
        version: str,
        machine: str,
        sandbox: str,
        detail: dict[str, Any],
        seed_hash: str,
        seed: str,
        seconds: float,
    ) -> int:
        cursor = self._connection.execute(
            "INSERT INTO run (job, submission, version, machine, sandbox, verdict, phase, detail, seed_hash, "
            "seed, finished, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job,
                submission,
                version,
                machine,
                sandbox,
                detail["verdict"],
                detail["phase"],
                json.dumps(detail),
                seed_hash,
                seed,
                time.time(),
                seconds,
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid


def _submission(row: sqlite3.Row) -> Submission:
    return Submission(
        row["id"],
        row["participant"],
        row["problem"],
        row["track"],
        row["sha"],
        row["file"],
        row["submitted"],
        row["suffix"],
        row["kind"],
    )
