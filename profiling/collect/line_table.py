"""All that was measured of a line, whoever measured it, in one record: time, hits, allocations, memory."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .lines import MEANINGFUL_SECONDS
from .own_code import Block, block_at
from .samples import INTERPRETER, LineKey, LineTime

CYTHON = (".pyx", ".pxi", ".pxd")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source; None where a figure was not measured.

    Attributes
    ----------
    file : str
        Absolute path.
    function : str
        The function it belongs to, as `block_at` names it.
    line : int
        Its number.
    source : str
        Its text, without the white space at its end.
    origin : {"python", "pyx"}
        Language.
    seconds, waiting_seconds : float or None
        Of the processor in all threads, and of threads that waited there; by sampling.
    native : float or None
        Share of `seconds` in compiled code.
    samples : int or None
        How many samples `seconds` comes from.
    hits : int or None
        How often it ran; exact.
    seconds_per_hit : float or None
        Real time of a run of the line; None in compiled code, where the compiler mixes lines.
    allocations, bytes, live, peak : int or None
        NumPy buffers and their bytes: all, alive at the end, most at once.
    resident_growth : int or None
        Bytes by which the process grew.
    run_seconds : tuple of float or None
        `seconds` of each run, where there were several; their mean is `seconds`.
    """

    file: str
    function: str
    line: int
    source: str
    origin: str
    seconds: float | None = None
    waiting_seconds: float | None = None
    native: float | None = None
    samples: int | None = None
    hits: int | None = None
    seconds_per_hit: float | None = None
    allocations: int | None = None
    bytes: int | None = None
    live: int | None = None
    peak: int | None = None
    resident_growth: int | None = None
    run_seconds: tuple[float, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the line as JSON-ready values."""
        return asdict(self)

    @property
    def place(self) -> str:
        """File and number.

        Examples
        --------
        >>> Line("/home/me/train.py", "step", 7, "", "python").place
        'train.py:7'
        """
        return f"{Path(self.file).name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Function:
    """The measured lines of one function.

    Attributes
    ----------
    file : str
        Absolute path.
    block : Block
        Name, first and last line.
    lines : tuple of Line
        In the order of the source.
    """

    file: str
    block: Block
    lines: tuple[Line, ...]

    @property
    def seconds(self) -> float:
        """Seconds of all its lines."""
        return sum(line.seconds or 0.0 for line in self.lines)

    @property
    def bytes(self) -> int:
        """Bytes of buffers of all its lines."""
        return sum(line.bytes or 0 for line in self.lines)

    @property
    def allocations(self) -> int:
        """Buffers of all its lines."""
        return sum(line.allocations or 0 for line in self.lines)

    @property
    def hottest(self) -> Line | None:
        """The line with the most time, or None where none has any."""
        return max((line for line in self.lines if line.seconds), key=_seconds_of, default=None)


def _seconds_of(line: Line) -> float:
    return line.seconds or 0.0


class LineTable:
    """Collects figures of lines from several sources and joins them.

    Parameters
    ----------
    runs : int
        Runs that times come from; what is given out is their mean.

    Examples
    --------
    >>> table = LineTable()
    >>> table.add(__file__, 3, hits=10)
    >>> table.add(__file__, 3, seconds=0.5, samples=500)
    >>> [(line.hits, line.seconds, line.seconds_per_hit) for line in table.lines()]
    [(10, 0.5, 0.05)]
    """

    def __init__(self, runs: int = 1) -> None:
        self._lines: dict[tuple[str, int], Line] = {}
        self._run_seconds: dict[tuple[str, int], list[float]] = {}
        self._runs = runs
        self._partial = False

    def add(self, file: str, line: int, **figures: Any) -> None:
        """Add figures to a line; those it has already are added up.

        Parameters
        ----------
        file : str
            Absolute path.
        line : int
            Its number.
        **figures : float or int
            Fields of `Line`.
        """
        old = self._lines.get((file, line))
        if old is None:
            text = linecache.getline(file, line).rstrip()
            origin = "pyx" if file.endswith(CYTHON) else "python"
            old = Line(file, block_at(file, line).name, line, text, origin)
        sums = {name: _sum(getattr(old, name), value) for name, value in figures.items()}
        self._lines[file, line] = replace(old, **sums)

    def add_times(
        self, times: Mapping[LineKey, LineTime], absolute: Callable[[str], str], calls: int = 1, run: int = 0
    ) -> None:
        """Add the times of `profiling.collect.samples.line_times`.

        Parameters
        ----------
        times : mapping
            From (filename, function, first line, line) to seconds and samples.
        absolute : callable
            From a code object's filename to an absolute path.
        calls : int
            Calls that were sampled; the figures become those of one.
        run : int
            Number of the run that they come from, from 0.
        """
        divisor = calls * self._runs
        for (filename, _, _, line), time in times.items():
            if line < 1:
                continue
            native = time.seconds - time.native_seconds.get(INTERPRETER, 0.0)
            file = absolute(filename)
            self.add(
                file,
                line,
                seconds=time.seconds / divisor,
                waiting_seconds=time.waiting_seconds / divisor,
                samples=time.samples,
                native=native / divisor,
            )
            by_run = self._run_seconds.setdefault((file, line), [0.0] * self._runs)
            by_run[run] += time.seconds / calls

    def add_allocations(self, entries: Iterable[Mapping[str, Any]], absolute: Callable[[str], str]) -> None:
        """Add what the allocation counter put down to lines.

        Parameters
        ----------
        entries : iterable of mapping
            With ``filename``, ``line``, ``count``, ``bytes``, ``live`` and ``peak``.
        absolute : callable
            From a code object's filename to an absolute path.
        """
        for entry in entries:
            if entry["filename"] and entry["line"] > 0:
                self.add(
                    absolute(entry["filename"]),
                    entry["line"],
                    allocations=entry["count"],
                    bytes=entry["bytes"],
                    live=entry["live"],
                    peak=entry["peak"],
                )

    def add_traced(
        self, traced: Mapping[str, Any], absolute: Callable[[str], str], times: bool = False
    ) -> None:
        """Add what a tracer found: hits, or growth of the resident set.

        Parameters
        ----------
        traced : mapping
            ``lines`` and ``stopped``, as `profiling.collect.runner_tracing` writes them.
        absolute : callable
            From a code object's filename to an absolute path.
        times : bool
            Whether to keep the tracer's times of lines that last long enough: for want of samples. They hold
            what the line called.
        """
        for entry in traced["lines"]:
            file, line, hits = absolute(entry["filename"]), entry["line"], entry["hits"]
            if "growth" in entry:
                self.add(file, line, resident_growth=entry["growth"])
            else:
                self.add(file, line, hits=hits)
                per_hit = entry["seconds"] / hits if hits else 0.0
                if times and per_hit >= MEANINGFUL_SECONDS:
                    self._lines[file, line] = replace(self._lines[file, line], seconds_per_hit=per_hit)
                # Hits up to the budget say nothing about times over the whole run.
                self._partial = self._partial or traced["stopped"] is not None

    def lines(self) -> list[Line]:
        """Return all lines, by file and number."""
        return [self._finished(line) for _, line in sorted(self._lines.items())]

    def _finished(self, line: Line) -> Line:
        if self._runs > 1 and (by_run := self._run_seconds.get((line.file, line.line))):
            line = replace(line, run_seconds=tuple(by_run))
        if line.seconds and line.native is not None:
            line = replace(line, native=min(1.0, line.native / line.seconds))
        elif line.native is not None:
            line = replace(line, native=None)
        # In compiled code the time of one line is partly on its neighbours: the compiler mixes them.
        if line.seconds and line.hits and line.origin == "python" and not self._partial:
            line = replace(line, seconds_per_hit=line.seconds / line.hits)
        return line


def _sum(old: Any, new: Any) -> Any:
    return new if old is None else old + new


def functions_of(lines: Iterable[Line]) -> list[Function]:
    """Group lines by function, those with the most time first, then those with the most bytes.

    Parameters
    ----------
    lines : iterable of Line
        Of any files.

    Returns
    -------
    list of Function
        Each with at least one line.
    """
    groups: dict[tuple[str, Block], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.file, block_at(line.file, line.line)), []).append(line)
    found = [
        Function(file, block, tuple(sorted(entries, key=lambda line: line.line)))
        for (file, block), entries in groups.items()
    ]
    return sorted(found, key=lambda function: (-function.seconds, -function.bytes, function.file))


def that_matter(functions: Iterable[Function], most: int = 6, share: float = 0.02) -> list[Function]:
    """Return the functions that hold most of the time or of the allocated bytes.

    Parameters
    ----------
    functions : iterable of Function
        All that were measured.
    most : int
        Not more than this many.
    share : float
        Share of the time, of the buffers or of the bytes from which a function matters.

    Returns
    -------
    list of Function
        In the same order.
    """
    every = list(functions)
    totals = (
        sum(function.seconds for function in every),
        sum(function.allocations for function in every),
        sum(function.bytes for function in every),
    )

    def weight(function: Function) -> float:
        own = (function.seconds, function.allocations, function.bytes)
        return max((one / total for one, total in zip(own, totals, strict=True) if total), default=0.0)

    chosen = sorted((function for function in every if weight(function) >= share), key=weight, reverse=True)
    kept = chosen[:most]
    return [function for function in every if function in kept]
