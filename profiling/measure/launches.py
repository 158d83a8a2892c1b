"""Measure cases with several contenders, over several process starts.

At one thread the contenders take turns inside one process. Above one thread each that uses threads
has a process of its own, stopped outside its turn (see `profiling.measure.worker`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..cases import Case
from .run import Launch, Measurement
from .timer import Schedule, interleave
from .worker import RemoteContender, Worker, WorkerError


@dataclass(frozen=True, slots=True)
class Job:
    """One case and who computes it.

    Attributes
    ----------
    case : Case
        What to compute.
    contenders : tuple of str
        Names that ``profiling.measure.contenders.get_library`` knows.
    schedule : Schedule
        How long to measure in one launch.
    oracle : bool
        Whether to verify with the reference instead of Freivalds' check.
    selective : bool
        Whether rivals that fail, are wrong or are far behind the fastest are left out of the timing instead
        of ending it, being timed or taking most of it.
    lenient : bool
        Whether contenders that raise or are wrong are left out of the timing, and told, instead of ending it.
    """

    case: Case
    contenders: tuple[str, ...]
    schedule: Schedule
    oracle: bool = False
    selective: bool = False
    lenient: bool = False


@dataclass(slots=True)
class Collected:
    """What a series of launches gave.

    Attributes
    ----------
    measurements : list of Measurement
        One per job, in the order of the jobs.
    versions : dict of str to str
        Version of each library.
    workspace : dict of str to int
        Peak bytes of our work memory up to and with each case, by the case's name.
    left_out : dict of Case to dict of str to str
        Contenders of selective jobs that were not timed, and why.
    """

    measurements: list[Measurement] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    workspace: dict[str, int] = field(default_factory=dict)
    left_out: dict[Case, dict[str, str]] = field(default_factory=dict)


FAR_BEHIND = 10
"""A rival of a selective job that takes this many times as long as the fastest rival is not timed further."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while measuring; what was finished is kept.

    Parameters
    ----------
    collected : Collected
        The jobs that were measured in at least one launch, with the launches they have.
    """

    def __init__(self, collected: Collected) -> None:
        super().__init__("interrupted while measuring")
        self.collected = collected


def measure_launches(
    jobs: Sequence[Job],
    threads: int,
    launches: int = 1,
    on_case: Callable[[str], None] = lambda name: None,
) -> Collected:
    """Measure every job once per launch.

    Parameters
    ----------
    jobs : sequence of Job
        At least one.
    threads : int
        Threads that each contender may use.
    launches : int
        Number of process starts whose samples are pooled.
    on_case : callable
        Told the name of each case before it is measured.

    Returns
    -------
    Collected
        Raw samples, versions and work memory.

    Raises
    ------
    WorkerError
        If a contender fails in its process.
    Interrupted
        On Ctrl-C; it is a KeyboardInterrupt, so callers that keep nothing need not know it.
    """
    series = _Series(jobs, threads)
    try:
        for launch in range(launches):
            series.measure(launch, on_case)
    except KeyboardInterrupt:
        raise Interrupted(series.finished()) from None
    except WorkerError as error:
        error.collected = series.finished()
        raise
    return series.finished()


class _Series:
    """What the launches of some jobs have given so far."""

    def __init__(self, jobs: Sequence[Job], threads: int) -> None:
        self.jobs = jobs
        self.threads = threads
        self.names = list(dict.fromkeys(name for job in jobs for name in job.contenders))
        self.collected = Collected()
        self.taken: list[list[Launch]] = [[] for _ in jobs]
        self.errors: list[dict[str, str]] = [{} for _ in jobs]

    def measure(self, launch: int, on_case: Callable[[str], None]) -> None:
        """Measure every job once, in new processes."""
        with ExitStack() as stack:
            workers: dict[str, Worker] = {}
            for group in _processes(self.names, self.threads, launch):
                worker = stack.enter_context(Worker(group, self.threads, frozen=self.threads > 1))
                workers |= dict.fromkeys(group, worker)
                self.collected.versions |= worker.versions
            for number, job in enumerate(self.jobs):
                on_case(job.case.name)
                for worker in dict.fromkeys(workers[name] for name in job.contenders):
                    opened = [name for name in worker.libraries if name in job.contenders]
                    self.errors[number] |= worker.open(
                        job.case, launch, opened, oracle=job.oracle, lenient=job.selective or job.lenient
                    )
                contenders = [RemoteContender(workers[name], name) for name in job.contenders]
                if job.selective:
                    contenders = self._selected(job, number, contenders)
                elif job.lenient:
                    contenders = [one for one in contenders if one.name not in self.errors[number]]
                loops: dict[str, int] = {}
                if contenders:
                    samples = interleave(contenders, job.schedule, loops=loops)
                    self.taken[number].append(Launch.of(samples, loops))
                for worker in dict.fromkeys(workers[name] for name in job.contenders):
                    statistics = worker.workspace()
                    if statistics is not None:
                        self.collected.workspace[job.case.name] = statistics["peak"]

    def _selected(self, job: Job, number: int, contenders: list[RemoteContender]) -> list[RemoteContender]:
        """Return the contenders worth timing: the first as long as it runs, and others near the fastest."""
        left_out = self.collected.left_out.setdefault(job.case, {})
        errors = self.errors[number]
        left_out |= {name: error for name, error in errors.items() if name != job.contenders[0]}
        first, *others = contenders
        others = [one for one in others if one.name not in left_out]
        # The second call: the first may have compiled something.
        took = {one.name: one.sample(1) for one in others}
        nearest = min(took.values(), default=0.0)
        for name, seconds in took.items():
            if seconds > FAR_BEHIND * nearest:
                best = min(took, key=lambda other: took[other])
                left_out[name] = f"takes {seconds / nearest:.0f} times as long as {best}"
        kept = [one for one in others if one.name not in left_out]
        if first.name in errors:
            try:
                first.sample(1)
            except WorkerError:
                # It raised, so that there is no call to time; one that is wrong is timed and marked.
                return kept
        return [first, *kept]

    def finished(self) -> Collected:
        """Return the measurements of all jobs that have a launch."""
        self.collected.measurements = [
            Measurement(job.case, self.threads, _common(samples), wrong)
            for job, samples, wrong in zip(self.jobs, self.taken, self.errors, strict=True)
            if samples
        ]
        return self.collected


def _common(launches: Sequence[Launch]) -> tuple[Launch, ...]:
    """Return the launches with the contenders that all of them have."""
    names = [name for name in launches[0].seconds if all(name in one.seconds for one in launches)]
    return tuple(
        Launch({name: launch.seconds[name] for name in names}, {name: launch.loops[name] for name in names})
        for launch in launches
    )


def _processes(names: Sequence[str], threads: int, launch: int) -> list[list[str]]:
    """Return which contenders share a process."""
    # Who allocates first is turned from launch to launch: it decides who gets which memory.
    start = launch % len(names)
    turned = [*names[start:], *names[:start]]
    return [turned] if threads == 1 else [[name] for name in turned]
