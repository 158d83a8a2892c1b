"""Read what `compare` compares: reports, benchmarks and runs, as one kind of record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from ..benchmark.result import BenchResult
from ..measure.contenders import OURS
from ..measure.run import Launch, Run
from ._base import CommandError

SCHEMAS = {"report": 2, "bench": 1, "suite": 1, "run": 1, "bench-result": 1, "bench-results": 1}
"""Kinds of file that can be compared, and the schema of each."""

YARDSTICKS = ("numpy", "path:numpy", "torch")
"""Contenders that are the same code in both files, if their version is; the first one there is taken."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Raw samples of one contender, and of those it took turns with.

    Attributes
    ----------
    name : str
        What was computed, by whom, with how many threads.
    contender : str
        Whose samples are compared.
    launches : tuple of Launch
        With the samples of all contenders.
    versions : mapping of str to str
        Of the libraries among them.
    calibration : mapping
        As stored around this measurement.
    """

    name: str
    contender: str
    launches: tuple[Launch, ...]
    versions: Mapping[str, str]
    calibration: Mapping[str, Sequence[float]]

    def samples(self, contender: str) -> list[tuple[float, ...]]:
        """Return the samples of a contender, launch by launch."""
        return [launch.seconds[contender] for launch in self.launches]

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the other contenders."""
        return tuple(name for name in self.launches[0].seconds if name != self.contender)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line of a report.

    Attributes
    ----------
    file, function, text : str
        Base name of the file, function, source without indentation.
    number : int
        In its file.
    seconds : float or None
        None where it was not sampled.
    samples : float
        Samples that found it running; zero where it was not sampled.
    waiting : float
        Seconds it waited.
    counts : mapping of str to int
        Exact figures: hits, allocations, bytes; those that were counted.
    runs : tuple of float
        Seconds in each run; empty where there was one.
    """

    file: str
    function: str
    text: str
    number: int
    seconds: float | None
    samples: float
    waiting: float
    counts: Mapping[str, int]
    runs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """One file.

    Attributes
    ----------
    path : Path
        Where it was read from.
    kind : str
        One of `SCHEMAS`.
    target : tuple of str
        Kind, name and arguments of what was measured.
    machine : mapping
        As ``profiling.measure.machine.describe``.
    calibration : mapping
        As stored with the file.
    timings : tuple of Timing
        Raw timing samples.
    lines : tuple of Line
        Empty for a benchmark.
    operations : mapping of str to mapping, or None
        Calls, flops and bytes of each operation; None where they were not counted to the end.
    allocations : mapping of str to int
        Totals.
    sampling : mapping
        Interval, seconds, samples, lost; empty for a benchmark.
    """

    path: Path
    kind: str
    target: tuple[str, ...]
    machine: Mapping[str, Any]
    calibration: Mapping[str, Sequence[float]]
    timings: tuple[Timing, ...] = ()
    lines: tuple[Line, ...] = ()
    operations: Mapping[str, Mapping[str, Any]] | None = field(default_factory=dict)
    allocations: Mapping[str, int] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """Runs that were sampled."""
        return int(self.sampling.get("runs", 1))

    @property
    def sample_seconds(self) -> float:
        """What one sample adds to the time of a line in one run."""
        # The times are those of one call, the samples of a run those of all its calls.
        calls = max(1, int(self.sampling.get("calls", self.runs)))
        return float(self.sampling["interval"]) * self.runs / calls


def read_recording(path: Path) -> Recording:
    """Read one file.

    Parameters
    ----------
    path : Path
        What ``--json`` or ``BenchResult.save`` wrote.

    Returns
    -------
    Recording
        Its content.

    Raises
    ------
    CommandError
        If it is missing, unreadable, not JSON, of another kind, of another schema, or damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{path} is damaged or no JSON: {error}") from error
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in SCHEMAS:
        raise CommandError(
            f"{path} is no report, benchmark or run (its kind is {kind!r}); compare what --json wrote"
        )
    schema, known = values.get("schema"), SCHEMAS[kind]
    if schema != known:
        newer = isinstance(schema, int) and schema > known
        what = "was written by a newer version: update tensorops" if newer else "must be made anew"
        raise CommandError(
            f"{path} has schema {schema!r} of kind {kind!r}, this version reads {known}; it {what}"
        )
    try:
        return _READERS[kind](path, values)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise CommandError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _report(path: Path, values: Mapping[str, Any]) -> Recording:
    target = values["target"]
    named = PurePath(target["name"]).name if target["kind"] == "script" else target["name"]
    calibration = _calibration(values)
    run = values.get("run")
    timings = _run_timings(run, calibration) if run else ()
    operations = {
        f"{entry['library']}.{entry['name']}": {key: entry.get(key) for key in ("calls", "flops", "bytes")}
        for entry in values.get("operations") or ()
    }
    allocations = values.get("allocations") or {}
    sampling = values.get("sampling") or {}
    lines = tuple(_line(entry) for entry in values["lines"])
    if any(line.runs and len(line.runs) != sampling.get("runs") for line in lines):
        raise ValueError("a line must have a time for each run")
    return Recording(
        path,
        "report",
        (target["kind"], named, json.dumps(target.get("arguments"), sort_keys=True)),
        values["machine"],
        calibration,
        timings,
        lines,
        operations if values.get("operations_complete", True) else None,
        {key: allocations[key] for key in ("count", "bytes", "peak") if allocations.get(key) is not None},
        sampling,
    )


