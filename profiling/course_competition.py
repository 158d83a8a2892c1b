"""`AccelerationCompetition`: a leaderboard of Python functions that are trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .benchmark import BenchResult

__all__ = ["AccelerationCompetition", "Standing", "standings"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of a leaderboard.

    Attributes
    ----------
    rank : int or None
        Entries that cannot be told apart share one; None for a wrong result.
    name : str
        The entry.
    seconds : float
        Time of a call.
    speedup, low, high : float
        How many times faster than the baseline, with an interval.
    wrong : str
        What is wrong with its result; empty if nothing is.
    """

    rank: int | None
    name: str
    seconds: float
    speedup: float
    low: float
    high: float
    wrong: str = ""


class AccelerationCompetition:
    """A leaderboard of Python callables, on one's own operands.

    Entries run in this process and are trusted; they take turns with the baseline, and with each other, under
    `profiling.bench`. A competition of files that nobody has to trust is ``python -m profiling compete``.

    Parameters
    ----------
    *operands : object
        Arguments of every call; two square float32 matrices of 128 by default.
    baseline : callable
        What is right, and what the entries are compared with.

    Examples
    --------
    >>> import tensorops
    >>> competition = AccelerationCompetition(np.ones((64, 64)), np.ones((64, 64)))
    >>> competition.submit("ours", tensorops.matmul)
    >>> competition.submit("zeros", lambda a, b: np.zeros((64, 64)))
    >>> [(entry.name, entry.rank is None) for entry in competition.leaderboard(budget_seconds=0.2)][-1]
    ('zeros', True)
    """

    BASELINE = "baseline"

    def __init__(self, *operands: Any, baseline: Callable[..., Any] = np.matmul) -> None:
        rng = np.random.default_rng(0)
        self.operands = operands or tuple(rng.standard_normal((128, 128), np.float32) for _ in range(2))
        self.baseline = baseline
        self.entries: dict[str, Callable[..., Any]] = {}

    def submit(self, name: str, function: Callable[..., Any]) -> None:
        """Enter a function, or replace an earlier one of the same name.

        Parameters
        ----------
        name : str
            Whose it is.
        function : callable
            Takes the operands and returns the result.

        Raises
        ------
        TypeError
            If it cannot be called.
        ValueError
            If the name is empty or the baseline's.
        """
        if not callable(function):
            raise TypeError(f"{name}: expected a callable, got {type(function).__name__}")
        if not name or name == self.BASELINE:
            raise ValueError(f"{name!r} cannot be the name of an entry")
        self.entries[name] = function

    def leaderboard(self, budget_seconds: float = 2.0) -> list[Standing]:
        """Measure all entries beside the baseline and rank them.

        Parameters
        ----------
        budget_seconds : float
            Time that measuring may take.

        Returns
        -------
        list of Standing
            The baseline among them, the fastest first, wrong ones last.

        Raises
        ------
        ValueError
            If nothing was submitted.
        """
        if not self.entries:
            raise ValueError("nothing was submitted: call submit(name, function) first")
        from .benchmark import bench

        found = bench(
            self.baseline,
            *self.operands,
            against=self.entries,
            verify=True,
            budget_seconds=budget_seconds,
            name=self.BASELINE,
        )
        return standings(found)


def standings(found: BenchResult) -> list[Standing]:
    """Rank what was measured.

    Parameters
    ----------
    found : BenchResult
        The first contender is the baseline.

    Returns
    -------
    list of Standing
        The fastest first, wrong ones last. Equal is who cannot be told from the first one of a rank.
    """
    right = [name for name in found.contenders if name not in found.errors]
    right.sort(key=lambda name: found.seconds_of(name).estimate)
    ranks: dict[str, int] = {}
    first = right[0]
    for place, name in enumerate(right, 1):
        if place > 1 and replace(found, name=first).ratio(name).low > 1:
            first = name
        ranks[name] = ranks.get(first, place)
    board = []
    for name in [*right, *found.errors]:
        ratio = replace(found, name=name).ratio(found.name)
        seconds, wrong = found.seconds_of(name).estimate, found.errors.get(name, "")
        board.append(Standing(ranks.get(name), name, seconds, ratio.estimate, ratio.low, ratio.high, wrong))
    return board
