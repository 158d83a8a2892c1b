"""The judge's working loop: take a job, judge it, store what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import machine_class, pack, sandbox, standings, validate, verdict
from .judge import RANKED, CaseSamples, Judgement, Plan, judge, new_seed, seed_hash, sweep
from .pack import Pack
from .store import MOST_ATTEMPTS, Job, Store, StoreError
from .worker_identity import Worker

PAUSE = 1.0


class Judge:
    """One worker on a competition.

    Parameters
    ----------
    store : Store
        The competition.
    home : Path
        Its folder, for packs of its own.
    plan : Plan
        How much is measured.
    unsafe : bool
        Whether to run submissions where no sandbox works; such results are never ranked.
    told : callable
        Told what happens, a line at a time.

    Raises
    ------
    RuntimeError
        Where no sandbox works and `unsafe` is not given.
    """

    def __init__(
        self,
        store: Store,
        home: Path,
        *,
        plan: Plan = RANKED,
        unsafe: bool = False,
        told: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.store, self.home, self.plan, self.told = store, home, plan, told
        self.sandbox = sandbox.probe()
        if not self.sandbox.confined and not unsafe:
            raise RuntimeError(f"no sandbox works here ({self.sandbox.why}), and submissions are not trusted")
        description = machine_class.describe()
        self.machine = machine_class.name(description)
        store.note_machine(self.machine, description)
        self.worker = Worker.current()
        sweep()

    def step(self) -> int | None:
        """Judge the oldest job that waits.

        Returns
        -------
        int or None
            Number of its submission; None where nothing waits.
        """
        seed = new_seed()
        job = self.store.lease(self.worker, seed, seed_hash(seed))
        if job is None:
            return None
        try:
            self._judge(job)
        except BaseException:
            # Ctrl-C, a full disk: the submission waits for its next judge.
            self._return(job)
            raise
        return job.submission.id

    def _return(self, job: Job) -> None:
        try:
            self.store.give_back(job, self.worker)
        except Exception as error:
            # Its lease ends with this process, which is all that giving it back would do.
            self.told(f"submission {job.submission.id} stays leased: {error}")

    def _judge(self, job: Job) -> None:
        submission = job.submission
        who = f"submission {submission.id} ({submission.participant}, {submission.problem})"
        try:
            problem = pack.load(submission.problem, self.home)
            validate.ensure(self.store, problem, self.told)
        except pack.PackError as error:
            if job.attempt < MOST_ATTEMPTS:
                self.told(f"{who}: {error}; it is tried again")
                self.store.give_back(job, self.worker)
                return
            found = verdict.Verdict(verdict.JUDGE_ERROR, "accept", verdict.one_line(str(error)))
            judgement = Judgement(found, sandbox=self.sandbox.label, seed=job.seed)
            self.store.finish(job, self.worker, judgement, "", self.machine, [])
            self.told(f"{who}: {found.name}: {found.reason}")
            return
        judgement = judge(
            problem,
            self.store.code(submission.sha),
            submission.suffix,
            track=submission.track,
            plan=self.plan,
            seed=job.seed,
            sandbox=self.sandbox,
            on_phase=lambda phase: self._note(job, phase),
            enough=lambda samples: self._enough(job, problem, samples),
        )
        if judgement.verdict.name == verdict.JUDGE_ERROR and job.attempt < MOST_ATTEMPTS:
            self.told(f"{who}: {judgement.verdict.reason}; it is tried again")
            self.store.give_back(job, self.worker)
            return
        cases = [band.name for band in problem.problem.timed]
        run = self.store.finish(job, self.worker, judgement, problem.version, self.machine, cases)
        if run is None:
            self.told(f"{who}: the lease was lost, another judge has it")
            return
        name = self.store.one("SELECT verdict FROM run WHERE id = ?", (run,))["verdict"]
        self.told(f"{who}: {name} in {judgement.seconds:.1f} s")

    def _enough(self, job: Job, problem: Pack, samples: Sequence[CaseSamples]) -> bool:
        """Tell whether the score can be ranked, and told from the others where it seems to differ."""
        cases = [band.name for band in problem.problem.timed]
        pooled = self.store.pooled(job.submission, samples, problem.version, self.machine, cases)
        key = standings.Key(problem.name, problem.version, job.submission.track, self.machine)
        return pooled.stable and not standings.undecided(self.store, key, job.submission.kind, pooled.total)

    def _note(self, job: Job, phase: str) -> None:
        self.store.renew(job, self.worker, phase)

    def run(self, *, once: bool = False, between: Callable[[], None] = lambda: None) -> int:
        """Judge until nothing waits, or for ever.

        Parameters
        ----------
        once : bool
            Whether to end when nothing waits.
        between : callable
            Called before each job, and while waiting.

        Returns
        -------
        int
            Number of jobs.

        Raises
        ------
        StoreError
            With `once`, where nothing can be stored; else it is told, and tried again.
        """
        count = 0
        while True:
            between()
            try:
                taken = self.step()
            except StoreError as error:
                if once:
                    raise
                self.told(str(error))
                taken = None
            if taken is not None:
                count += 1
            elif once:
                return count
            else:
                time.sleep(PAUSE)
