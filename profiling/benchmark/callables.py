"""Benchmarks of anybody's callables, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from ..document import time_text
from ..measure import calibration, machine, stats
from ..measure.callables import (
    Call,
    Check,
    check_result,
    empty_call_seconds,
    limited_threads,
    name_of,
    refuse_lazy,
    single_turn,
)
from ..measure.run import Launch
from ..measure.timer import Schedule, garbage_collection_off, interleave
from .plan import Against, Effort, Interrupted
from .result import BenchResult

LONGEST_SAMPLE = 1e-3
"""Short, and many: on a busy machine a sample that fits between two interruptions is worth a long one that
does not."""
SHORTEST_SAMPLE = 2e-4
ROUNDS_PER_CALIBRATION = 2
FEWEST_TURNS = 4
"""If the rest of the budget holds fewer turns of single calls than this, calls are not repeated in loops."""


@dataclass(slots=True)
class _Progress:
    """What was measured so far."""

    launches: list[Launch] = field(default_factory=list)
    first_calls: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    during: list[float] = field(default_factory=list)
    only_first: bool = False


@dataclass(frozen=True, slots=True)
class CallablePlan:
    """Callables whose arguments were checked.

    Attributes
    ----------
    functions : mapping of str to callable
        The contenders, the first one first.
    arguments : tuple
        Positional arguments, unless `setup` gives others.
    setup : callable or None
        Makes the arguments for one contender and launch.
    verify : callable, bool or None
        As ``profiling.bench``.
    effort : Effort
        How much work to spend.
    """

    functions: Mapping[str, Callable[..., Any]]
    arguments: tuple[Any, ...]
    setup: Callable[[], Any] | None
    verify: Check | bool | None
    effort: Effort

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        against: Against | None,
        setup: Callable[[], Any] | None,
        verify: Check | bool | None,
        name: str | None,
        effort: Effort,
    ) -> CallablePlan:
        """Return a plan for arguments of ``profiling.bench``; refuse what cannot be timed."""
        refuse_lazy(function)
        rivals = against.items() if isinstance(against, Mapping) else [(None, one) for one in against or ()]
        functions = {name or name_of(function): function}
        for given, rival in rivals:
            if isinstance(rival, str):
                raise TypeError(
                    f"against names the library {rival!r}, which only an operation by name can be measured "
                    "beside; give callables, such as {'numpy': np.matmul}"
                )
            refuse_lazy(rival)
            title = given or name_of(rival)
            if title in functions:
                raise ValueError(
                    f"two contenders are called {title!r}: give against= as a mapping from names to "
                    "callables, or name="
                )
            functions[title] = rival
        if setup is not None:
            refuse_lazy(setup)
        return cls(functions, arguments, setup, verify, effort)

    def measure(self, threads: int | None) -> BenchResult:
        """Measure all launches with a number of threads; None leaves them as they are."""
        with limited_threads(threads):
            described = machine.describe()
            taken = {"before": tuple(calibration.sample())}
            progress = _Progress()
            try:
                for _ in range(self.effort.launches):
                    self._launch(progress)
            except KeyboardInterrupt:
                raise Interrupted(self._result(progress, threads, described, taken, ended=True)) from None
            taken |= {"during": tuple(progress.during), "after": tuple(calibration.sample())}
            result = self._result(progress, threads, described, taken)
        assert result is not None
        return result

    def _launch(self, progress: _Progress) -> None:
        """Measure one launch; on Ctrl-C note what it gave."""
        begun = time.perf_counter()
        budget = self.effort.budget_seconds / self.effort.launches
        calls = [Call(name, function, self._arguments()) for name, function in self.functions.items()]
        first = self._first_calls(calls, progress)
        left = budget - (time.perf_counter() - begun)
        samples: dict[str, list[float]] = {}
        loops: dict[str, int] = {}
        try:
            with garbage_collection_off():
                if sum(first.values()) <= left:
                    self._turns(calls, left, samples, loops, progress.during)
        finally:
            common = min((len(values) for values in samples.values()), default=0)
            if not common and len(first) == len(calls):
                # Longer than the budget, or ended before anything else was measured.
                progress.only_first = True
                samples, common, loops = {name: [value] for name, value in first.items()}, 1, {}
            if common:
                seconds = {call.name: samples[call.name][:common] for call in calls}
                progress.launches.append(
                    Launch.of(seconds, {call.name: loops.get(call.name, 1) for call in calls})
                )

    def _first_calls(self, calls: list[Call], progress: _Progress) -> dict[str, float]:
        first: dict[str, float] = {}
        expected: Any = None
        for number, call in enumerate(calls):
            first[call.name], result = call.first()
            progress.first_calls.setdefault(call.name, first[call.name])
            if number == 0:
                expected = result
            if self.verify and (number > 0 or callable(self.verify)):
                problem = check_result(result, expected, self.verify)
                if problem:
                    progress.errors[call.name] = problem
        return first

    def _turns(
        self,
        calls: list[Call],
        budget: float,
        samples: dict[str, list[float]],
        loops: dict[str, int],
        during: list[float],
    ) -> None:
        """Fill in samples: single calls where the budget holds only a few, else calibrated loops."""
        begun = time.perf_counter()
        turn = single_turn(calls, samples)
        left = budget - turn
        if turn * FEWEST_TURNS > left:
            forwards = False
            while time.perf_counter() - begun + turn <= budget:
                turn = single_turn(calls if forwards else calls[::-1], samples)
                forwards = not forwards
            return
        effort = self.effort
        wanted = left / (1.5 * stats.BLOCK * effort.blocks * len(calls))
        sample_seconds = min(LONGEST_SAMPLE, max(SHORTEST_SAMPLE, wanted))
        rounds = cycle(range(ROUNDS_PER_CALIBRATION))

        def between() -> None:
            if next(rounds) == 0:
                during.append(calibration.piece())

        schedule = Schedule(sample_seconds, effort.blocks, 1, left)
        interleave(calls, schedule, loops=loops, samples=samples, between=between)

    def _arguments(self) -> tuple[Any, ...]:
        if self.setup is None:
            return self.arguments
        made = self.setup()
        return made if isinstance(made, tuple) else (made,)

    def _result(
        self,
        progress: _Progress,
        threads: int | None,
        described: Mapping[str, Any],
        taken: Mapping[str, tuple[float, ...]],
        *,
        ended: bool = False,
    ) -> BenchResult | None:
        if not progress.launches:
            return None
        return BenchResult(
            next(iter(self.functions)),
            tuple(progress.launches),
            threads,
            dict(progress.first_calls),
            dict(progress.errors),
            tuple(self._notes(progress, threads, ended)),
            described,
            dict(taken),
        )

    def _notes(self, progress: _Progress, threads: int | None, ended: bool) -> list[str]:
        notes = []
        if ended:
            notes.append("INCOMPLETE: interrupted while measuring.")
        if progress.only_first:
            budget = time_text(self.effort.budget_seconds / self.effort.launches)
            notes.append(
                f"One call of each took longer than what the budget left ({budget} for a launch): the first "
                "call is the only sample, and may include imports, compilation and cold caches."
            )
        if self.effort.launches > 1:
            notes.append(
                "All launches ran in this process: how process starts differ is not in the interval."
            )
        if threads is not None and threads > 1 and len(self.functions) > 1:
            notes.append(
                "The contenders share a process: threads that spin after a call may slow the next contender."
            )
        empty = empty_call_seconds()
        for name in self.functions:
            least = min(min(launch.seconds[name]) for launch in progress.launches)
            if least < 2 * empty:
                notes.append(
                    f"{name} takes little longer than an empty call ({time_text(empty)}, which is not "
                    "subtracted): time a function that does more in one call."
                )
        return notes
