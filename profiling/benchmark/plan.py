"""What the two kinds of benchmark share: how much work to spend, and a plan that can be carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from .result import BenchResult

Against: TypeAlias = Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]] | Sequence[str]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while benchmarking.

    Parameters
    ----------
    result : BenchResult or None
        What was measured until then; None if no contender has a sample.
    """

    def __init__(self, result: BenchResult | None) -> None:
        super().__init__("interrupted while benchmarking")
        self.result = result


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work to spend.

    Attributes
    ----------
    blocks : int
        Blocks of four samples of each contender in a launch.
    budget_seconds : float
        For all launches together.
    launches : int
        Times to begin anew.
    """

    blocks: int
    budget_seconds: float
    launches: int


class Plan(Protocol):
    """A benchmark whose arguments were checked."""

    def measure(self, threads: int | None) -> BenchResult:
        """Carry it out with a number of threads."""
