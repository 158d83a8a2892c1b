"""The memory of a competition: one SQLite file that is only ever added to.

What a worker found is written in one transaction together with the end of the job, and only while the
lease holds: nothing is lost when a worker is killed, and nothing is counted twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from . import verdict
from .database import FILE, StoreError
from .jobs import LEASE_SECONDS, MOST_ATTEMPTS, Job, Jobs, Submission
from .records import CaseSamples, Judgement
from .score import Score, score
from .worker_identity import Worker

__all__ = ["FILE", "LEASE_SECONDS", "MOST_ATTEMPTS", "Job", "Store", "StoreError", "Submission"]


class Store(Jobs):
    """The competition of one folder: a `Database` with `Jobs`, their samples and scores."""

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
            pooled = None
            if samples:
                pooled = self.pooled(job.submission, samples, version, machine, cases)
            found = judgement.verdict
            if pooled is not None and not pooled.stable:
                total = pooled.total
                reason = f"the score lies between {total.low:.3g} and {total.high:.3g}"
                found = verdict.Verdict(verdict.UNSTABLE, "score", reason, stderr=found.stderr)
            detail = {
                **found.to_dict(),
                "worst": judgement.worst,
                "versions": judgement.versions,
                "reviewed": judgement.reviewed,
            }
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

    def pooled(
        self,
        submission: Submission,
        samples: Sequence[CaseSamples],
        version: str,
        machine: str,
        cases: Sequence[str],
    ) -> Score:
        """Return the score that new samples make with those that the same kind of source has already.

        Parameters
        ----------
        submission : Submission
            Whose.
        samples : sequence of CaseSamples
            The new ones, at least one for each case.
        version, machine : str
            Of the pack, and the machine's class.
        cases : sequence of str
            Names of the timed cases.

        Returns
        -------
        Score
            Nothing is stored.
        """
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
