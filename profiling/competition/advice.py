"""What the toolkit can say of a submission that is right: hot lines, roofline, the next gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..measure.worker import physical_cores_first
from ..model.geometry import machine_levels
from ..model.roofline import Place, Roof, capacities, fastest_mean, measure_bandwidths, measure_peak
from .box import Box, HotLine, Limits
from .judge import MODULE, CaseSamples
from .pack import Pack
from .sandbox import Sandbox
from .score import Score
from .verdict import Fault

CALLS = 20
NEAR = 0.6


@dataclass(frozen=True, slots=True)
class Placed:
    """A case under the roof.

    Attributes
    ----------
    case : str
        Name of the band.
    place : Place
        Where it stands.
    """

    case: str
    place: Place

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        place = self.place
        return {
            "case": self.case,
            "level": place.level,
            "limit": place.limit,
            "gflops": place.gflops,
            "roof_gflops": place.roof,
            "share": place.share,
        }


def hot_lines(pack: Pack, path: Path, sandbox: Sandbox, seed: int = 0) -> list[HotLine]:
    """Run a Python submission under line_profiler, in a box of its own.

    Parameters
    ----------
    pack : Pack
        The problem.
    path : Path
        The submission.
    sandbox : Sandbox
        The walls.
    seed : int
        Of the operands.

    Returns
    -------
    list of HotLine
        The hottest first; empty for a compiled one and where line_profiler cannot be had.
    """
    if path.suffix != ".py":
        return []
    rng = np.random.default_rng(seed)
    problem = pack.problem
    band = problem.timed[0]
    sizes = band.draw(rng)
    operands = problem.make(rng, sizes, band.scale)
    cores = physical_cores_first()[:1]
    try:
        with Box(path, MODULE, pack.largest(), sandbox, cores, Limits(seconds=30), profiled=True) as box:
            box.prepare(operands, problem.dtype, problem.out_shape(sizes))
            box.call(operands)
            return box.hot_lines(CALLS)
    except Fault:
        return []


def place(pack: Pack, scored: Score, samples: Sequence[CaseSamples], threads: int) -> list[Placed]:
    """Return where each case stands under the roofline of this machine.

    Parameters
    ----------
    pack : Pack
        The problem.
    scored : Score
        With the times.
    samples : sequence of CaseSamples
        With the sizes.
    threads : int
        Whose roof is measured; it takes some seconds.

    Returns
    -------
    list of Placed
        In the order of the cases.
    """
    problem = pack.problem
    levels = machine_levels()
    bandwidths = measure_bandwidths(levels, threads, fastest_mean)
    peak = measure_peak(problem.dtype, threads)
    roof = Roof(problem.dtype, threads, peak, bandwidths, capacities(levels, threads))
    found = []
    for case in scored.cases:
        drawn = [sample.sizes for sample in samples if sample.case == case.case]
        flops = float(np.mean([problem.flops(sizes) for sizes in drawn]))
        moved = float(np.mean([problem.bytes(sizes) for sizes in drawn]))
        found.append(Placed(case.case, roof.place(int(flops), int(moved), case.ours.estimate)))
    return found


def next_gain(lines: Sequence[HotLine], placed: Sequence[Placed]) -> list[str]:
    """Return in words where the next gain lies.

    Parameters
    ----------
    lines : sequence of HotLine
        The hottest first.
    placed : sequence of Placed
        The cases.

    Returns
    -------
    list of str
        One sentence each.

    Examples
    --------
    >>> far = Placed("wide", Place(0.6, "L2", "L2", 40.0, 4.0))
    >>> next_gain([HotLine("kernel", 7, 3.0), HotLine("kernel", 8, 1.0)], [far])[0]
    'Line 7 takes 75 % of the time.'
    """
    told = []
    total = sum(line.seconds for line in lines)
    if total > 0:
        told.append(f"Line {lines[0].line} takes {100 * lines[0].seconds / total:.0f} % of the time.")
    if placed:
        weakest = min(placed, key=lambda one: one.place.share)
        share = 100 * weakest.place.share
        if weakest.place.share >= NEAR:
            told.append(f"Every case is near its roof ({share:.0f} % at least): little is left to gain.")
        elif weakest.place.limit == "compute":
            told.append(
                f"The case {weakest.case} reaches {share:.0f} % of the arithmetic peak: use wider vectors, "
                "more independent sums, and values again while they are in registers and caches."
            )
        else:
            told.append(
                f"The case {weakest.case} reaches {share:.0f} % of what {weakest.place.limit} delivers for "
                "one pass: make fewer passes, no temporaries, and cheaper arithmetic in between."
            )
    return told
