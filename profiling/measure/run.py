"""Raw samples and what they were taken on: immutable records with a JSON form.

A run is what was measured; it never holds a conclusion. Estimates are computed from it when they
are asked for, so a run of last year can be read with the estimator of today.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cases import Case, flops
from . import stats

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Launch:
    """Interleaved samples of one process start.

    Attributes
    ----------
    seconds : mapping of str to tuple of float
        Seconds per call of each contender, in the order taken.
    loops : mapping of str to int
        Calls per sample of each contender.
    """

    seconds: Mapping[str, tuple[float, ...]]
    loops: Mapping[str, int]

    @classmethod
    def of(cls, seconds: Mapping[str, list[float]], loops: Mapping[str, int]) -> Launch:
        """Return a launch from what `profiling.measure.timer.interleave` gives."""
        return cls({name: tuple(values) for name, values in seconds.items()}, dict(loops))


@dataclass(frozen=True, slots=True)
class Measurement:
    """One case with its samples.

    Attributes
    ----------
    case : Case
        What was computed.
    threads : int
        Threads that each contender was allowed.
    launches : tuple of Launch
        At least one; each with the same contenders.
    errors : mapping of str to str
        Contenders with a wrong result, and what was wrong.
    """

    case: Case
    threads: int
    launches: tuple[Launch, ...]
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def contenders(self) -> tuple[str, ...]:
        """Names of the contenders."""
        return tuple(self.launches[0].seconds)

    def samples(self, contender: str) -> list[tuple[float, ...]]:
        """Return the seconds per call of one contender, launch by launch."""
        return [launch.seconds[contender] for launch in self.launches]

    def seconds(self, contender: str) -> stats.Interval:
        """Return seconds per call of one contender."""
        return stats.seconds(self.samples(contender))

    def gflops(self, contender: str) -> float:
        """Return the rate of one contender in GFLOP/s."""
        return flops(self.case) / self.seconds(contender).estimate / 1e9

    def ratio(self, ours: str, theirs: str) -> stats.Interval:
        """Return how many times faster `ours` is than `theirs`."""
        return stats.paired_ratio(self.samples(ours), self.samples(theirs))

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement as JSON-ready values."""
        return {
            "case": self.case.to_dict(),
            "threads": self.threads,
            "errors": dict(self.errors),
            "launches": [
                {"loops": dict(launch.loops), "seconds": {k: list(v) for k, v in launch.seconds.items()}}
                for launch in self.launches
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Return the measurement that `to_dict` wrote."""
        launches = tuple(Launch.of(entry["seconds"], entry["loops"]) for entry in values["launches"])
        return cls(Case.from_dict(values["case"]), values["threads"], launches, dict(values["errors"]))


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one command measured.

    Attributes
    ----------
    machine : mapping
        As ``profiling.measure.machine.describe``.
    settings : mapping
        The command's options.
    measurements : tuple of Measurement
        In the order taken.
    """

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    measurements: tuple[Measurement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the run as JSON-ready values."""
        return {
            "schema": SCHEMA,
            "kind": "run",
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "measurements": [measurement.to_dict() for measurement in self.measurements],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Run:
        """Return the run that `to_dict` wrote.

        Parameters
        ----------
        values : mapping
            As read from JSON.

        Returns
        -------
        Run
            An equal run.

        Raises
        ------
        ValueError
            For another kind of file or another schema.
        """
        if values.get("kind") != "run" or values.get("schema") != SCHEMA:
            found = f"kind {values.get('kind')!r}, schema {values.get('schema')!r}"
            raise ValueError(f"expected a run of schema {SCHEMA}, got {found}")
        measurements = tuple(Measurement.from_dict(entry) for entry in values["measurements"])
        return cls(values["machine"], values["settings"], measurements)


def write_json(path: str | os.PathLike[str], values: Mapping[str, Any]) -> Path:
    """Write JSON through a temporary file, so that a reader never sees half of it.

    Parameters
    ----------
    path : path-like
        File to write or replace; its folder must exist.
    values : mapping
        JSON-ready values.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
