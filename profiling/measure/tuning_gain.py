"""What a tune has changed: the dispatcher's choices before and after, and what the difference is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensorops.backends import usable_paths
from tensorops.dispatch import policy
from tensorops.dispatch.records import Entry, Profile

from ..cases import Case, case_of_entry
from .tuning_timer import Timed, contender_key

CONFIRMED = 8
"""Changes that are measured once more."""


@dataclass(frozen=True, slots=True)
class Change:
    """A call that takes another path from now on.

    Attributes
    ----------
    case : Case
        The problem.
    threads : int
        Threads that it may use.
    before, after : str
        The paths, with their threads where these differ from what the call may use.
    before_seconds, after_seconds : float
        Measured times of one call.
    """

    case: Case
    threads: int
    before: str
    after: str
    before_seconds: float
    after_seconds: float

    @property
    def ratio(self) -> float:
        """How many times faster the call is now."""
        return self.before_seconds / self.after_seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON-ready values."""
        return {
            "case": self.case.to_dict(),
            "threads": self.threads,
            "before": self.before,
            "after": self.after,
            "before_seconds": self.before_seconds,
            "after_seconds": self.after_seconds,
        }


def choice_of(case: Case, threads: int, profile: Profile | None) -> tuple[str, int]:
    """Return the path and the number of threads that the dispatcher takes for a call.

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
    path : str
        Backend and variant.
    threads : int
        Those that it uses, at most those allowed.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> choice_of(case_of("matmul", "float32", (8, 8, 8, 1)), 1, None)
    ('blocked/small', 1)
    """
    call = case.call(threads)
    choice = policy.choose(call, profile, *usable_paths(call))
    return contender_key(choice.path, choice.threads, case)


def changes(entries: Sequence[Entry], before: Profile | None, after: Profile | None) -> list[Change]:
    """Return the measured calls whose path differs between two profiles.

    Parameters
    ----------
    entries : sequence of Entry
        Measured calls; entries of one call at several numbers of threads belong together.
    before, after : Profile or None
        What the dispatcher knew, and knows.

    Returns
    -------
    list of Change
        The largest gain first. A call of which one of the two paths was not measured is left out.

    Examples
    --------
    >>> changes([], None, None)
    []
    """
    seconds = measured_seconds(entries)
    found = []
    for entry in entries:
        case = case_of_entry(entry)
        old, new = (choice_of(case, entry.threads, profile) for profile in (before, after))
        first, second = (seconds.get((case, *choice)) for choice in (old, new))
        if old != new and first is not None and second is not None:
            texts = [_choice_text(choice, entry.threads, case) for choice in (old, new)]
            found.append(Change(case, entry.threads, texts[0], texts[1], first, second))
    return sorted(found, key=lambda change: -change.ratio)


def measured_seconds(entries: Sequence[Entry]) -> Mapping[tuple[Case, str, int], float]:
    """Return the measured seconds of every path of every call.

    Parameters
    ----------
    entries : sequence of Entry
        Measured calls.

    Returns
    -------
    mapping
        From case, path and number of threads.

    Examples
    --------
    >>> measured_seconds([])
    {}
    """
    return {
        (case_of_entry(entry), path, entry.threads): result.seconds
        for entry in entries
        for path, result in entry.paths.items()
    }


def mean_gain(entries: Sequence[Entry], before: Profile | None, after: Profile | None) -> float:
    """Return how many times faster the measured calls are now, as a geometric mean.

    Parameters
    ----------
    entries : sequence of Entry
        Measured calls.
    before, after : Profile or None
        What the dispatcher knew, and knows.

    Returns
    -------
    float
        1 where nothing changed.

    Examples
    --------
    >>> mean_gain([], None, None)
    1.0
    """
    gains = [math.log(change.ratio) for change in changes(entries, before, after)]
    return math.exp(math.fsum(gains) / max(1, len(entries)))


def _choice_text(choice: tuple[str, int], allowed: int, case: Case) -> str:
    path, threads = choice
    if choice == contender_key(path, allowed, case):
        return path
    return f"{path} on {threads} thread{'s' * (threads != 1)}"


def confirmed(
    found: Sequence[Change], measure: Callable[[Case], Timed], most: int = CONFIRMED
) -> list[Change]:
    """Return changes with times that had no part in the choice.

    A path is chosen because it looked fast, in part by luck. Measured once more, its luck is its own.

    Parameters
    ----------
    found : sequence of Change
        As `changes` returns them.
    measure : callable
        Measures a case anew.
    most : int
        How many of them to measure again, the first ones.

    Returns
    -------
    list of Change
        Those measured again with their new times, in their order; the others are left out.

    Examples
    --------
    >>> confirmed([], lambda case: None)
    []
    """
    again = []
    for change in found[:most]:
        seconds = measured_seconds(measure(change.case).entries)
        first, second = (
            seconds.get((change.case, *_parsed(text, change.threads)))
            for text in (change.before, change.after)
        )
        if first is not None and second is not None:
            again.append(replace(change, before_seconds=first, after_seconds=second))
    return again


def _parsed(text: str, allowed: int) -> tuple[str, int]:
    path, _, threads = text.partition(" on ")
    return path, int(threads.split()[0]) if threads else allowed
