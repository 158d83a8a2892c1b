"""What a benchmark gives: raw samples, and the estimates that are computed from them when asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

from ..cases import Case
from ..document import Document, Figure
from ..measure import stats
from ..measure.distribution import Distribution, describe_samples, warm_up_length
from ..measure.run import Launch, write_json

SCHEMA = 1
KIND = "bench-result"
SERIES_KIND = "bench-results"
PAGE_WIDTH = 100


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One benchmark: the first contender beside the others.

    Attributes
    ----------
    name : str
        Name of the first contender, the one that was asked about.
    launches : tuple of Launch
        Raw samples and loops of every contender.
    threads : int or None
        Threads that each contender was allowed; None where that was left as it was.
    first_calls : mapping of str to float
        Seconds of each contender's very first call, which may import, compile and fill caches. Empty for
        an operation: its processes keep it to themselves.
    errors : mapping of str to str
        Contenders with a wrong result, and what was wrong.
    notes : tuple of str
        What a reader of the figures must know.
    machine : mapping
        As ``profiling.measure.machine.describe``.
    calibration : mapping of str to tuple of float
        Seconds of the fixed work of `profiling.measure.calibration` "before", "during" and "after".
    case : Case or None
        What was computed, for an operation.

    Examples
    --------
    >>> launch = Launch.of({"ours": [1.0] * 8, "theirs": [2.0] * 8}, {"ours": 1, "theirs": 1})
    >>> result = BenchResult("ours", (launch,))
    >>> result.seconds.estimate, round(result.ratio("theirs").estimate, 6)
    (1.0, 2.0)
    """

    name: str
    launches: tuple[Launch, ...]
    threads: int | None = None
    first_calls: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    case: Case | None = None

    @property
    def contenders(self) -> tuple[str, ...]:
        """Names of the contenders, the first one first."""
        return tuple(self.launches[0].seconds)

    @property
    def warm_up(self) -> tuple[int, ...]:
        """Leading samples of each contender that do not count, launch by launch.

        The rule is `profiling.measure.distribution.WARM_UP_RULE`, applied to every contender; all drop as
        many as the slowest to warm up, and an even number, so that pairs and turns stay whole.
        """
        return tuple(
            _even(max(warm_up_length(values) for values in launch.seconds.values()))
            for launch in self.launches
        )

    @property
    def seconds(self) -> stats.Interval:
        """Seconds per call of the first contender."""
        return self.seconds_of(self.name)

    def samples(self, contender: str) -> list[tuple[float, ...]]:
        """Return all raw samples of a contender, launch by launch.

        Parameters
        ----------
        contender : str
            One of `contenders`.

        Returns
        -------
        list of tuple of float
            Seconds per call in the order taken, warm-up included.

        Raises
        ------
        KeyError
            For a name that took no part.
        """
        if contender not in self.contenders:
            raise KeyError(f"no contender {contender!r}; known: {', '.join(self.contenders)}")
        return [launch.seconds[contender] for launch in self.launches]

    def steady(self, contender: str) -> list[tuple[float, ...]]:
        """Return the samples of a contender without the warm-up, launch by launch."""
        return [values[drop:] for values, drop in zip(self.samples(contender), self.warm_up, strict=True)]

    def seconds_of(self, contender: str) -> stats.Interval:
        """Return the seconds per call of a contender.

        Parameters
        ----------
        contender : str
            One of `contenders`.

        Returns
        -------
        Interval
            From 0 to infinity where a single sample is all there is.
        """
        return _honest(stats.seconds(self.steady(contender), block=self._block))

    def ratio(self, contender: str) -> stats.Interval:
        """Return how many times faster the first contender is than another.

        Parameters
        ----------
        contender : str
            One of `contenders`.

        Returns
        -------
        Interval
            Its time / the first one's. "Faster" is a fair word only where the interval excludes 1.
        """
        pair = self.steady(self.name), self.steady(contender)
        return _honest(stats.paired_ratio(*pair, block=self._block))

    def distribution(self, contender: str) -> Distribution:
        """Return how the samples of a contender are spread, outliers included, without the warm-up."""
        return describe_samples([seconds for launch in self.steady(contender) for seconds in launch])

    def loops(self, contender: str) -> tuple[int, ...]:
        """Return the calls per sample of a contender, launch by launch."""
        self.samples(contender)
        return tuple(launch.loops[contender] for launch in self.launches)

    @property
    def _block(self) -> int:
        """Samples per block: single ones where there are not two blocks."""
        least = min(len(launch) for launch in self.steady(self.name))
        return stats.BLOCK if least >= 2 * stats.BLOCK else 1

    def document(self) -> Document:
        """Return the result for the reporters.

        Returns
        -------
        Document
            A table of the contenders, the remarks, and the samples as a picture.
        """
        from .sections import result_document

        return result_document([self])

    def __str__(self) -> str:
        """Return the result as a table, 100 characters wide."""
        return _render(self.document())

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values: the raw samples, and a summary for readers.

        Returns
        -------
        dict
            `from_dict` reads it back; the summary is computed anew.
        """
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "name": self.name,
            "case": None if self.case is None else self.case.to_dict(),
            "threads": self.threads,
            "launches": [
                {"loops": dict(launch.loops), "seconds": {k: list(v) for k, v in launch.seconds.items()}}
                for launch in self.launches
            ],
            "first_calls": dict(self.first_calls),
            "errors": dict(self.errors),
            "notes": list(self.notes),
            "machine": dict(self.machine),
            "calibration": {when: list(values) for when, values in self.calibration.items()},
            "summary": {name: self._summary(name) for name in self.contenders},
        }

    def _summary(self, contender: str) -> dict[str, Any]:
        return {
            "seconds": _triple(self.seconds_of(contender)),
            "ratio": None if contender == self.name else _triple(self.ratio(contender)),
            **self.distribution(contender).to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BenchResult:
        """Return the result that `to_dict` wrote.

        Parameters
        ----------
        values : mapping
            As read from JSON.

        Returns
        -------
        BenchResult
            An equal result.

        Raises
        ------
        ValueError
            For another kind of file or another schema.
        """
        if values.get("kind") != KIND or values.get("schema") != SCHEMA:
            found = f"kind {values.get('kind')!r}, schema {values.get('schema')!r}"
            raise ValueError(f"expected a {KIND} of schema {SCHEMA}, got {found}")
        return cls(
            name=values["name"],
            launches=tuple(Launch.of(entry["seconds"], entry["loops"]) for entry in values["launches"]),
            threads=values["threads"],
            first_calls=dict(values["first_calls"]),
            errors=dict(values["errors"]),
            notes=tuple(values["notes"]),
            machine=values["machine"],
            calibration={when: tuple(taken) for when, taken in values["calibration"].items()},
            case=None if values["case"] is None else Case.from_dict(values["case"]),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result as JSON, for ``python -m profiling compare``.

        Parameters
        ----------
        path : path-like
            File to write or replace; its folder must exist.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        return write_json(path, self.to_dict())


@dataclass(frozen=True, slots=True)
class BenchSeries(Sequence[BenchResult]):
    """The same benchmark with several thread counts.

    Attributes
    ----------
    results : tuple of BenchResult
        One for each thread count, in the order asked for.
    """

    results: tuple[BenchResult, ...]

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self.results)

    def __iter__(self) -> Iterator[BenchResult]:
        """Iterate over the results."""
        return iter(self.results)

    @overload
    def __getitem__(self, index: int) -> BenchResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[BenchResult, ...]: ...
    def __getitem__(self, index: int | slice) -> BenchResult | tuple[BenchResult, ...]:
        """Return one result, or several as a tuple."""
        return self.results[index]

    def document(self) -> Document:
        """Return the results for the reporters, a section for each."""
        from .sections import result_document

        return result_document(self.results)

    def __str__(self) -> str:
        """Return a table for each result."""
        return _render(self.document())

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON-ready values."""
        return {
            "schema": SCHEMA,
            "kind": SERIES_KIND,
            "results": [result.to_dict() for result in self.results],
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the results as JSON, for ``python -m profiling compare``."""
        return write_json(path, self.to_dict())


def _even(count: int) -> int:
    return count + count % 2


def _honest(interval: stats.Interval) -> stats.Interval:
    """Return an interval that claims nothing where it rests on one block."""
    return interval if interval.n > 1 else stats.Interval(interval.estimate, 0.0, math.inf, interval.n)


def _triple(interval: stats.Interval) -> list[float | None]:
    """Return estimate, low, high; JSON has no infinity, so an unknown end is null."""
    ends = (interval.low, interval.high)
    return [interval.estimate, *((None, None) if interval.n < 2 else ends)]


def _render(document: Document) -> str:
    """Return a document as text, without the pictures that a print-out cannot show."""
    from ..reporters.text import TextReporter

    sections = tuple(
        replace(section, blocks=tuple(block for block in section.blocks if not isinstance(block, Figure)))
        for section in document.sections
    )
    return TextReporter().render(replace(document, sections=sections), PAGE_WIDTH)
