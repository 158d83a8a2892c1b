"""What a call will take on each path: a small model fitted to the profile's samples.

A time is the sum of a call's overhead, its work and its traffic, each with a factor that is fitted to
all samples of one path and number of threads: non-negative least squares of the relative error. What
the samples near a call deviate from that, the call is taken to deviate likewise: their logarithmic
residuals, weighted by distance, correct the prediction, and at a measured call it is the measurement.
Pure: nothing here reads a file, the clock or the environment.

Reference: Shepard, "A two-dimensional interpolation function for irregularly-spaced data", ACM
National Conference, 1968 (the weights).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import mul

import numpy as np
from numpy.typing import NDArray

from tensorops.backends.base import Call
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.operations import OPERATIONS

Floats = NDArray[np.float64]

# Distances are in doublings of one dimension. What another dtype, another memory order, another
# operation of the same cost class or twice the threads weighs against one: another dtype halves the
# vectors and the footprint; another order changes the packing.
DTYPE_DISTANCE = 1.0
LAYOUT_DISTANCE = 0.5
OPERATION_DISTANCE = 1.0
THREADS_DISTANCE = 1.0

# Beyond this the fitted model counts for more than the residuals of samples.
REACH = 3.0

# No array has so many elements along a dimension, whatever a file says; the work stays a finite float.
LARGEST = 2**63

# At most so many samples of a model are predicted by the others to see how far off it is.
SPREAD_SAMPLES = 128

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
        Interval: the noise of the samples that count most, and what the model itself misses between
        samples.
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
    return math.hypot(
        *(a - b for a, b in zip(ours, theirs, strict=True)),
        OPERATION_DISTANCE * (call.op != entry.op),
        DTYPE_DISTANCE * (call.dtype != entry.dtype),
        LAYOUT_DISTANCE * (call.layout != entry.layout),
        THREADS_DISTANCE * (math.log2(max(1, call.threads)) - math.log2(max(1, entry.threads))),
    )


def _comparable(call: Call, entry: Entry) -> bool:
    if call.op == entry.op:
        return call.params == entry.params and call.in_place == entry.in_place
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


def _features(call: Call | Entry) -> tuple[float, float, float]:
    """Return what the time is made of: one call, its work in bytes of operands, and its traffic."""
    spec, itemsize, params = OPERATIONS[call.op], np.dtype(call.dtype).itemsize, dict(call.params)
    work = float(spec.flops(call.shapes, params)) * itemsize
    return 1.0, work, float(spec.bytes(call.shapes, itemsize, params))


class CostModel:
    """The samples of one path and number of threads, and the model fitted to them.

    Parameters
    ----------
    path : str
        The path.
    entries : sequence of Entry
        Measured calls of one cost class that have a result of `path`; at least one.
    features : ndarray of shape (entries, terms), optional
        What their times are made of, where that is known.

    Examples
    --------
    >>> entry = Entry("matmul", "float32", ((8, 8), (8, 8)), paths={"numpy": PathResult(1.0, 0.9, 1.1)})
    >>> model = CostModel("numpy", [entry])
    >>> round(model.predict(Call("matmul", "float32", ((8, 8), (8, 8)))).seconds, 6)
    1.0
    """

    def __init__(self, path: str, entries: Sequence[Entry], features: Floats | None = None) -> None:
        self.entries = tuple(entries)
        self.results = tuple(entry.paths[path] for entry in entries)
        # Absurd times in a file must not overflow what is computed from them.
        seconds = np.clip([result.seconds for result in self.results], SHORTEST, LONGEST)
        if features is None:
            features = np.array([_features(entry) for entry in entries])
        self.factors = fit(features, seconds)
        self.residuals = np.log(seconds / (features @ self.factors))
        self.spread = self._spread()

    def predict(self, call: Call, distances: Floats | None = None) -> Prediction | None:
        """Return what `call` is expected to take.

        Parameters
        ----------
        call : Call
            The call. Its number of threads may differ from the samples'.
        distances : ndarray, optional
            How far each sample is from it, where that is known.

        Returns
        -------
        Prediction or None
            None if no sample is comparable.
        """
        if distances is None:
            distances = np.array([distance(call, entry) for entry in self.entries])
        index = int(np.argmin(distances))
        nearest = float(distances[index])
        if nearest == math.inf:
            return None
        # Infinitely far is a weight of nothing.
        weights = _weights(distances)
        pulled = float(weights @ self.residuals / (weights.sum() + _PRIOR))
        if nearest == 0:
            pulled = float(self.residuals[index])
        base = sum(map(mul, _features(call), self.factors.tolist()))
        seconds = base * math.exp(pulled)
        sample = self.results[index]
        missed = math.exp(self.spread * min(1.0, nearest))
        return Prediction(
            seconds,
            seconds * (sample.low / sample.seconds) / missed,
            seconds * (sample.high / sample.seconds) * missed,
            max(math.log(sample.seconds / sample.low), math.log(sample.high / sample.seconds)),
            sample,
            self.entries[index],
            nearest,
        )

    def _spread(self) -> float:
        """Return how far off the prediction of each sample by all the others is, in the root mean square."""
        # A part of very many samples says as much.
        step = -(-len(self.entries) // SPREAD_SAMPLES)
        positions, residuals = [position(entry) for entry in self.entries[::step]], self.residuals[::step]
        places = [place for place in positions if place is not None]
        if len(places) < 2 or len(places) < len(positions):
            return 0.0
        points = np.array(places)
        apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
        weights = _weights(apart)
        np.fill_diagonal(weights, 0.0)
        others = weights @ residuals / (weights.sum(axis=1) + _PRIOR)
        return float(np.sqrt(np.mean((residuals - others) ** 2)))


def _weights(distances: Floats) -> Floats:
    weights: Floats = (distances**2 + 1e-6) ** -1.5
    return weights


# What the model itself weighs beside the residuals of samples.
_PRIOR = float(_weights(np.array([REACH]))[0])


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
    """A profile's samples in arrays, and its cost models, each fitted when it is first asked for.

    Parameters
    ----------
    profile : Profile
        What was measured.

    Examples
    --------
    >>> Models(Profile({})).model("product", "numpy", 1) is None
    True
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        known = [(entry, position(entry)) for entry in profile.entries]
        self.entries = [entry for entry, where in known if where is not None]
        self._positions = np.array([where for _, where in known if where is not None]).reshape(-1, 4)
        self._features = np.array([_features(entry) for entry in self.entries]).reshape(-1, 3)
        self._threads = np.array([entry.threads for entry in self.entries], dtype=np.int64)
        self._columns = {
            name: np.array([hash(getattr(entry, name)) for entry in self.entries], dtype=np.int64)
            for name in ("op", "dtype", "layout", "params", "in_place")
        }
        self._classes = np.array([hash(OPERATIONS[entry.op].cost_class) for entry in self.entries], np.int64)
        self._fitted: dict[tuple[str, str, int], tuple[NDArray[np.intp], CostModel] | None] = {}

    def distances(self, call: Call) -> Floats:
        """Return how far each of `entries` is from `call`: see `distance`.

        Parameters
        ----------
        call : Call
            The call.

        Returns
        -------
        ndarray
            In doublings; infinite where a sample says nothing of the call.
        """
        here = position(call)
        if here is None or not self.entries:
            return np.full(len(self.entries), math.inf)
        differ = {name: column != hash(getattr(call, name)) for name, column in self._columns.items()}
        squares = ((self._positions - here) ** 2).sum(axis=1)
        squares += (THREADS_DISTANCE * (np.log2(self._threads) - math.log2(max(1, call.threads)))) ** 2
        for name, weight in (
            ("op", OPERATION_DISTANCE),
            ("dtype", DTYPE_DISTANCE),
            ("layout", LAYOUT_DISTANCE),
        ):
            squares += differ[name] * weight**2
        incomparable = np.where(
            differ["op"],
            self._classes != hash(OPERATIONS[call.op].cost_class),
            differ["params"] | differ["in_place"],
        )
        found: Floats = np.where(incomparable, math.inf, np.sqrt(squares))
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
        found = self._model(OPERATIONS[call.op].cost_class, path, threads)
        return None if found is None else found[1].predict(call, distances[found[0]])

    def model(self, cost_class: str, path: str, threads: int) -> CostModel | None:
        """Return the model of one path and number of threads, or None without a usable sample.

        Parameters
        ----------
        cost_class : str
            As in the operation registry.
        path : str
            The path.
        threads : int
            Threads that it was given.

        Returns
        -------
        CostModel or None
            The model.
        """
        found = self._model(cost_class, path, threads)
        return None if found is None else found[1]

    def _model(self, cost_class: str, path: str, threads: int) -> tuple[NDArray[np.intp], CostModel] | None:
        key = (cost_class, path, threads)
        if key not in self._fitted:
            of_class = (self._classes == hash(cost_class)) & (self._threads == threads)
            members = [index for index in np.flatnonzero(of_class) if path in self.entries[index].paths]
            self._fitted[key] = (
                (
                    np.array(members),
                    CostModel(path, [self.entries[index] for index in members], self._features[members]),
                )
                if members
                else None
            )
        return self._fitted[key]
