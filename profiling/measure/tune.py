"""Measure where the dispatcher's decision is uncertain, within a budget of time.

A tune begins with problems spread over all sizes and goes on where the dispatcher, as it knows the results
so far, may lose most: between paths that are predicted to be close, far from what is measured, and half way
between neighbours with different winners. Operations of one cost class share a model, so one of them gets
most of the class's time and the others what tells how they differ from it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from tensorops.backends import usable_paths
from tensorops.dispatch import policy
from tensorops.dispatch.records import Profile, encode_entry
from tensorops.dispatch.schema import Entry

from ..cases import Case
from ..targets import unknown_elsewhere
from .tuning_score import choose_next, crossovers
from .tuning_space import cost_class, problems
from .tuning_timer import PathTimer, Timed, tuned_paths
from .worker import WorkerError

FIRST_POINTS = 12
"""Spread problems of a group before its results are asked for anything."""

ROUND_POINTS = 5
CANDIDATES = 40
MOST_BYTES = 210 * 1024
"""What the entries of one tune may take of the profile's 256 KiB."""

LEAD_SHARE = 0.6
"""Share of a cost class's time for its first operation, if there are others."""


class Measurer(Protocol):
    """What a tune needs of `profiling.measure.tuning_timer.PathTimer`."""

    def measure(self, case: Case) -> Timed:
        """Measure every path of a case."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *details: object) -> None: ...


@dataclass(slots=True)
class Tuned:
    """What a tune has measured.

    Attributes
    ----------
    entries : list of Entry
        For the profile, in the order measured.
    errors : dict of str to str
        Paths that failed or were wrong, by path and problem.
    skipped : dict of str to str
        Operations without anything to decide, and why.
    left_out : dict of str to str
        Paths that the measuring processes do not know, and why.
    seconds : float
        How long it took.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    entries: list[Entry] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def problems(self) -> int:
        """Number of different problems measured."""
        return len({(entry.op, entry.dtype, entry.shapes, entry.layout) for entry in self.entries})


@dataclass(slots=True)
class _Group:
    """The problems of one operation and dtype."""

    op: str
    dtype: str
    share: float
    spent: float = 0.0
    bytes: int = 0
    queue: list[Case] = field(default_factory=list)
    timed: dict[Case, tuple[Entry, ...]] = field(default_factory=dict)
    source: Iterator[Case] = field(default_factory=lambda: iter(()))


def tune(
    ops: Sequence[str],
    *,
    budget: float,
    threads: Sequence[int] = (1,),
    dtypes: Sequence[str] = ("float32", "float64"),
    measurer: Measurer | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_problem: Callable[[str, float], object] = lambda name, share: None,
) -> Tuned:
    """Measure the paths of operations for `budget` seconds.

    Parameters
    ----------
    ops : sequence of str
        Names in the operation registry.
    budget : float
        Seconds; no problem is begun after them.
    threads : sequence of int
        Numbers of threads that calls may use; one is measured beside them.
    dtypes : sequence of str
        Of the operands.
    measurer : Measurer, optional
        Measures a case; processes of its own by default.
    clock : callable
        Tells the time in seconds.
    on_problem : callable
        Told each problem before it is measured, and the share of the budget that is spent.

    Returns
    -------
    Tuned
        Also after Ctrl-C, and where a measuring process has failed, with what was finished. Nothing is
        stored.

    Raises
    ------
    WorkerError
        If a measuring process fails before anything is finished.

    Examples
    --------
    >>> tune(["matmul"], budget=0.0).entries
    []
    """
    start = clock()
    tuned = Tuned()
    # One thread is always a choice.
    threads = sorted({1, *threads})
    groups = _groups(ops, dtypes, tuned)
    try:
        with PathTimer(threads) if measurer is None else measurer as timer:
            while groups and clock() - start < budget:
                # The group that is farthest behind its share of the time so far.
                group = min(groups, key=lambda one: one.spent / one.share)
                began = clock()
                case = _next(group, threads, groups)
                if case is None or group.bytes > MOST_BYTES * group.share:
                    groups.remove(group)
                    continue
                on_problem(case.name, (began - start) / budget)
                _keep(timer.measure(case), group, tuned)
                group.spent += clock() - began
    except KeyboardInterrupt:
        tuned.interrupted = True
    except WorkerError as error:
        if not tuned.entries:
            raise
        tuned.errors["after these"] = str(error)
    tuned.seconds = clock() - start
    return tuned


