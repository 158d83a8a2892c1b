"""What this machine makes of two equal programs: the least difference that can mean anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .judge import RANKED, Plan, judge
from .pack import Pack
from .score import LEAST_NOISE, NORMAL, score
from .verdict import OK

MOST_NOISE = 0.03


@dataclass(frozen=True, slots=True)
class Noise:
    """What equal programs have shown.

    Attributes
    ----------
    differences : tuple of float
        Logarithms of the scores of the baseline against itself.
    """

    differences: tuple[float, ...]

    @property
    def level(self) -> float:
        """The difference that two scores of equal programs rarely exceed: 1.96 root mean squares of one."""
        mean = math.fsum(value * value for value in self.differences) / len(self.differences)
        return max(LEAST_NOISE, NORMAL * math.sqrt(mean))

    @property
    def quiet(self) -> bool:
        """Whether a rank can mean something here."""
        return self.level <= MOST_NOISE

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {"differences": list(self.differences), "level": self.level, "quiet": self.quiet}


def measure(pack: Pack, times: int = 5, plan: Plan = RANKED) -> Noise:
    """Judge a problem's baseline against itself.

    Parameters
    ----------
    pack : Pack
        The problem.
    times : int
        How often.
    plan : Plan
        How much is measured each time.

    Returns
    -------
    Noise
        What they differed by.

    Raises
    ------
    RuntimeError
        If a judging fails.
    """
    code = pack.file("baseline.py").read_bytes()
    found: list[float] = []
    order: Sequence[str] = [band.name for band in pack.problem.timed]
    for _ in range(times):
        judged = judge(pack, code, ".py", plan=plan)
        if judged.verdict.name != OK:
            raise RuntimeError(f"{judged.verdict.name}: {judged.verdict.reason}")
        found.append(math.log(score(judged.samples, order).total.estimate))
    return Noise(tuple(found))
