"""The dispatcher's paths side by side, as entries of the profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorops.dispatch.schema import Entry, PathResult

from ..cases import Case
from ..collect.allocations import count_allocations
from ..targets import Target, profile_paths
from .contenders import get_library
from .launches import Job
from .run import Measurement
from .timer import Schedule

PREFIX = "path:"
SCHEDULE = Schedule(sample_seconds=1e-3, blocks=6, min_blocks=3, budget_seconds=1.0)


def path_jobs(target: Target, dtype: str, threads: int) -> list[Job]:
    """Return what to measure for the profile.

    Parameters
    ----------
    target : Target
        What is profiled.
    dtype : str
        Of the operands.
    threads : int
        Threads that each path may use.

    Returns
    -------
    list of Job
        One per case; the paths take turns. One that raises or is wrong is left out.

    Examples
    --------
    >>> from profiling.targets import TARGETS
    >>> len(path_jobs(TARGETS["matmul"], "float32", 1))
    5
    """
    return [
        Job(case, tuple(PREFIX + path for path in profile_paths(case, threads)), SCHEDULE, lenient=True)
        for case in target.profile_cases(dtype)
    ]


def path_entries(measurements: Sequence[Measurement], hotspots: Mapping[str, str]) -> list[Entry]:
    """Return the profile's entries for the measurements of `path_jobs`.

    Parameters
    ----------
    measurements : sequence of Measurement
        Their contenders are paths.
    hotspots : mapping of str to str
        The costliest line of a path, where it is known.

    Returns
    -------
    list of Entry
        A path whose result was wrong is left out: it must never be chosen.
    """
    entries = []
    for measurement in measurements:
        case = measurement.case
        paths = {}
        for contender in measurement.contenders:
            if contender in measurement.errors:
                continue
            path = contender.removeprefix(PREFIX)
            seconds = measurement.seconds(contender)
            allocations, size = allocations_of_path(path, case)
            samples = sum(len(launch) for launch in measurement.samples(contender))
            paths[path] = PathResult(
                seconds.estimate,
                seconds.low,
                seconds.high,
                n=samples,
                allocations=allocations,
                bytes=size,
                hotspot=hotspots.get(path),
            )
        entries.append(entry_of(case, measurement.threads, paths))
    return entries


def entry_of(case: Case, threads: int, paths: Mapping[str, PathResult]) -> Entry:
    """Return the profile's entry for a case.

    Parameters
    ----------
    case : Case
        What was measured.
    threads : int
        Threads that it was given.
    paths : mapping of str to PathResult
        Results.

    Returns
    -------
    Entry
        Of the call as the dispatcher sees it.

    Examples
    --------
    >>> from profiling.cases import square_case
    >>> entry_of(square_case(8, "float32"), 2, {}).threads
    2
    """
    call = case.call(threads)
    return Entry(call.op, call.dtype, call.shapes, call.layout, call.params, call.in_place, threads, paths)


def allocations_of_path(path: str, case: Case) -> tuple[int, int]:
    """Count the NumPy buffers that one call of a path allocates when it is given its result.

    Parameters
    ----------
    path : str
        As ``tensorops.backends.run_path`` knows it.
    case : Case
        What to compute.

    Returns
    -------
    count, bytes : int
        Buffers and their bytes.

    Examples
    --------
    >>> from profiling.cases import square_case
    >>> allocations_of_path("numpy", square_case(8, "float32"))
    (0, 0)
    """
    loop = get_library(PREFIX + path).loop(case, case.operands(), case.results())
    loop(2)
    # Two loops differ by what one call allocates; the loop around the calls costs the same in both.
    with count_allocations() as one:
        loop(2)
    with count_allocations() as two:
        loop(3)
    return two.count - one.count, two.bytes - one.bytes
