"""The memory of a competition: one SQLite file that is only ever added to.

A submission is stored before anything of it runs. A job is leased to one worker; what the worker found
is written in one transaction together with the end of the job, and only while the lease holds: nothing
is lost when a worker is killed, and nothing is counted twice.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import verdict
from .judge import CaseSamples, Judgement
from .score import Score, score
from .source_kind import kind
from .worker_identity import Worker, boot_time

SCHEMA = 1
FILE = "competition.db"
WAIT = 30.0
LEASE_SECONDS = 600.0
MOST_ATTEMPTS = 3


class StoreError(RuntimeError):
    """A competition's file that cannot be read or written; the message says why."""


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


class Store:
    """The competition of one folder.

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

    def __enter__(self) -> Store:
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

    def finish(
        self, job: Job, worker: Worker, judgement: Judgement, version: str, machine: str, cases: Sequence[str]
    ) -> int | None:
        """Store what a judging found and end its job.

        Parameters
        ----------
        job : Job
            The leased job.
        worker : Worker
            Who holds it.
        judgement : Judgement
            What was found.
        version, machine : str
            Of the pack, and the machine's class.
        cases : sequence of str
            Names of the timed cases.

        Returns
        -------
        int or None
            Number of the run; None where the lease was lost, and nothing is stored then.
        """
        samples = judgement.samples if judgement.verdict.name == verdict.OK else []
        with self.transaction():
            changed = self._connection.execute(
                "UPDATE job SET state = 'done', phase = ? "
                "WHERE id = ? AND state = 'leased' AND worker = ? AND attempt = ?",
                (judgement.verdict.phase, job.id, worker.text, job.attempt),
            ).rowcount
            if changed != 1:
                return None
            pooled = self._pool(job.submission, samples, version, machine, cases)
            found = judgement.verdict
            if pooled is not None and not pooled.stable:
                total = pooled.total
                reason = f"the score lies between {total.low:.3g} and {total.high:.3g}"
                found = verdict.Verdict(verdict.UNSTABLE, "score", reason, stderr=found.stderr)
            detail = {**found.to_dict(), "worst": judgement.worst, "versions": judgement.versions}
            run = self._add_run(
                job.id,
                job.submission.id,
                version,
                machine,
                judgement.sandbox,
                detail,
                self.one("SELECT seed_hash FROM job WHERE id = ?", (job.id,))["seed_hash"],
                judgement.seed,
                judgement.seconds,
            )
            self._add_samples(run, samples)
            if pooled is not None:
                self._add_score(run, job.submission, version, machine, pooled)
        return run

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

    def _add_samples(self, run: int, samples: Sequence[CaseSamples]) -> None:
        self._connection.executemany(
            "INSERT INTO sample VALUES (?, ?, ?, ?, ?, ?)",
            [
                (run, s.launch, s.case, json.dumps(s.sizes), json.dumps(s.ours), json.dumps(s.theirs))
                for s in samples
            ],
        )

    def _add_score(self, run: int, submission: Submission, version: str, machine: str, found: Score) -> None:
        total = found.total
        self._connection.execute(
            "INSERT INTO score VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run,
                submission.kind,
                submission.problem,
                version,
                submission.track,
                machine,
                total.estimate,
                total.low,
                total.high,
                found.launches,
                int(found.stable),
                json.dumps([case.to_dict() for case in found.cases]),
            ),
        )

    def _pool(
        self,
        submission: Submission,
        samples: Sequence[CaseSamples],
        version: str,
        machine: str,
        cases: Sequence[str],
    ) -> Score | None:
        if not samples:
            return None
        earlier = self.samples_of_kind(submission, version, machine)
        return score([*earlier, *samples], cases)

    def samples_of_kind(self, submission: Submission, version: str, machine: str) -> list[CaseSamples]:
        """Return all samples of the same kind of source on the same terms, of whichever participant."""
        rows = self.all(
            "SELECT sample.* FROM sample JOIN run ON run.id = sample.run "
            "JOIN submission ON submission.id = run.submission JOIN source USING (sha) "
            "WHERE source.kind = ? AND submission.problem = ? AND submission.track = ? "
            "AND run.version = ? AND run.machine = ? ORDER BY run.id, sample.launch",
            (submission.kind, submission.problem, submission.track, version, machine),
        )
        return [
            CaseSamples(
                row["name"],
                row["launch"],
                tuple(json.loads(row["sizes"])),
                tuple(json.loads(row["ours"])),
                tuple(json.loads(row["theirs"])),
            )
            for row in rows
        ]

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


def _statements() -> list[str]:
    text = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
