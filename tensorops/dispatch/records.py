"""The profile's records: what a measurement says, how it is written as JSON, how two are merged.

Pure: nothing here reads a file, the clock or the environment.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

SCHEMA = 1
# Significant digits of a time in the file.
DIGITS = 4


@dataclass(frozen=True, slots=True)
class PathResult:
    """What was measured on one path.

    Attributes
    ----------
    seconds : float
        Time of one call.
    low, high : float
        Interval of `seconds`.
    n : int
        Number of samples behind it.
    allocations : int
        NumPy buffers that one call allocates.
    bytes : int
        Bytes of these buffers.
    hotspot : str or None
        The costliest source line, such as ``"loops.pyx:118"``.

    Raises
    ------
    ValueError
        If a time is not positive and finite, the interval does not hold `seconds`, or a count is
        negative.

    Examples
    --------
    >>> PathResult(seconds=7.9e-5, low=7.7e-5, high=8.2e-5, n=12).bytes
    0
    """

    seconds: float
    low: float
    high: float
    n: int = 1
    allocations: int = 0
    bytes: int = 0
    hotspot: str | None = None

    def __post_init__(self) -> None:
        if not (0 < self.low <= self.seconds <= self.high < math.inf):
            raise ValueError(
                f"times must be positive and ordered, got low={self.low!r}, seconds={self.seconds!r}, "
                f"high={self.high!r}"
            )
        for name in ("n", "allocations", "bytes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} is negative")

    def overlaps(self, other: PathResult) -> bool:
        """Return whether the difference to `other` is within the noise of the two.

        Parameters
        ----------
        other : PathResult
            Another result.

        Returns
        -------
        bool
            Whether the two intervals share a point.

        Examples
        --------
        >>> PathResult(2.0, 1.5, 2.5).overlaps(PathResult(3.0, 2.6, 3.5))
        False
        """
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True)
class Entry:
    """The results of one call on several paths, measured side by side.

    Attributes
    ----------
    op : str
        Name in the operation registry.
    dtype : str
        The dtype that is computed in.
    shapes : tuple of tuple of int
        Shapes of the operands.
    layout : str
        One letter for each operand, as in `tensorops.backends.base.layout_letter`.
    params : tuple of (str, object)
        Parameters that change the work, sorted by name; strings, numbers, whole numbers in a tuple, booleans
        or None.
    in_place : bool
        Whether the first operand is changed.
    threads : int
        Threads the paths were given.
    paths : mapping of str to PathResult
        The results by path.

    Examples
    --------
    >>> Entry("matmul", "float32", ((64, 784), (784, 128))).threads
    1
    """

    op: str
    dtype: str
    shapes: tuple[tuple[int, ...], ...]
    layout: str = "CC"
    params: tuple[tuple[str, object], ...] = ()
    in_place: bool = False
    threads: int = 1
    paths: Mapping[str, PathResult] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What identifies the call: two entries with the same key are merged."""
        return (self.op, self.dtype, self.shapes, self.layout, self.params, self.in_place, self.threads)

    def merged(self, newer: Entry) -> Entry:
        """Return this entry brought up to date.

        Fresh results replace stored ones. Where that would change which path is preferred, only
        those do whose interval excludes the stored one: noise never changes a choice.

        Parameters
        ----------
        newer : Entry
            Later results of the same call.

        Returns
        -------
        Entry
            Results of all paths of the two.

        Raises
        ------
        ValueError
            If the two are not of the same call.

        Examples
        --------
        >>> old = Entry("matmul", "float32", ((2, 2), (2, 2)), paths={"numpy": PathResult(2.0, 1.5, 2.5)})
        >>> new = Entry("matmul", "float32", ((2, 2), (2, 2)), paths={"naive": PathResult(1.0, 0.9, 1.1)})
        >>> sorted(old.merged(new).paths)
        ['naive', 'numpy']
        """
        if newer.key != self.key:
            raise ValueError(f"cannot merge results of two calls: {self.key} and {newer.key}")
        fresh = {**self.paths, **newer.paths}
        if not self.paths or not newer.paths or preferred(fresh) == preferred(self.paths):
            return replace(self, paths=fresh)
        settled = {
            path: result
            for path, result in newer.paths.items()
            if path not in self.paths or not result.overlaps(self.paths[path])
        }
        return replace(self, paths={**self.paths, **settled})


@dataclass(frozen=True, slots=True)
class Profile:
    """All the dispatcher knows about one machine.

    Attributes
    ----------
    fingerprint : mapping of str to object
        What the times depend on, as `tensorops.dispatch.schema.fingerprint` gives it.
    entries : sequence of Entry
        From the one written first to the one written last; a tuple, or the entries of a file.

    Examples
    --------
    >>> Profile({"cpu": "6502"}).entries
    ()
    """

    fingerprint: Mapping[str, Any]
    entries: Sequence[Entry] = ()

    def merged(self, newer: Iterable[Entry]) -> Profile:
        """Return this profile with later entries added or merged.

        Parameters
        ----------
        newer : iterable of Entry
            Later entries; the ones they touch move to the end.

        Returns
        -------
        Profile
            A new profile of the same machine.

        Examples
        --------
        >>> profile = Profile({}).merged([Entry("matmul", "float32", ((2, 2), (2, 2)))])
        >>> len(profile.entries)
        1
        """
        entries = {entry.key: entry for entry in self.entries}
        for entry in newer:
            stored = entries.pop(entry.key, None)
            entries[entry.key] = entry if stored is None else stored.merged(entry)
        return replace(self, entries=tuple(entries.values()))


