"""What the machine allows a case of the suite: arithmetic, or the bandwidth at the case's own footprint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cases import SPECS, Case, flops, moved_bytes
from ..model.geometry import machine_levels
from ..model.roofline import (
    MEMORY,
    Bandwidth,
    Place,
    capacities,
    fastest_mean,
    footprints,
    measure_bandwidth,
    measure_peak,
)
from ._base import CommandError

SMALLEST_FOOTPRINT = 8 << 10


@dataclass(frozen=True, slots=True)
class SuiteRoof:
    """The roofs of one dtype and one number of threads.

    Attributes
    ----------
    dtype : str
        Whose peak it is.
    threads : int
        Threads.
    peak : float
        GFLOP/s on registers alone, of all threads together.
    bandwidths : mapping of int to Bandwidth
        By footprint in bytes.
    """

    dtype: str
    threads: int
    peak: float
    bandwidths: Mapping[int, Bandwidth]

    def place(self, case: Case, seconds: float) -> Place:
        """Return where a case stands.

        Parameters
        ----------
        case : Case
            What was computed.
        seconds : float
            Measured time of one call.

        Returns
        -------
        Place
            Under the bandwidth that was measured at the footprint nearest to the case's.

        Examples
        --------
        >>> roof = SuiteRoof("float32", 1, 100.0, {1 << 13: Bandwidth("L1", 1, 1 << 13, {"read": 80.0})})
        >>> place = roof.place(Case("relu", "float32", ((1024,),), "C"), 1e-6)
        >>> place.limit, place.roof, round(place.share, 4)
        ('L1', 10.0, 0.1024)
        """
        size = footprint(case)
        nearest = min(self.bandwidths, key=lambda measured: abs(math.log(measured / size)))
        bandwidth = self.bandwidths[nearest]
        intensity = flops(case) / moved_bytes(case)
        slope = intensity * bandwidth.best
        limit = "compute" if self.peak <= slope else bandwidth.level
        return Place(intensity, bandwidth.level, limit, min(self.peak, slope), flops(case) / seconds / 1e9)

    def to_dict(self) -> dict[str, Any]:
        """Return the roofs as JSON-ready values."""
        return {
            "dtype": self.dtype,
            "threads": self.threads,
            "peak_gflops": self.peak,
            "bandwidths": [bandwidth.to_dict() for bandwidth in self.bandwidths.values()],
        }


def footprint(case: Case) -> int:
    """Return the bytes of a case's operands and results, what is changed in place once.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> from profiling.cases import example_case
    >>> [footprint(example_case(op, "float32", ((100,),))) for op in ("relu", "relu_")]
    [800, 400]
    """
    spec = SPECS[case.op]
    found = spec.out_shape(case.shapes, dict(case.params))
    results = () if spec.in_place else found if spec.outputs > 1 else (found,)
    return max(1, np.dtype(case.dtype).itemsize * sum(map(math.prod, (*case.shapes, *results))))


def measure_roofs(cases: Iterable[Case], threads: int) -> dict[str, SuiteRoof]:
    """Measure what arithmetic and memory allow.

    Parameters
    ----------
    cases : iterable of Case
        What will be placed.
    threads : int
        Threads that work together.

    Returns
    -------
    dict of str to SuiteRoof
        By dtype.

    Raises
    ------
    CommandError
        If fewer threads take part than were asked for.
    """
    cases = list(cases)
    levels = machine_levels()
    room = capacities(levels, threads)
    largest = threads * footprints(levels, threads)[MEMORY]
    sizes = {_rounded(min(footprint(case), largest)) for case in cases}
    try:
        bandwidths = {
            size: measure_bandwidth(_level(size, room), size // threads, threads, fastest_mean)
            for size in sorted(sizes)
        }
    except RuntimeError as error:
        raise CommandError(str(error), exit_code=1) from error
    dtypes: Sequence[str] = sorted({case.dtype for case in cases})
    return {dtype: SuiteRoof(dtype, threads, measure_peak(dtype, threads), bandwidths) for dtype in dtypes}


def _rounded(size: int) -> int:
    """Return the nearest step of two to an octave: a whole octave would mistake one level for the next."""
    step = 2.0 ** (round(2 * math.log2(size)) / 2)
    # Whole lines of all threads.
    return max(SMALLEST_FOOTPRINT, int(step) & ~0xFFF)


def _level(size: int, room: Mapping[str, int]) -> str:
    return next((level for level, bytes_of_it in room.items() if size <= bytes_of_it), MEMORY)
