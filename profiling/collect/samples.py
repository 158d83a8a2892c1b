"""What the sampler found: records of it, and the time of each line made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

INTERPRETER = "python"
"""Name of the interpreter's own code in `LineTime.native_seconds`."""

LineKey: TypeAlias = tuple[str, str, int, int]
"""File name, function, first line of the function, line."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A Python frame on the stack of a thread.

    Attributes
    ----------
    filename : str
        As in ``co_filename``.
    function : str
        Qualified name, as in ``co_qualname``.
    line : int
        The running line; 0 where the compiler noted none.
    first_line : int
        First line of the function, or of its first decorator.
    """

    filename: str
    function: str
    line: int
    first_line: int

    def to_list(self) -> list[str | int]:
        """Return the fields in their order, JSON-ready; ``Frame(*values)`` makes them a frame again.

        Returns
        -------
        list
            File name, function, line, first line.
        """
        return [self.filename, self.function, self.line, self.first_line]


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a thread was, and the time that stands for.

    Attributes
    ----------
    thread : int
        The system's number of the thread, as ``threading.get_native_id()`` gives it.
    frames : tuple of Frame
        Python frames, innermost first, as many as the sampler keeps; empty for a thread without any.
    module : str or None
        Path of the native module that was running, None for the interpreter itself.
    offset : int
        Address within `module` as its line table has it; 0 where `module` is None.
    seconds : float
        Time this stands for.
    running : bool
        Whether the thread was on a processor, or waited (for input, a lock, a time).
    samples : int
        Equal samples that were added up.
    """

    thread: int
    frames: tuple[Frame, ...]
    module: str | None
    offset: int
    seconds: float
    running: bool
    samples: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the sample as JSON-ready values.

        Returns
        -------
        dict
            For `from_dict`.
        """
        return {
            "thread": self.thread,
            "frames": [frame.to_list() for frame in self.frames],
            "module": self.module,
            "offset": self.offset,
            "seconds": self.seconds,
            "running": self.running,
            "samples": self.samples,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sample:
        """Return the sample that `to_dict` was called on.

        Parameters
        ----------
        values : mapping
            What `to_dict` gave.

        Returns
        -------
        Sample
            An equal one.

        Raises
        ------
        KeyError, TypeError
            If `values` is something else.

        Examples
        --------
        >>> sample = Sample(7, (Frame("a.py", "f", 3, 1),), None, 0, 0.25, True)
        >>> Sample.from_dict(sample.to_dict()) == sample
        True
        """
        return cls(
            values["thread"],
            tuple(Frame(*frame) for frame in values["frames"]),
            values["module"],
            values["offset"],
            values["seconds"],
            values["running"],
            values["samples"],
        )


@dataclass(slots=True)
class LineTime:
    """The time of one line.

    Attributes
    ----------
    seconds : float
        Processor time, with that of the native code and the unwanted Python code that the line called.
    native_seconds : dict of str to float
        The part of `seconds` in each native module, by its path; `INTERPRETER` names the interpreter.
    samples : int
        Samples, running and waiting, that found the line.
    waiting_seconds : float
        Time the line waited; not in `seconds`.
    """

    seconds: float = 0.0
    native_seconds: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    waiting_seconds: float = 0.0

    def add(self, sample: Sample) -> None:
        """Add a sample that found the line.

        Parameters
        ----------
        sample : Sample
            Its frames are not looked at.
        """
        self.samples += sample.samples
        if not sample.running:
            self.waiting_seconds += sample.seconds
            return
        module = INTERPRETER if sample.module is None else sample.module
        self.seconds += sample.seconds
        self.native_seconds[module] = self.native_seconds.get(module, 0.0) + sample.seconds


def merge(samples: Iterable[Sample]) -> list[Sample]:
    """Add up samples that are equal but for their time.

    Parameters
    ----------
    samples : iterable of Sample
        For example those of several runs, or of several threads after their numbers were made equal.

    Returns
    -------
    list of Sample
        The longest first.

    Examples
    --------
    >>> once = Sample(7, (), None, 0, 0.25, True)
    >>> merge([once, once])
    [Sample(thread=7, frames=(), module=None, offset=0, seconds=0.5, running=True, samples=2)]
    """
    sums: dict[tuple[int, tuple[Frame, ...], str | None, int, bool], list[float]] = {}
    for sample in samples:
        key = (sample.thread, sample.frames, sample.module, sample.offset, sample.running)
        total = sums.setdefault(key, [0.0, 0])
        total[0] += sample.seconds
        total[1] += sample.samples
    merged = [
        Sample(thread, frames, module, offset, seconds, running, int(count))
        for (thread, frames, module, offset, running), (seconds, count) in sums.items()
    ]
    return sorted(merged, key=lambda sample: -sample.seconds)


def line_times(samples: Iterable[Sample], is_wanted: Callable[[str], bool]) -> dict[LineKey, LineTime]:
    """Give the time of each sample to the innermost Python line of a wanted file.

    What a line calls, native code and unwanted Python code, counts as its own.

    Parameters
    ----------
    samples : iterable of Sample
        Of any threads; those without a wanted frame are left out.
    is_wanted : callable
        ``is_wanted(filename)``; asked once per file.

    Returns
    -------
    dict
        By file name, function, first line of the function and line; the hottest line first.

    Examples
    --------
    >>> library, script = Frame("json/decoder.py", "decode", 9, 1), Frame("train.py", "load", 4, 2)
    >>> working = Sample(1, (library, script), None, 0, 0.5, True)
    >>> waiting = Sample(1, (script,), None, 0, 1.0, False)
    >>> times = line_times([working, waiting], lambda filename: filename == "train.py")
    >>> [(key, time.seconds, time.waiting_seconds) for key, time in times.items()]
    [(('train.py', 'load', 2, 4), 0.5, 1.0)]
    """
    wanted: dict[str, bool] = {}
    times: dict[LineKey, LineTime] = {}
    for sample in samples:
        for frame in sample.frames:
            if frame.filename not in wanted:
                wanted[frame.filename] = is_wanted(frame.filename)
            if wanted[frame.filename]:
                key = (frame.filename, frame.function, frame.first_line, frame.line)
                times.setdefault(key, LineTime()).add(sample)
                break
    return dict(sorted(times.items(), key=lambda item: (-item[1].seconds, -item[1].waiting_seconds, item[0])))
