"""Measure cases with several libraries, over several process starts.

At one thread the libraries take turns inside one process. Above one thread each has a process of
its own, stopped outside its turn (see `profiling.measure.worker`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..cases import Case
from .run import Launch, Measurement
from .timer import Schedule, interleave
from .worker import RemoteContender, Worker


@dataclass(slots=True)
class Collected:
    """What a series of launches gave.

    Attributes
    ----------
    measurements : list of Measurement
        One per case, in the order of the cases.
    versions : dict of str to str
        Version of each library.
    workspace : dict of str to int
        Peak bytes of our work memory after each case, by the case's name.
    """

    measurements: list[Measurement] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    workspace: dict[str, int] = field(default_factory=dict)


def measure_launches(
    cases: Sequence[Case],
    libraries: Sequence[str],
    threads: int,
    schedule: Schedule,
    launches: int,
    on_case: Callable[[str], None] = lambda name: None,
) -> Collected:
    """Measure every case with every library, once per launch.

    Parameters
    ----------
    cases : sequence of Case
        What to compute.
    libraries : sequence of str
        Names in ``profiling.measure.contenders.LIBRARIES``.
    threads : int
        Threads that each library may use.
    schedule : Schedule
        How long to measure one case in one launch.
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
        If a library fails in its process.
    """
    collected = Collected()
    taken: list[list[Launch]] = [[] for _ in cases]
    errors: list[dict[str, str]] = [{} for _ in cases]
    for launch in range(launches):
        # The order of the libraries decides who allocates first: turn it from launch to launch.
        turned = [*libraries[launch % len(libraries) :], *libraries[: launch % len(libraries)]]
        with ExitStack() as stack:
            groups = [turned] if threads == 1 else [[name] for name in turned]
            workers = [stack.enter_context(Worker(group, threads, frozen=threads > 1)) for group in groups]
            contenders = [RemoteContender(worker, name) for worker in workers for name in worker.libraries]
            for worker in workers:
                collected.versions |= worker.versions
            for number, case in enumerate(cases):
                on_case(case.name)
                for worker in workers:
                    errors[number] |= worker.open(case, seed=launch)
                loops: dict[str, int] = {}
                samples = interleave(contenders, schedule, loops=loops)
                ordered = {name: samples[name] for name in libraries}
                taken[number].append(Launch.of(ordered, loops))
                for worker in workers:
                    statistics = worker.workspace()
                    if statistics is not None:
                        collected.workspace[case.name] = statistics["peak"]
    for case, samples_taken, wrong in zip(cases, taken, errors, strict=True):
        collected.measurements.append(Measurement(case, threads, tuple(samples_taken), wrong))
    return collected
