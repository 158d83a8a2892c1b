"""Who stands where. Every output that ranks asks here, so that no two of them differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..measure.stats import Interval
from .score import LEAST_NOISE, tied
from .store import Store


@dataclass(frozen=True, slots=True)
class Key:
    """What a board is for: results of two keys are never compared.

    Attributes
    ----------
    problem, version, track, machine : str
        Problem with its version, number of processors, class of machine.
    """

    problem: str
    version: str
    track: str
    machine: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A participant on a board.

    Attributes
    ----------
    rank : int
        From 1; equal for all that are tied with the first of their group.
    tied : bool
        Whether somebody else has the same rank.
    participant : str
        Who.
    submission : int
        The newest one of the source that counts.
    first : int
        The first one of it: who was earlier stands higher in a tie.
    score : Interval
        Speed-up over the baseline.
    launches : int
        Pairs of processes that the score rests on.
    sandbox : str
        The walls.
    """

    rank: int
    tied: bool
    participant: str
    submission: int
    first: int
    score: Interval
    launches: int
    sandbox: str

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "rank": self.rank,
            "tied": self.tied,
            "participant": self.participant,
            "submission": self.submission,
            "first": self.first,
            "score": self.score.estimate,
            "low": self.score.low,
            "high": self.score.high,
            "launches": self.launches,
            "sandbox": self.sandbox,
        }


def keys(store: Store, problem: str | None = None) -> list[Key]:
    """Return the boards that have an entry, those of the newest results first."""
    rows = store.all(
        "SELECT problem, version, track, machine, max(last) AS newest FROM ranking "
        "GROUP BY problem, version, track, machine ORDER BY newest DESC"
    )
    found = [Key(row["problem"], row["version"], row["track"], row["machine"]) for row in rows]
    return [key for key in found if problem in (None, key.problem)]


def noise(store: Store, machine: str) -> float:
    """Return what a machine makes of two equal programs, 1 % until ``doctor`` has measured it."""
    measured = store.decided("noise", machine)
    return LEAST_NOISE if measured is None else max(LEAST_NOISE, float(measured))


def board(store: Store, key: Key) -> list[Entry]:
    """Return the entries of a board, the fastest first.

    Parameters
    ----------
    store : Store
        The competition.
    key : Key
        Which board.

    Returns
    -------
    list of Entry
        One per participant: of several sources the one of the highest lower bound. Who cannot be told
        from the first of a group belongs to it, and stands there in the order of submission.
    """
    rows = store.all(
        "SELECT * FROM ranking WHERE problem = ? AND version = ? AND track = ? AND machine = ? "
        "ORDER BY participant, low DESC, first",
        (key.problem, key.version, key.track, key.machine),
    )
    best: dict[str, Any] = {}
    for row in rows:
        best.setdefault(row["participant"], row)
    order = sorted(best.values(), key=lambda row: (-row["estimate"], row["first"]))
    groups: list[list[Any]] = []
    threshold = noise(store, key.machine)
    for row in order:
        if groups and tied(_interval(groups[-1][0]), _interval(row), threshold):
            groups[-1].append(row)
        else:
            groups.append([row])
    return list(_entries(groups))


def undecided(store: Store, key: Key, kind: str, score: Interval) -> bool:
    """Tell whether more samples might part a score from one that it is tied with.

    Parameters
    ----------
    store : Store
        The competition.
    key : Key
        Which board.
    kind : str
        Of the score's own source.
    score : Interval
        Of a source that is being judged.

    Returns
    -------
    bool
        Whether it differs by more than the noise from one of the board, and the intervals alone tie
        them. Scores within the noise are tied however many samples there are.
    """
    rows = store.all(
        "SELECT estimate, low, high, launches FROM ranking "
        "WHERE problem = ? AND version = ? AND track = ? AND machine = ? AND kind != ?",
        (key.problem, key.version, key.track, key.machine, kind),
    )
    threshold = noise(store, key.machine)
    return any(
        tied(score, _interval(row), threshold) and abs(math.log(score.estimate / row["estimate"])) > threshold
        for row in rows
    )


def _entries(groups: Sequence[Sequence[Any]]) -> list[Entry]:
    found: list[Entry] = []
    for group in groups:
        rank = len(found) + 1
        for row in sorted(group, key=lambda row: row["first"]):
            found.append(
                Entry(
                    rank,
                    len(group) > 1,
                    row["participant"],
                    row["last"],
                    row["first"],
                    _interval(row),
                    row["launches"],
                    row["sandbox"],
                )
            )
    return found


def _interval(row: Any) -> Interval:
    return Interval(row["estimate"], row["low"], row["high"], row["launches"])