def preferred(results: Mapping[str, PathResult]) -> str:
    """Return the path to take: the fastest, or within its noise the one that allocates least.

    Parameters
    ----------
    results : mapping of str to PathResult
        At least one result.

    Returns
    -------
    str
        One of the paths; equal ones are told apart by time and then by name.

    Raises
    ------
    ValueError
        If `results` is empty.

    Examples
    --------
    >>> preferred({"a": PathResult(1.0, 0.9, 1.1, bytes=64), "b": PathResult(1.05, 1.0, 1.2)})
    'b'
    """
    fastest = min(results.values(), key=lambda result: (result.seconds, result.high))
    return min(
        (path for path, result in results.items() if result.overlaps(fastest)),
        key=lambda path: (results[path].bytes, results[path].seconds, path),
    )


def encode_entry(entry: Entry) -> str:
    """Return an entry as one line of JSON. What has its default is left out: the file's size is limited.

    Parameters
    ----------
    entry : Entry
        The entry.

    Returns
    -------
    str
        Without a line break.

    Raises
    ------
    ValueError
        If a parameter is not a string, a finite number, whole numbers, a boolean or None.

    Examples
    --------
    >>> encode_entry(Entry("exp", "float32", ((8,),), layout="C"))[:42]
    '{"op":"exp","dtype":"float32","shapes":[[8'
    """
    document = {
        "op": entry.op,
        "dtype": entry.dtype,
        "shapes": [[int(size) for size in shape] for shape in entry.shapes],
        "layout": entry.layout,
        **({"params": dict(entry.params)} if entry.params else {}),
        **({"in_place": True} if entry.in_place else {}),
        "threads": int(entry.threads),
        "paths": {path: _result(result) for path, result in entry.paths.items()},
    }
    # What cannot be read back must not be written: the next reader would reject the whole file.
    decode_entry(document)
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


def _result(result: PathResult) -> dict[str, object]:
    # More digits than a measurement has would crowd others out of the file; rounding keeps the order.
    times = {name: float(f"{getattr(result, name):.{DIGITS}g}") for name in ("seconds", "low", "high")}
    counts = {name: int(getattr(result, name)) for name in ("allocations", "bytes")}
    return {
        **times,
        "n": int(result.n),
        **{name: count for name, count in counts.items() if count},
        **({} if result.hotspot is None else {"hotspot": result.hotspot}),
    }


def decode_entry(document: object) -> Entry:
    """Return the entry that a JSON object describes.

    Parameters
    ----------
    document : object
        What the JSON parser gave. Unknown members are ignored.

    Returns
    -------
    Entry
        The entry.

    Raises
    ------
    ValueError
        If a member is missing or has another type or range than the schema says.

    Examples
    --------
    >>> decode_entry({"op": "matmul"})
    Traceback (most recent call last):
        ...
    ValueError: 'dtype' is missing
    """
    members = _typed(document, dict, "an entry")
    op, dtype = _member(members, "op", str), _member(members, "dtype", str)
    params = _typed(members.get("params", {}), dict, "'params'")
    for name, value in params.items():
        several = isinstance(value, list | tuple) and all(type(one) is int for one in value)
        if value is not None and not several and not isinstance(value, str | bool | int | float):
            raise ValueError(
                f"parameter {name!r} is {value!r}, expected a string, a number, whole numbers, true, false "
                "or null"
            )
    return Entry(
        op=op,
        dtype=dtype,
        shapes=tuple([_shape(shape) for shape in _member(members, "shapes", list)]),
        layout=_member(members, "layout", str),
        params=tuple(
            sorted((name, tuple(value) if type(value) is list else value) for name, value in params.items())
        ),
        in_place=_typed(members.get("in_place", False), bool, "'in_place'"),
        threads=_whole(_member(members, "threads", int), 1, "'threads'"),
        paths={path: _decode_result(result) for path, result in _member(members, "paths", dict).items()},
    )


def _shape(document: object) -> tuple[int, ...]:
    shape: list[Any] = _typed(document, list, "a shape")
    # Thousands of sizes are read at the first call of a program; only an odd one is looked at closely.
    if all(type(size) is int and 0 <= size < 2**63 for size in shape):
        return tuple(shape)
    return tuple(_whole(size, 0, "a size") for size in shape)


def _seconds(members: Mapping[str, Any], name: str) -> float:
    value = members.get(name)
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name!r} is {value!r}, expected a number of seconds")
    return float(value)


def _decode_result(document: object) -> PathResult:
    members = _typed(document, dict, "a path's result")
    hotspot = members.get("hotspot")
    if hotspot is not None and not isinstance(hotspot, str):
        raise ValueError(f"'hotspot' is {hotspot!r}, expected a string or null")
    return PathResult(
        _seconds(members, "seconds"),
        _seconds(members, "low" if "low" in members else "seconds"),
        _seconds(members, "high" if "high" in members else "seconds"),
        n=_whole(members.get("n", 1), 1, "'n'"),
        allocations=_whole(members.get("allocations", 0), 0, "'allocations'"),
        bytes=_whole(members.get("bytes", 0), 0, "'bytes'"),
        hotspot=hotspot,
    )


def _member(members: dict[str, Any], name: str, kind: type) -> Any:
    if name not in members:
        raise ValueError(f"{name!r} is missing")
    return _typed(members[name], kind, repr(name))


def _typed(value: object, kind: type, what: str) -> Any:
    # A JSON true is an int to Python.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{what} is {str(value)[:60]!r}, expected {kind.__name__}")
    return value


def _whole(value: object, least: int, what: str) -> int:
    number: int = _typed(value, int, what)
    # Beyond 2**63 it is no count of anything, and later arithmetic in floats could overflow.
    if not least <= number < 2**63:
        raise ValueError(f"{what} is {number}, expected at least {least}")
    return number
