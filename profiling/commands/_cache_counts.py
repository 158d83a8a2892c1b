"""One run of cachegrind, sorted by the kernels that it is to be compared with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cases import Case
from ..model import cachegrind
from ..model.cache import KernelMisses, layouts_of
from ..model.cachegrind_file import LineCounts, lines_of
from ..model.geometry import CacheLevel

PACKED_FOLDER = "tensorops/kernels/gemm/"
WIDEST_VECTOR = 4
"""Elements of one access of the ladder's baseline build: 16 bytes of float32."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one run of cachegrind gave.

    Attributes
    ----------
    lines : mapping of str to mapping
        Counts by line, for each kernel of the ladder.
    packed : mapping
        Counts by file and line of the packed product; empty if it was not run.
    seconds : float
        How long it took.
    """

    lines: Mapping[str, Mapping[int, LineCounts]]
    packed: Mapping[tuple[str, int], LineCounts]
    seconds: float

    @classmethod
    def of(
        cls,
        kernels: Mapping[str, Mapping[str, int]],
        case: Case,
        levels: Sequence[CacheLevel],
        found: Sequence[KernelMisses],
    ) -> Counted:
        """Run kernels under cachegrind and sort its counts.

        Raises
        ------
        CachegrindError
            If the run fails.
        """
        start = time.perf_counter()
        counts = cachegrind.run_kernels(kernels, list(layouts_of("abc", case).values()), case.dtype, levels)
        lines = {
            entry.kernel: lines_of(counts, entry.path, range(entry.first_line, entry.last_line + 1))
            for entry in found
        }
        packed = {key: value for key, value in counts.items() if PACKED_FOLDER in key[0]}
        if cachegrind.PACKED not in kernels:
            packed = {}
        return cls(lines, packed, time.perf_counter() - start)

    def compared(self, entry: KernelMisses) -> list[int]:
        """Return the lines whose accesses are all made by instructions of that line.

        The build's vectors are at most four accesses wide. A line with fewer instructions than that gave its
        loop away: to ``memset``, whose counts stand elsewhere.
        """
        counts = self.lines[entry.kernel]
        return [
            line
            for line, values in entry.by_line.items()
            if line in counts and counts[line].accesses * WIDEST_VECTOR >= values[0]
        ]

    def misses(self, entry: KernelMisses) -> tuple[int, int]:
        """Return the misses of the first and the last level on these lines."""
        counts = [self.lines[entry.kernel][line] for line in self.compared(entry)]
        return sum(line.first_misses for line in counts), sum(line.last_misses for line in counts)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        return {
            "seconds": self.seconds,
            "kernels": {
                kernel: {str(line): counts.to_dict() for line, counts in lines.items()}
                for kernel, lines in self.lines.items()
            },
            "packed": [
                {"file": Path(filename).name, "line": line, **counts.to_dict()}
                for (filename, line), counts in self.packed.items()
            ],
        }
