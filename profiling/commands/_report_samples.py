"""What of the samples belongs to the measuring itself, and which compiled modules hide their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ..collect.native_lines import why_unavailable
from ..collect.samples import Sample

TOOLKIT = str(Path(__file__).parent.parent)
CALLER = str(Path(__file__).with_name("_profile_call.py"))
SHOWN_SHARE = 0.02
MEASURING = frozenset({"Collectors._count", "Journal._flush_often", "Journal.finish", "NameWatch._watch"})
REMEDIES = ("emit_linenums", "addr2line")
"""A reason that names one of these can be mended by the user."""


def without_measuring(samples: Iterable[Sample]) -> tuple[list[Sample], float]:
    """Separate the samples of a program from those of its counters.

    Parameters
    ----------
    samples : iterable of Sample
        Of a whole process.

    Returns
    -------
    samples : list of Sample
        Those of the program.
    seconds : float
        Processor time of the others.
    """
    kept = []
    seconds = 0.0
    for sample in samples:
        if _is_measuring(sample):
            seconds += sample.seconds if sample.running else 0.0
        else:
            kept.append(_inside(sample))
    return kept, seconds


def _inside(sample: Sample) -> Sample:
    """Return a sample without the frames around a call that was profiled in this process."""
    for place, frame in enumerate(sample.frames):
        if frame.filename == CALLER:
            return replace(sample, frames=sample.frames[:place])
    return sample


def _is_measuring(sample: Sample) -> bool:
    if sample.module is not None and sample.module.startswith(TOOLKIT):
        return True
    # The counters begin in the middle of the program's `import numpy`, and write from a thread of their own.
    own = {frame.function for frame in sample.frames if frame.filename.startswith(TOOLKIT)}
    return not own.isdisjoint(MEASURING)


def without_lines(samples: Iterable[Sample], is_own: Callable[[str], bool]) -> list[str]:
    """Return why compiled modules that took much of the time have no lines.

    Parameters
    ----------
    samples : iterable of Sample
        Of a program.
    is_own : callable
        Whether a file is the user's own code.

    Returns
    -------
    list of str
        A sentence for each module of his own, or made by Cython from a source that is not known.
    """
    times: dict[str, float] = {}
    for sample in samples:
        if sample.running and sample.module is not None:
            times[sample.module] = times.get(sample.module, 0.0) + sample.seconds
    total = sum(times.values())
    found = []
    for module, seconds in times.items():
        if seconds >= SHOWN_SHARE * total and Path(module).exists() and is_own(module):
            reason = why_unavailable(module)
            # A library of the system has no lines either, and nobody misses them.
            if reason is not None and any(word in reason for word in REMEDIES):
                found.append(f"No lines of compiled code: {reason}.")
    return found