def _line(entry: Mapping[str, Any]) -> Line:
    counts = {key: entry[key] for key in ("hits", "allocations", "bytes") if entry.get(key) is not None}
    return Line(
        PurePath(entry["file"]).name,
        entry["function"],
        " ".join(entry["source"].split()),
        int(entry["line"]),
        None if entry.get("seconds") is None else float(entry["seconds"]),
        _running_samples(entry),
        float(entry.get("waiting_seconds") or 0.0),
        counts,
        tuple(map(float, entry.get("run_seconds") or ())),
    )


def _running_samples(entry: Mapping[str, Any]) -> float:
    """Return how many of a line's samples found it running: they are what its time rests on."""
    samples, seconds = float(entry.get("samples") or 0), float(entry.get("seconds") or 0.0)
    waiting = float(entry.get("waiting_seconds") or 0.0)
    # A report of one call gives the seconds of a call, and the samples of all of them.
    return samples * seconds / (seconds + waiting) if seconds + waiting > 0 else 0.0


def _calibration(values: Mapping[str, Any]) -> Mapping[str, Sequence[float]]:
    calibration = values.get("calibration") or {}
    for taken in calibration.values():
        if not all(isinstance(seconds, (int, float)) and seconds > 0 for seconds in taken):
            raise ValueError("a calibration must hold positive seconds")
    return dict(calibration)


def _run_timings(values: Mapping[str, Any], calibration: Mapping[str, Sequence[float]]) -> tuple[Timing, ...]:
    run = Run.from_dict(values)
    versions = run.machine.get("versions", {})
    timings = []
    for measurement in run.measurements:
        threads = f"{measurement.threads} thread{'s' * (measurement.threads != 1)}"
        what = f"{measurement.case.op} {measurement.case.name}, {threads}"
        names = measurement.contenders
        for name in [OURS] if OURS in names else names:
            title = what if name == OURS else f"{what}, {name}"
            timings.append(Timing(title, name, measurement.launches, versions, calibration))
    return tuple(timings)


def _bench(path: Path, values: Mapping[str, Any]) -> Recording:
    if "run" not in values:
        return _bench_results(path, values)
    calibration = _calibration(values)
    timings = _run_timings(values["run"], calibration)
    target = ("operation", values["target"])
    return Recording(path, "bench", target, values["run"]["machine"], calibration, timings)


def _run(path: Path, values: Mapping[str, Any]) -> Recording:
    ops = sorted({entry["case"]["op"] for entry in values["measurements"]})
    timings = _run_timings(values, {})
    return Recording(path, "run", ("operation", ", ".join(ops)), values["machine"], {}, timings)


def _bench_result(path: Path, values: Mapping[str, Any]) -> Recording:
    return _bench_results(path, {"results": [values]})


def _bench_results(path: Path, values: Mapping[str, Any]) -> Recording:
    results = [BenchResult.from_dict(entry) for entry in values["results"]]
    timings = []
    for result in results:
        threads = "" if result.threads is None else f", {result.threads} thread{'s' * (result.threads != 1)}"
        case = "" if result.case is None else f"{result.case.op} {result.case.name}"
        launches = tuple(
            Launch({name: seconds[drop:] for name, seconds in launch.seconds.items()}, launch.loops)
            for launch, drop in zip(result.launches, result.warm_up, strict=True)
        )
        timings.append(
            Timing(
                (case or result.name) + threads,
                result.name,
                launches,
                result.machine.get("versions", {}),
                result.calibration,
            )
        )
    first = results[0]
    target = ("function", first.name) if first.case is None else ("operation", first.case.op)
    return Recording(path, "bench", target, first.machine, first.calibration, tuple(timings))


_READERS = {
    "report": _report,
    "bench": _bench,
    "suite": _bench,
    "run": _run,
    "bench-result": _bench_result,
    "bench-results": _bench_results,
}
