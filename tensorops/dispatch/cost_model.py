"""What a call will take on each path: a small model fitted to the profile's samples.

A time is the sum of a call's overhead, its work and its traffic, each with a factor that is fitted to
the samples of one path and number of threads: non-negative least squares of the relative error. What
the samples near a call deviate from that, as logarithms, is interpolated by kriging: the weights are
those of the least expected error, if two deviations resemble each other the more the nearer they are. At
a measured call the prediction is the measurement. Pure: nothing here reads a file, the clock or the
environment.

Reference: Matheron, "Principles of geostatistics", Economic Geology 58, 1963.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tensorops.backends.base import Call
from tensorops.dispatch.documents import documents_of
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.operations import OPERATIONS

Floats = NDArray[np.float64]

# Distances are in doublings of one dimension. What another dtype, another memory order, another operation of
# the same cost class (or other parameters) or twice the threads weighs against one: another dtype halves the
# vectors and the footprint; another order changes the packing; another operation may be many times as slow on
# one path alone, and says something only where nothing of its own is near.
DTYPE_DISTANCE = 1.0
LAYOUT_DISTANCE = 0.5
OPERATION_DISTANCE = 3.0
THREADS_DISTANCE = 1.0

# How far deviations resemble each other, and which part of them is noise: chosen by leaving out each sample
# of tunes of matmul in turn.
REACH = 6.0
NUGGET = 0.01
# Two calls differ the more if their works do, and if one of them is a product with a vector or an outer one.
WORK_DISTANCE = 0.6
SINGLE_DISTANCE = 2.0
# So many of the nearest samples are interpolated.
NEIGHBOURS = 28

# No array has so many elements along a dimension, whatever a file says; the work stays a finite float.
LARGEST = 2**63

# At most so many samples are fitted: a part of very many says as much.
FITTED = 96

# Seconds beyond which a time is no measurement of a call.
SHORTEST, LONGEST = 1e-12, 1e9


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one path is expected to take.

    Attributes
    ----------
    seconds : float
        Expected time of one call.
    low, high : float
        Interval: the noise of the nearest sample, and what is to be expected of the interpolation.
    noise : float
        The samples' part of it alone, as the logarithm of a ratio.
    nearest : PathResult
        The nearest sample.
    entry : Entry
        The measured call of that sample.
    distance : float
        How far that is, in doublings.

    Examples
    --------
    >>> result = PathResult(1.0, 0.9, 1.1)
    >>> entry = Entry("matmul", "float32", ((8, 8), (8, 8)), paths={"numpy": result})
    >>> Prediction(2.0, 1.8, 2.2, 0.1, result, entry, 1.0).seconds
    2.0
    """

    seconds: float
    low: float
    high: float
    noise: float
    nearest: PathResult
    entry: Entry
    distance: float


def distance(call: Call, entry: Entry) -> float:
    """Return how far a measured call is from `call`.

    Parameters
    ----------
    call : Call
        The call.
    entry : Entry
        The measured one.

    Returns
    -------
    float
        In doublings; infinite if the two are not comparable.

    Examples
    --------
    >>> entry = Entry("matmul", "float32", ((8, 8), (8, 8)))
    >>> distance(Call("matmul", "float32", ((8, 8), (8, 16))), entry)
    1.0
    """
    if not _comparable(call, entry):
        return math.inf
    ours, theirs = position(call), position(entry)
    if ours is None or theirs is None:
        return math.inf
    same = _kind_of(call.op, call.params, call.in_place) == _kind_of(entry.op, entry.params, entry.in_place)
    return math.hypot(
        *(a - b for a, b in zip(ours, theirs, strict=True)),
        OPERATION_DISTANCE * (not same),
        DTYPE_DISTANCE * (call.dtype != entry.dtype),
        LAYOUT_DISTANCE * (call.layout != entry.layout),
        THREADS_DISTANCE * (math.log2(max(1, call.threads)) - math.log2(max(1, entry.threads))),
    )


