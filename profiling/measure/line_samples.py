"""Where a contender spends its time: its compiled code sampled at its own speed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tensorops.dispatch.records import Entry

from ..cases import Case, case_of_entry, flops
from ..collect.line_table import LineTable
from ..collect.samples import Sample
from .contenders import get_library
from .paths import PREFIX

PIECE_SECONDS = 0.01
INTERVAL = 5e-4
HOTSPOT_SECONDS = 0.06
MOST_WAITING = 20
"""How many times longer it may take, by the clock, until a thread had its time of the processor."""
SMALL_FLOPS = 1e5
"""Below it the call itself may be the costliest, above it the kernels are."""


def sample_contender(
    contender: str, case: Case, threads: int, seconds: float
) -> tuple[list[Sample], dict[str, Any]]:
    """Run a contender for a while under the sampler, at its own speed.

    Parameters
    ----------
    contender : str
        As ``profiling.measure.contenders.get_library`` knows it.
    case : Case
        What it computes.
    threads : int
        Threads it may use.
    seconds : float
        For how long, of the processor too.

    Returns
    -------
    samples : list of Sample
        Where its threads were.
    sampling : dict
        ``interval``, ``seconds``, ``samples``, ``lost`` and ``calls``, or ``reason`` why there are none.
    """
    from ..collect.sampler import Sampler, why_unavailable

    reason = why_unavailable()
    if reason is not None:
        return [], {"reason": reason}
    library = get_library(contender)
    library.set_threads(threads)
    loop = library.loop(case, case.operands(), case.results())
    once = max(loop(1), 1e-7)
    count = max(1, int(PIECE_SECONDS / once))
    elapsed, calls, begun = 0.0, 0, time.process_time()
    with Sampler(interval=INTERVAL) as sampler:
        # Where others keep the processor busy, time by the clock may pass without a sample.
        while elapsed < seconds or (
            time.process_time() - begun < seconds and elapsed < MOST_WAITING * seconds
        ):
            elapsed += loop(count)
            calls += count
    samples = sampler.samples()
    return samples, {
        "interval": sampler.interval,
        "seconds": elapsed,
        "samples": sum(sample.samples for sample in samples),
        "lost": sampler.lost,
        "calls": calls,
    }


def hotspot(path: str, case: Case, seconds: float = HOTSPOT_SECONDS) -> str | None:
    """Return the costliest place of a path on a case.

    Parameters
    ----------
    path : str
        A path of the dispatcher.
    case : Case
        What it computes, on one thread.
    seconds : float
        How long it is sampled.

    Returns
    -------
    str or None
        A line of a .pyx file, or the native library that takes most of the time; None without samples.

    Examples
    --------
    >>> from ..cases import square_case
    >>> place = hotspot("numpy", square_case(64, "float32"), 0.0)
    """
    from ..collect.native_lines import pyx_line_times

    samples, sampling = sample_contender(PREFIX + path, case, 1, seconds)
    if "reason" in sampling:
        return None
    running = [sample for sample in samples if sample.running]
    table = LineTable()
    table.add_times(pyx_line_times(running), str, sampling["calls"])
    timed = [line for line in table.lines() if line.seconds]
    libraries: dict[str, float] = {}
    for sample in running:
        # The library's own modules are known by their lines.
        if sample.module is not None and "tensorops" not in Path(sample.module).parts:
            # A wheel's library has a hash in its name, which tells nothing and takes room in the profile.
            name = re.sub(r"-[0-9a-f]{6,}", "", Path(sample.module).name)
            libraries[name] = libraries.get(name, 0.0) + sample.seconds
    inside = sum(line.seconds or 0.0 for line in timed) * sampling["calls"]
    if timed and inside >= max(libraries.values(), default=0.0):
        return max(timed, key=lambda line: line.seconds or 0.0).place
    return max(libraries, key=lambda name: libraries[name], default=None)


def with_hotspots(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries with the hotspot of each path, at one small and one large problem: it takes room.

    Parameters
    ----------
    entries : iterable of Entry
        Results of a tune.

    Returns
    -------
    list of Entry
        Equal but for the hotspots.

    Examples
    --------
    >>> with_hotspots([])
    []
    """
    known: set[tuple[str, str, bool]] = set()
    found = []
    for entry in entries:
        case = case_of_entry(entry)
        paths = dict(entry.paths)
        for path, result in entry.paths.items():
            key = (entry.op, path, flops(case) > SMALL_FLOPS)
            if key not in known:
                known.add(key)
                paths[path] = replace(result, hotspot=hotspot(path, case))
        found.append(replace(entry, paths=paths))
    return found
