"""Samples on their way to a file, so that a process that is killed leaves what it measured.

The file holds one JSON value per line. Names are written once and referred to by their number:
``{"spool": 1, "interval": seconds}`` begins a run, ``{"frames": [[filename, function, line, first line],
...]}`` and ``{"modules": [path, ...]}`` number what they list on from what was listed before, and
``{"seconds": wall, "lost": count, "notes": [...], "samples": [[thread, running, module, offset, seconds,
samples, [frame, ...]], ...]}`` adds to what came before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .samples import Frame, Sample, merge

VERSION = 1


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a spool file holds.

    Attributes
    ----------
    samples : tuple of Sample
        The longest first.
    interval : float
        Seconds between two samples of a running thread.
    seconds : float
        Wall-clock time that was sampled.
    lost : int
        Samples that could not be kept; their time is in later ones.
    notes : tuple of str
        What the reader of the samples should know.
    """

    samples: tuple[Sample, ...]
    interval: float
    seconds: float
    lost: int
    notes: tuple[str, ...]


def read_spool(path: str | os.PathLike[str]) -> Spooled:
    """Read what a sampler wrote to its spool, also if its process was killed meanwhile.

    Parameters
    ----------
    path : path-like
        As given to the sampler.

    Returns
    -------
    Spooled
        What was measured. A last line that is cut off is left out.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no spool, of another version, or damaged before its last line.
    """
    lines = Path(path).read_bytes().split(b"\n")
    frames: list[Frame] = []
    modules: list[str] = []
    samples: list[Sample] = []
    interval, seconds, lost = 0.0, 0.0, 0
    notes: tuple[str, ...] = ()
    for number, line in enumerate(lines[:-1], 1):
        try:
            entry = json.loads(line)
            if number == 1:
                if entry["spool"] != VERSION:
                    raise ValueError(f"version {entry['spool']}, expected {VERSION}")
                interval = entry["interval"]
            frames.extend(Frame(*frame) for frame in entry.get("frames", ()))
            modules.extend(entry.get("modules", ()))
            for thread, running, module, offset, time, count, stack in entry.get("samples", ()):
                samples.append(
                    Sample(
                        thread,
                        tuple(frames[place] for place in stack),
                        None if module is None else modules[module],
                        offset,
                        time,
                        bool(running),
                        count,
                    )
                )
            seconds, lost = entry.get("seconds", seconds), entry.get("lost", lost)
            notes = tuple(entry.get("notes", notes))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"{path} is no spool of samples, or damaged: line {number}: {error}") from error
    if len(lines) < 2:
        raise ValueError(f"{path} is no spool of samples: it has no complete line")
    return Spooled(tuple(merge(samples)), interval, seconds, lost, notes)


class SpoolWriter:
    """Writes samples to a file, bit by bit.

    The file is opened anew for each piece: the program under the sampler may close any descriptor.

    Parameters
    ----------
    path : path-like
        Replaced if it exists.
    interval : float
        Seconds between two samples, for the reader.

    Raises
    ------
    OSError
        If the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], interval: float) -> None:
        # The program may also change its folder.
        self.path = os.path.abspath(path)  # noqa: PTH100
        self._frames = 0
        self._modules = 0
        self._write({"spool": VERSION, "interval": interval}, os.O_TRUNC)

    def write(
        self,
        frames: Sequence[Frame],
        modules: Sequence[str],
        samples: Sequence[Sequence[Any]],
        *,
        seconds: float,
        lost: int,
        notes: Sequence[str],
    ) -> None:
        """Append what is new.

        Parameters
        ----------
        frames, modules : sequence
            All so far: the numbers in `samples` count them from 0.
        samples : sequence
            Since the last call: thread, running, module, offset, seconds, samples, frames.
        seconds : float
            Wall-clock time so far.
        lost : int
            Samples lost so far.
        notes : sequence of str
            So far.

        Raises
        ------
        OSError
            If the file cannot be written; the samples are not in it then.
        """
        entry: dict[str, Any] = {
            "frames": [frame.to_list() for frame in frames[self._frames :]],
            "modules": list(modules[self._modules :]),
            "seconds": seconds,
            "lost": lost,
            "notes": list(notes),
            "samples": samples,
        }
        self._write(entry, os.O_APPEND)
        self._frames, self._modules = len(frames), len(modules)

    def _write(self, entry: dict[str, Any], flag: int) -> None:
        text = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o644)
        size = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            while text:
                text = text[os.write(descriptor, text) :]
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        finally:
            os.close(descriptor)