def _kind_of(op: str, params: tuple[tuple[str, object], ...], in_place: bool) -> tuple[object, ...]:
    """Return what tells calls apart besides their sizes, dtype, layout and threads."""
    spec = OPERATIONS.get(op)
    if spec is not None and spec.size_params:
        params = tuple([item for item in params if item[0] not in spec.size_params])
    return op, params, in_place


def _comparable(call: Call, entry: Entry) -> bool:
    ours, theirs = OPERATIONS.get(call.op), OPERATIONS.get(entry.op)
    return ours is not None and theirs is not None and ours.cost_class == theirs.cost_class


def position(call: Call | Entry) -> tuple[float, ...] | None:
    """Return where a call stands among others of its cost class.

    Parameters
    ----------
    call : Call or Entry
        The call.

    Returns
    -------
    tuple of float or None
        The sizes on which its time depends, in doublings; None if it has no element, or its shapes do
        not fit the operation.

    Examples
    --------
    >>> position(Call("matmul", "float32", ((8, 4), (4, 2))))
    (3.0, 2.0, 1.0, 0.0)
    """
    return _position(call.op, call.shapes, call.params)


@functools.lru_cache(maxsize=4096)
def _position(
    op: str, shapes: tuple[tuple[int, ...], ...], params: tuple[tuple[str, object], ...]
) -> tuple[float, ...] | None:
    if op not in OPERATIONS:
        return None
    try:
        sizes = OPERATIONS[op].sizes(shapes, dict(params))
    except (ValueError, TypeError):
        return None
    if 0 in sizes or max(sizes) >= LARGEST:
        return None
    return tuple(math.log2(size) for size in sizes)


def _features(call: Call) -> tuple[float, float, float]:
    return _terms(call.op, call.dtype, call.shapes, call.params)


@functools.lru_cache(maxsize=1024)
def _terms(
    op: str, dtype: str, shapes: tuple[tuple[int, ...], ...], params: tuple[tuple[str, object], ...]
) -> tuple[float, float, float]:
    """Return what the time is made of: one call, its work in bytes of operands, and its traffic."""
    spec, itemsize, given = OPERATIONS[op], np.dtype(dtype).itemsize, dict(params)
    work = float(spec.flops(shapes, given)) * itemsize
    return 1.0, work, float(spec.bytes(shapes, itemsize, given))


def fit(features: Floats, seconds: Floats) -> Floats:
    """Fit non-negative factors to times by the least sum of squared relative errors.

    Parameters
    ----------
    features : ndarray of shape (samples, terms)
        Non-negative terms of which a time is made; one of them positive for every sample.
    seconds : ndarray of shape (samples,)
        Positive times.

    Returns
    -------
    ndarray of shape (terms,)
        Factors, at least one of them positive.

    Notes
    -----
    With so few terms, each subset of them is solved, and the best without a negative factor counts
    that gives every sample a positive time.

    Examples
    --------
    >>> fit(np.array([[1.0, 1.0], [1.0, 3.0]]), np.array([3.0, 7.0])).round(6).tolist()
    [1.0, 2.0]
    """
    relative = features / seconds[:, None]
    terms = features.shape[1]
    # Equal scales keep the least squares well conditioned.
    scale = np.maximum(np.abs(relative).max(axis=0), np.finfo(float).tiny)
    scaled = relative / scale
    best, lowest = np.zeros(terms), math.inf
    for count in range(1, terms + 1):
        for subset in combinations(range(terms), count):
            columns = list(subset)
            found, *_ = np.linalg.lstsq(scaled[:, columns], np.ones(len(seconds)), rcond=None)
            if not np.isfinite(found).all() or (found < 0).any() or (scaled[:, columns] @ found <= 0).any():
                continue
            error = float(((scaled[:, columns] @ found - 1) ** 2).sum())
            # A further term must earn its place.
            if error < lowest * (1 - 1e-9) - 1e-12:
                best, lowest = np.zeros(terms), error
                best[columns] = found / scale[columns]
    return best


