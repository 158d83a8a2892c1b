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
from .worker import RemoteContender, Worker


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
    """

    case: Case
    contenders: tuple[str, ...]
    schedule: Schedule
    oracle: bool = False


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
    """

    measurements: list[Measurement] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    workspace: dict[str, int] = field(default_factory=dict)


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
                    ours = [name for name in worker.libraries if name in job.contenders]
                    self.errors[number] |= worker.open(job.case, launch, ours, oracle=job.oracle)
                contenders = [RemoteContender(workers[name], name) for name in job.contenders]
                loops: dict[str, int] = {}
                self.taken[number].append(Launch.of(interleave(contenders, job.schedule, loops=loops), loops))
                for worker in dict.fromkeys(workers[name] for name in job.contenders):
                    statistics = worker.workspace()
                    if statistics is not None:
                        self.collected.workspace[job.case.name] = statistics["peak"]

    def finished(self) -> Collected:
        """Return the measurements of all jobs that have a launch."""
        self.collected.measurements = [
            Measurement(job.case, self.threads, tuple(samples), wrong)
            for job, samples, wrong in zip(self.jobs, self.taken, self.errors, strict=True)
            if samples
        ]
        return self.collected


def _processes(names: Sequence[str], threads: int, launch: int) -> list[list[str]]:
    """Return which contenders share a process."""
    # Who allocates first is turned from launch to launch: it decides who gets which memory.
    start = launch % len(names)
    turned = [*names[start:], *names[:start]]
    return [turned] if threads == 1 else [[name] for name in turned]