def tune_cases(
    cases: Sequence[Case],
    *,
    budget: float,
    threads: Sequence[int] = (1,),
    measurer: Measurer | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_problem: Callable[[str, float], object] = lambda name, share: None,
) -> Tuned:
    """Measure the paths of given problems, in their order, as far as the budget goes.

    Parameters
    ----------
    cases : sequence of Case
        The problems, the most important first.
    budget : float
        Seconds; no problem is begun after them.
    threads : sequence of int
        Numbers of threads that calls may use.
    measurer : Measurer, optional
        Measures a case; processes of its own by default.
    clock : callable
        Tells the time in seconds.
    on_problem : callable
        Told each problem before it is measured, and the share of the problems that is done.

    Returns
    -------
    Tuned
        Also after Ctrl-C, and where a measuring process has failed, with what was finished.

    Raises
    ------
    WorkerError
        If a measuring process fails before anything is finished.

    Examples
    --------
    >>> tune_cases([], budget=1.0).entries
    []
    """
    start = clock()
    tuned = Tuned()
    group = _Group("", "", 1.0)
    try:
        with PathTimer(threads) if measurer is None else measurer as timer:
            for number, case in enumerate(dict.fromkeys(cases)):
                if clock() - start >= budget:
                    break
                on_problem(case.name, number / len(cases))
                tuned.left_out |= unknown_elsewhere(case, 1)
                _keep(timer.measure(case), group, tuned)
    except KeyboardInterrupt:
        tuned.interrupted = True
    except WorkerError as error:
        if not tuned.entries:
            raise
        tuned.errors["after these"] = str(error)
    tuned.seconds = clock() - start
    return tuned


def _groups(ops: Sequence[str], dtypes: Sequence[str], tuned: Tuned) -> list[_Group]:
    by_class: dict[str, list[str]] = {}
    for op in dict.fromkeys(ops):
        case = next(problems(op, dtypes[0]))
        tuned.left_out |= unknown_elsewhere(case, 1)
        usable = [path for path in tuned_paths(case, 1) if path != "naive"]
        if len(usable) < 2:
            tuned.skipped[op] = f"{usable[0] if usable else 'no path'} is the only path: nothing to decide"
            continue
        by_class.setdefault(cost_class(op), []).append(op)
    # A product has four sizes and two kernels to tell apart, an elementwise operation one size.
    weights = {kind: 4.0 if kind == "product" else 1.0 + 0.25 * len(own) for kind, own in by_class.items()}
    groups = []
    for kind, own in by_class.items():
        for place, op in enumerate(own):
            share = 1.0
            if len(own) > 1:
                share = LEAD_SHARE if place == 0 else (1 - LEAD_SHARE) / (len(own) - 1)
            share *= weights[kind] / sum(weights.values()) / len(dtypes)
            groups += [_Group(op, dtype, share, source=problems(op, dtype)) for dtype in dtypes]
    return groups


def _next(group: _Group, threads: Sequence[int], groups: Sequence[_Group]) -> Case | None:
    """Return the next problem of a group: of the first spread, of its queue, or newly chosen."""
    if len(group.timed) < FIRST_POINTS:
        return next(group.source)
    if not group.queue:
        # Operations of one class and dtype know each other's results, as the dispatcher will.
        known = [
            entry
            for other in groups
            if other.dtype == group.dtype and cost_class(other.op) == cost_class(group.op)
            for entries in other.timed.values()
            for entry in entries
        ]
        profile = Profile({}, tuple(known))
        winners = {case: _winners(entries) for case, entries in group.timed.items()}
        halved = crossovers(winners)
        fresh = list(itertools.islice(group.source, CANDIDATES))
        group.queue = choose_next(
            [*halved[-CANDIDATES:], *fresh],
            list(group.timed),
            lambda case: [predicted_times(case, count, profile) for count in threads],
            ROUND_POINTS,
        )
    return group.queue.pop(0) if group.queue else None


def _winners(entries: Sequence[Entry]) -> list[str]:
    return [min(entry.paths, key=lambda path: entry.paths[path].seconds) for entry in entries]


def predicted_times(case: Case, threads: int, profile: Profile | None) -> Mapping[str, float]:
    """Return what the dispatcher expects of every candidate.

    Parameters
    ----------
    case : Case
        The call.
    threads : int
        Threads it may use.
    profile : Profile or None
        What is measured.

    Returns
    -------
    mapping of str to float
        Seconds by path and number of threads; candidates that nothing is known of are missing.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> predicted_times(case_of("matmul", "float32", (8, 8, 8, 1)), 1, Profile({}))
    {}
    """
    usable, excluded = usable_paths(case.call(threads))
    choice = policy.choose(case.call(threads), profile, usable, excluded)
    return {
        f"{item.path}:{item.threads or threads}": item.predicted_seconds
        for item in choice.candidates
        if item.predicted_seconds is not None
    }


def _keep(timed: Timed, group: _Group, tuned: Tuned) -> None:
    group.timed[timed.case] = timed.entries
    tuned.entries += timed.entries
    group.bytes += sum(len(encode_entry(entry)) + 2 for entry in timed.entries)
    tuned.errors |= {
        f"{path} on {timed.case.op} {timed.case.name}": text for path, text in timed.errors.items()
    }