class Models:
    """A profile's samples in arrays, and what they say of other calls.

    Parameters
    ----------
    profile : Profile
        What was measured.

    Examples
    --------
    >>> call = Call("matmul", "float32", ((8, 8), (8, 8)))
    >>> entry = Entry("matmul", "float32", ((8, 8), (8, 8)), paths={"numpy": PathResult(1.0, 0.9, 1.1)})
    >>> models = Models(Profile({}, (entry,)))
    >>> round(models.predict(call, "numpy", 1, models.distances(call)).seconds, 6)
    1.0
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        samples = getattr(profile.entries, "samples", None) or samples_of(profile.entries)
        whole = samples.table[:, : SAMPLE_COLUMNS - 7].astype(np.int64)
        self.indices: list[int] = whole[:, 0].tolist()
        self._threads = whole[:, 1]
        self._kinds = whole[:, 2:]
        self._positions = samples.table[:, SAMPLE_COLUMNS - 7 : SAMPLE_COLUMNS - 3]
        self._features_of = samples.table[:, SAMPLE_COLUMNS - 3 : SAMPLE_COLUMNS]
        self._codes = {text: code for code, text in enumerate(samples.kinds)}
        self._times: dict[str, Floats] = {
            path: samples.table[:, SAMPLE_COLUMNS + place] for place, path in enumerate(samples.paths)
        }
        self._never = np.full(len(self.indices), math.nan)
        self._factors: dict[tuple[int, str, int], tuple[Floats, float]] = {}
        self._stretched = _stretched(self._positions)
        self._asked: tuple[object, Floats, dict[bytes, tuple[Floats, float]]] | None = None

    @property
    def entries(self) -> list[Entry]:
        """The entries that can be compared with calls."""
        return [self.profile.entries[index] for index in self.indices]

    def entry(self, number: int) -> Entry:
        """Return one of `entries` without decoding the others."""
        return self.profile.entries[self.indices[number]]

    def _code(self, value: object) -> int:
        # By its text: True and 1 are not the same parameter.
        return self._codes.setdefault(repr(value), len(self._codes))

    def _kind(self, call: Call | Entry) -> tuple[int, int, int, int]:
        return (
            self._code(_kind_of(call.op, call.params, call.in_place)),
            self._code(call.dtype),
            self._code(call.layout),
            self._code(OPERATIONS[call.op].cost_class),
        )

    def distances(self, call: Call) -> Floats:
        """Return how far each of `entries` is from `call`: see `distance`.

        Parameters
        ----------
        call : Call
            The call.

        Returns
        -------
        ndarray
            In doublings; infinite if a sample says nothing of the call.
        """
        here = position(call)
        if here is None or not self.indices:
            return np.full(len(self.indices), math.inf)
        kind = self._kind(call)
        squares = ((self._positions - here) ** 2).sum(axis=1)
        squares += (THREADS_DISTANCE * (np.log2(self._threads) - math.log2(max(1, call.threads)))) ** 2
        squares += (self._kinds[:, :3] != kind[:3]) @ _KIND_SQUARES
        found: Floats = np.where(self._kinds[:, 3] == kind[3], np.sqrt(squares), math.inf)
        return found

    def measured_threads(self, distances: Floats) -> set[int]:
        """Return the numbers of threads for which there are comparable samples.

        Parameters
        ----------
        distances : ndarray
            As `distances` gives them.

        Returns
        -------
        set of int
            Threads.
        """
        # Not np.unique: its first call imports numpy.ma.
        return set(self._threads[np.isfinite(distances)].tolist())

    def predict(self, call: Call, path: str, threads: int, distances: Floats) -> Prediction | None:
        """Return what `call` is expected to take on a path.

        Parameters
        ----------
        call : Call
            The call.
        path : str
            The path.
        threads : int
            Threads that the samples were given.
        distances : ndarray
            As `distances` gives them for this call.

        Returns
        -------
        Prediction or None
            None without a comparable sample.
        """
        times = self._times_of(path)
        members = np.flatnonzero((self._threads == threads) & np.isfinite(distances) & ~np.isnan(times))
        if not len(members):
            return None
        first = int(members[np.argmin(distances[members])])
        near = float(distances[first])
        factors, scale = self._fitted(int(self._kinds[first, 3]), path, threads)
        if near == 0:
            # Of equally near ones the later: the profile's entries are in the order of their writing.
            first = int(members[np.flatnonzero(distances[members] == 0)[-1]])
            seconds, doubt = float(times[first]), 0.0
        else:
            chosen, weights, left = self._weights(call, members)
            deviations = np.log(times[chosen] / (self._features(chosen) @ factors))
            base = float(np.array(_features(call)) @ factors)
            # Never beyond what its neighbours deviate: a disturbed sample must not be extrapolated.
            lowest, highest = min(0.0, float(deviations.min())), max(0.0, float(deviations.max()))
            pulled = min(max(float(weights @ deviations), lowest), highest)
            seconds, doubt = base * math.exp(pulled), scale * left
        entry = self.entry(first)
        sample = entry.paths[path]
        missed = math.exp(min(doubt, 50.0))
        return Prediction(
            seconds,
            seconds * (sample.low / sample.seconds) / missed,
            seconds * (sample.high / sample.seconds) * missed,
            max(math.log(sample.seconds / sample.low), math.log(sample.high / sample.seconds)),
            sample,
            entry,
            near,
        )

    def _times_of(self, path: str) -> Floats:
        """Return the seconds of a path in each entry, NaN where it was not measured."""
        return self._times.get(path, self._never)

    def _features(self, numbers: NDArray[np.intp]) -> Floats:
        return self._features_of[numbers]

    def _fitted(self, cost_class: int, path: str, threads: int) -> tuple[Floats, float]:
        """Return the factors of one path and number of threads, and how far its samples deviate."""
        key = (cost_class, path, threads)
        if key not in self._factors:
            times = self._times_of(path)
            members = np.flatnonzero(
                (self._kinds[:, 3] == cost_class) & (self._threads == threads) & ~np.isnan(times)
            )
            part = members[:: -(-len(members) // FITTED)]
            features = self._features(part)
            factors = fit(features, times[part])
            deviations = np.log(times[part] / (features @ factors))
            self._factors[key] = factors, float(np.sqrt(np.mean(deviations**2)))
        return self._factors[key]

    def _asked_about(self, call: Call) -> tuple[object, Floats, dict[bytes, tuple[Floats, float]]]:
        """Return how far the samples are where deviations are interpolated, squared, and weights found."""
        key = call.op, call.dtype, call.shapes, call.layout, call.params, call.in_place
        # All paths and numbers of threads of a call are asked about one after the other.
        asked = self._asked
        if asked is None or asked[0] != key:
            here = _stretched(np.array([position(call)]))
            squares = ((self._stretched - here) ** 2).sum(axis=1)
            squares += (self._kinds[:, :3] != self._kind(call)[:3]) @ _KIND_SQUARES
            # In one piece: another thread may ask about another call.
            asked = self._asked = key, squares, {}
        return asked

    def _weights(self, call: Call, members: NDArray[np.intp]) -> tuple[NDArray[np.intp], Floats, float]:
        """Return the nearest samples, their weights, and which part of the deviation they leave open."""
        _, squares, solved = self._asked_about(call)
        squares = squares[members]
        if len(members) > NEIGHBOURS:
            order = np.argpartition(squares, NEIGHBOURS)[:NEIGHBOURS]
            members, squares = members[order], squares[order]
        key = members.tobytes()
        # The paths of a call were mostly measured at the same samples.
        if key not in solved:
            stretched, kinds = self._stretched[members], self._kinds[members, :3]
            between = ((stretched[:, None] - stretched[None]) ** 2).sum(axis=2)
            between += (kinds[:, None] != kinds[None]) @ _KIND_SQUARES
            covariance = _resemblance(between)
            covariance.flat[:: len(members) + 1] += NUGGET
            towards = _resemblance(squares)
            weights = np.asarray(np.linalg.solve(covariance, towards), np.float64)
            solved[key] = weights, math.sqrt(max(0.0, 1.0 - float(weights @ towards)))
        return members, *solved[key]


_KIND_SQUARES = np.array([OPERATION_DISTANCE, DTYPE_DISTANCE, LAYOUT_DISTANCE]) ** 2


def _stretched(positions: Floats) -> Floats:
    """Return positions with the work, and with what makes products of vectors different."""
    work = WORK_DISTANCE * positions.sum(axis=1, keepdims=True)
    return np.concatenate([positions, work, SINGLE_DISTANCE * (positions[:, :3] == 0)], axis=1)


def _resemblance(squares: Floats) -> Floats:
    """Return how much two deviations resemble each other, by the square of their distance: Matern, 3/2."""
    scaled = np.sqrt(3 * squares) / REACH
    found: Floats = (1 + scaled) * np.exp(-scaled)
    return found


SAMPLE_COLUMNS = 13
"""Columns of `Samples.table` before the times."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a profile as numbers.

    Attributes
    ----------
    table : ndarray of shape (samples, SAMPLE_COLUMNS + paths)
        A row for each entry that can be compared with calls: its number, its threads, numbers that stand for
        its operation, dtype, layout and cost class, its position, the terms of its time, and the seconds of
        each path, NaN where it was not measured.
    kinds : list of str
        What the numbers of operations, dtypes, layouts and classes stand for.
    paths : list of str
        The paths.
    """

    table: Floats
    kinds: list[str]
    paths: list[str]


def samples_of(entries: Sequence[Entry]) -> Samples:
    """Return the samples of a profile's entries.

    Parameters
    ----------
    entries : sequence of Entry
        The entries; those of a file are not decoded.

    Returns
    -------
    Samples
        Without the entries that no call can be compared with.

    Examples
    --------
    >>> samples_of([Entry("exp", "float32", ((8,),), "C", paths={"numpy": PathResult(1.0, 1.0, 1.0)})]).paths
    ['numpy']
    """
    codes: dict[str, int] = {}
    columns: dict[str, int] = {}
    rows, times = [], []
    for number, one in enumerate(documents_of(entries)):
        params = _sorted(one.get("params"))
        shapes = tuple([tuple(shape) for shape in one["shapes"]])
        place = _position(one["op"], shapes, params)
        try:
            terms = None if place is None else _terms(one["op"], one["dtype"], shapes, params)
        except (ValueError, TypeError, KeyError, OverflowError):
            terms = None
        if place is None or terms is None:
            continue
        kinds = (
            _kind_of(one["op"], params, one.get("in_place", False)),
            one["dtype"],
            one["layout"],
            OPERATIONS[one["op"]].cost_class,
        )
        # By their texts: True and 1 are not the same parameter.
        numbers = [codes.setdefault(repr(kind), len(codes)) for kind in kinds]
        rows.append((number, one["threads"], *numbers, *place, *terms))
        times.append(
            [
                # Absurd times in a file must not overflow what is computed from them.
                (columns.setdefault(path, len(columns)), min(max(found["seconds"], SHORTEST), LONGEST))
                for path, found in one["paths"].items()
            ]
        )
    table = np.full((len(rows), SAMPLE_COLUMNS + len(columns)), math.nan)
    if rows:
        table[:, :SAMPLE_COLUMNS] = rows
    for row, found in zip(table, times, strict=True):
        for column, seconds in found:
            row[SAMPLE_COLUMNS + column] = seconds
    return Samples(table, list(codes), list(columns))


def _sorted(params: dict[str, object] | None) -> tuple[tuple[str, object], ...]:
    if not params:
        return ()
    return tuple(
        sorted((name, tuple(value) if isinstance(value, list) else value) for name, value in params.items())
    )
