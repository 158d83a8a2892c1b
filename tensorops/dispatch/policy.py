"""Which path to take for a call, on how many threads, and why: a pure function.

It knows the call, the profile and the paths that can compute the call. Where a measured call is near
enough and compared the paths in question, the cost model fitted to the profile predicts each path's
time and the fastest is taken; else the shipped thresholds decide. A profile moves the choice only by
what was measured on this machine.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tensorops.backends.base import Call
from tensorops.dispatch.cost_model import Floats, Models, Prediction
from tensorops.dispatch.records import Entry, Profile
from tensorops.operations import OPERATIONS

# Distances are in doublings of one dimension. With few samples, two doublings (a factor of four) is as
# far as the order of two paths can be trusted to hold: between two powers of four lies a cache level.
MAX_DISTANCE = 2.0
# With at least so many samples the fitted model holds them together, and carries further.
MODEL_SAMPLES = 12
MODEL_DISTANCE = 6.0

# Paths of other backends than this take as many threads as they are given: the dispatcher lowers the
# number for its own kernels alone.
OWN_BACKEND = "blocked"

# Shipped threshold, in multiply-adds of the whole call. Below it packing, threads and giving up the
# interpreter lock cost more than they bring: up to about 32x32x32, whose size class is decided at
# 39x39x39, all three matrices lie in L1 as they are, and the product takes a few microseconds.
SMALL_WORK = 40 * 40 * 40
SMALL_SHIPPED = ("blocked/small", "blocked/packed", "blocked", "numpy")
LARGE_SHIPPED = ("blocked/packed", "blocked/small", "blocked", "numpy")

# FLOPs below which the library's own kernels compute on one thread whatever they are offered. Above, a
# measurement on fewer threads than a call may use says nothing of which path takes them best.
THREADS_FLOPS = 1 << 20
# The same for everything but products, in elements of the first operand.
THREADS_ELEMENTS = 1 << 16

# Taken without a measurement only where nothing else can compute the call.
LAST_RESORT = ("naive", "python")

# Predicted times of two variants whose ratio is at most this are equal: no prediction is better.
EQUAL = 1.02

# The cost class whose operations have paths without and with packing.
PRODUCTS = "product"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One path and what is known of it.

    Attributes
    ----------
    path : str
        Backend, or backend and variant.
    predicted_seconds : float or None
        The time expected of the call asked about; None without a measurement.
    low, high : float or None
        The interval of that.
    threads : int or None
        Threads with which the path is expected to be fastest.
    measured_shape : tuple of tuple of int, or None
        Operand shapes of the nearest measured call.
    distance : float or None
        How far the measured call is, in doublings.
    measured_seconds, measured_low, measured_high : float or None
        What was measured there.
    allocations, bytes : int or None
        NumPy buffers that one call allocated there.
    hotspot : str or None
        The costliest source line there.
    excluded_reason : str or None
        Why the path cannot be taken; None if it can.

    Examples
    --------
    >>> Candidate("torch", excluded_reason="torch is not installed").predicted_seconds is None
    True
    """

    path: str
    predicted_seconds: float | None = None
    low: float | None = None
    high: float | None = None
    threads: int | None = None
    measured_shape: tuple[tuple[int, ...], ...] | None = None
    distance: float | None = None
    measured_seconds: float | None = None
    measured_low: float | None = None
    measured_high: float | None = None
    allocations: int | None = None
    bytes: int | None = None
    hotspot: str | None = None
    excluded_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The path to take, and why.

    Attributes
    ----------
    path : str
        One of the usable paths.
    reason : str
        A sentence for people.
    candidates : tuple of Candidate
        Every path that was considered, the chosen one first, the excluded ones last.
    entry : Entry or None
        The nearest measured call, if measurements decided.
    threads : int
        Threads to use, at most those of the call.

    Examples
    --------
    >>> choose(Call("matmul", "float32", ((8, 8), (8, 8))), None, ["numpy"]).reason
    'numpy is the only path that can compute this call'
    """

    path: str
    reason: str
    candidates: tuple[Candidate, ...]
    entry: Entry | None = None
    threads: int = 1


def choose(
    call: Call,
    profile: Profile | None,
    paths: Sequence[str],
    excluded: Mapping[str, str] | None = None,
) -> Choice:
    """Choose the path for `call`.

    Parameters
    ----------
    call : Call
        The call.
    profile : Profile or None
        What was measured on this machine.
    paths : sequence of str
        The paths that can compute the call; at least one.
    excluded : mapping of str to str, optional
        The other paths and why they cannot; told in the candidates, never chosen.

    Returns
    -------
    Choice
        One of `paths`, the number of threads, and the reason.

    Raises
    ------
    ValueError
        If `paths` is empty.

    Examples
    --------
    >>> call = Call("matmul", "float32", ((8, 8), (8, 8)))
    >>> choose(call, None, ["numpy", "blocked/small"]).path
    'blocked/small'
    """
    usable = tuple(dict.fromkeys(paths))
    if not usable:
        raise ValueError(f"no path can compute {call}: {dict(excluded or {})}")
    order = _shipped_order(call, usable)
    models = None if profile is None or call.op not in OPERATIONS else models_of(profile)
    distances = None if models is None else models.distances(call)
    near = None if models is None or distances is None else _nearest(models, distances, usable, order[0])
    if near is not None and _lacks_threads(call, near[0]):
        near = None
    expected: dict[str, tuple[Prediction, int]] = {}
    entry = None
    if models is None or distances is None or near is None:
        path, threads = order[0], call.threads
        closest = math.inf if distances is None or not len(distances) else float(distances.min())
        reason = _shipped_reason(call, profile, closest, path, len(usable))
    else:
        entry, away = near
        expected = _expectations(call, models, distances, entry, usable)
        contenders = _contenders(entry, expected)
        # What was not among the fastest at the nearest call is not told to be by an extrapolation.
        expected = {
            name: found for name, found in expected.items() if name in contenders or name not in LAST_RESORT
        }
        path = _preferred(contenders, expected, order)
        threads = expected[path][1]
        reason = _measured_reason(away, expected, path)
    candidates = [_candidate(name, expected.get(name)) for name in order]
    # Stable: what was not measured keeps the shipped order behind what was.
    candidates.sort(key=lambda item: (item.path != path, item.predicted_seconds or math.inf))
    reasons = {name: why for name, why in (excluded or {}).items() if name not in usable}
    candidates += [Candidate(name, excluded_reason=why) for name, why in reasons.items()]
    return Choice(path, reason, tuple(candidates), entry, threads)


def nearest(call: Call, profile: Profile | None, paths: Sequence[str]) -> tuple[Entry, float] | None:
    """Return the measured call whose comparison of paths may decide for `call`.

    Parameters
    ----------
    call : Call
        The call.
    profile : Profile or None
        What was measured.
    paths : sequence of str
        The paths that can compute the call.

    Returns
    -------
    tuple of Entry and float, or None
        The nearest decisive entry and its distance in doublings; None if there is none within
        `MAX_DISTANCE`, or within `MODEL_DISTANCE` where there are `MODEL_SAMPLES` of them. Of two
        equally near entries the one written later counts.

    Examples
    --------
    >>> nearest(Call("matmul", "float32", ((8, 8), (8, 8))), None, ["numpy"]) is None
    True
    """
    if profile is None or call.op not in OPERATIONS:
        return None
    models = models_of(profile)
    return _nearest(models, models.distances(call), paths, _shipped_order(call, tuple(paths))[0])


def _nearest(
    models: Models, distances: Floats, paths: Sequence[str], default: str
) -> tuple[Entry, float] | None:
    usable = frozenset(paths)
    order = np.argsort(distances, kind="stable")
    # Of equally near ones the later: the profile's entries are in the order in which they were written.
    best: tuple[Entry, float] | None = None
    samples = 0
    for index in order:
        away = float(distances[index])
        if away == math.inf or (best is not None and (best[1] <= MAX_DISTANCE or samples >= MODEL_SAMPLES)):
            if best is None or away > best[1]:
                break
        entry = models.entry(int(index))
        if not _decisive(entry, usable, default):
            continue
        samples += 1
        if best is None or away == best[1]:
            best = (entry, away)
    if best is None or best[1] > (MAX_DISTANCE if samples < MODEL_SAMPLES else MODEL_DISTANCE):
        return None
    return best


def _lacks_threads(call: Call, entry: Entry) -> bool:
    """Return whether the nearest measured call had too few threads to speak for `call`."""
    return entry.threads < call.threads and threads_matter(call)


def threads_matter(call: Call) -> bool:
    """Tell whether the library's own kernels may use more than one thread for a call.

    Parameters
    ----------
    call : Call
        The call.

    Returns
    -------
    bool
        Below, a measurement on fewer threads than the call may use speaks for it.

    Examples
    --------
    >>> [threads_matter(Call("matmul", "float32", ((n, n), (n, n)))) for n in (64, 128)]
    [False, True]
    """
    spec = OPERATIONS[call.op]
    if spec.cost_class != PRODUCTS:
        return math.prod(call.shapes[0]) >= THREADS_ELEMENTS
    return spec.flops(call.shapes, dict(call.params)) >= THREADS_FLOPS


# The models of the profile that was asked about last: fitting them takes longer than a choice.
_models: list[Models] = []


def models_of(profile: Profile) -> Models:
    """Return the cost models of a profile; those of the last one are kept.

    Parameters
    ----------
    profile : Profile
        What was measured.

    Returns
    -------
    Models
        Fitted as they are asked for.

    Examples
    --------
    >>> profile = Profile({})
    >>> models_of(profile) is models_of(profile)
    True
    """
    kept = _models[0] if _models else None
    if kept is None or kept.profile is not profile:
        kept = Models(profile)
        _models[:] = [kept]
    return kept


def _expectations(
    call: Call, models: Models, distances: Floats, entry: Entry, paths: Iterable[str]
) -> dict[str, tuple[Prediction, int]]:
    """Predict the time of each path that was measured, at its best number of threads."""
    measured = models.measured_threads(distances)
    # Where the number of threads asked for was not measured, the nearest entry's stands for it: small calls
    # use one thread whatever they are offered.
    given = entry.threads if entry.threads <= call.threads else call.threads
    given = given if given in measured else entry.threads
    fewer = {
        count: models.distances(replace(call, threads=count))
        for count in (measured if given == call.threads else ())
        if count < call.threads
    }
    found = {}
    for path in paths:
        expected = [(models.predict(call, path, given, distances), call.threads)]
        if path.partition("/")[0] == OWN_BACKEND:
            expected += [(models.predict(call, path, count, away), count) for count, away in fewer.items()]
        known = [(prediction, count) for prediction, count in expected if prediction is not None]
        if known:
            found[path] = min(known, key=lambda item: item[0].seconds)
    return found


def _contenders(entry: Entry, expected: Mapping[str, tuple[Prediction, int]]) -> list[str]:
    """Return the paths among which the choice is: those compared in the nearest entry.

    The plain loops are among them only where they were fastest there, within noise.
    """
    there = {path: entry.paths[path] for path in expected if path in entry.paths}
    fastest = min(there.values(), key=lambda result: (result.seconds, result.high))
    return [path for path in there if path not in LAST_RESORT or there[path].overlaps(fastest)]


def _preferred(
    paths: Sequence[str], expected: Mapping[str, tuple[Prediction, int]], order: Sequence[str]
) -> str:
    """Return the path expected to be fastest, or within the samples' noise the one that allocates least.

    Equal variants of one backend are told apart by the shipped order, which also holds farther away.
    """
    fastest = min((expected[path][0] for path in paths), key=lambda item: item.seconds)
    close = [path for path in paths if _within_noise(expected[path][0], fastest)]
    least = min(close, key=lambda path: (expected[path][0].nearest.bytes, expected[path][0].seconds, path))
    variants = [
        path
        for path in close
        if path.partition("/")[0] == least.partition("/")[0]
        and expected[path][0].nearest.bytes == expected[least][0].nearest.bytes
        and expected[path][0].seconds <= EQUAL * expected[least][0].seconds
    ]
    return min(variants, key=order.index)


def _within_noise(one: Prediction, other: Prediction) -> bool:
    return abs(math.log(one.seconds / other.seconds)) <= one.noise + other.noise


def _decisive(entry: Entry, paths: Collection[str], default: str) -> bool:
    """Return whether an entry compared the shipped path's backend with another usable path."""
    measured = [path for path in entry.paths if path in paths]
    shipped = default.partition("/")[0]
    return len(measured) > 1 and any(path.partition("/")[0] == shipped for path in measured)


def _shipped_order(call: Call, paths: Sequence[str]) -> list[str]:
    """Return the paths in the order in which they are taken without a measurement."""
    shipped = SMALL_SHIPPED if _is_small(call) else LARGE_SHIPPED
    first = [path for path in shipped if path in paths]
    last = [path for path in LAST_RESORT if path in paths]
    return first + [path for path in paths if path not in (*first, *last)] + last


def _is_small(call: Call) -> bool:
    """Return whether a product is below the shipped threshold."""
    spec = OPERATIONS.get(call.op)
    if spec is None or spec.cost_class != PRODUCTS:
        return False
    try:
        return math.prod(spec.sizes(call.shapes, dict(call.params))) <= SMALL_WORK
    except ValueError:
        return False


def _shipped_reason(call: Call, profile: Profile | None, closest: float, path: str, usable: int) -> str:
    if usable == 1:
        return f"{path} is the only path that can compute this call"
    if profile is None:
        why = "no profile"
    else:
        why = (
            f"the nearest measured call is {closest:.1f} doublings away or compares no two usable paths"
            if closest < math.inf
            else "nothing comparable was measured"
        )
    if path not in SMALL_SHIPPED:
        return f"{why}; {path} is the first path that can compute this call"
    if path.partition("/")[0] != "blocked":
        return f"{why}; the shipped path cannot compute this call, so {path}"
    if path == OWN_BACKEND:
        return f"{why}; by the shipped thresholds: {path}"
    size = "small" if _is_small(call) else "large enough to pay for packing"
    return f"{why}; by the shipped thresholds the product is {size}: {path}"


def _measured_reason(away: float, expected: Mapping[str, tuple[Prediction, int]], path: str) -> str:
    where = "measured" if away == 0 else f"measured {away:.1f} doublings away"
    chosen = expected[path][0]
    # The plain loops are no rival where they were not among the fastest at the nearest call.
    rivals = {
        name: item[0]
        for name, item in expected.items()
        if name != path and (name not in LAST_RESORT or item[0].seconds >= chosen.seconds)
    }
    if not rivals:
        return f"{where}: {path} is fastest, {format_seconds(chosen.seconds)}"
    rival = min(rivals, key=lambda name: rivals[name].seconds)
    other = rivals[rival]
    times = f"{format_seconds(chosen.seconds)} against {format_seconds(other.seconds)} of {rival}"
    if away:
        times += " expected"
    if not _within_noise(chosen, other):
        return f"{where}: {path} is fastest, {times}"
    if chosen.nearest.bytes != other.nearest.bytes:
        return (
            f"{where}: {path} and {rival} are equal within noise ({times}) and {path} allocates "
            f"{chosen.nearest.bytes} bytes against {other.nearest.bytes}"
        )
    return f"{where}: {path} is fastest, but within noise ({times})"


def format_seconds(seconds: float) -> str:
    """Return a time with three digits and its unit.

    Parameters
    ----------
    seconds : float
        The time.

    Returns
    -------
    str
        In s, ms, us or ns.

    Examples
    --------
    >>> format_seconds(7.94e-5)
    '79.4 us'
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _candidate(path: str, expected: tuple[Prediction, int] | None) -> Candidate:
    if expected is None:
        return Candidate(path)
    prediction, threads = expected
    sample = prediction.nearest
    return Candidate(
        path,
        prediction.seconds,
        prediction.low,
        prediction.high,
        threads,
        prediction.entry.shapes,
        prediction.distance,
        sample.seconds,
        sample.low,
        sample.high,
        sample.allocations,
        sample.bytes,
        sample.hotspot,
    )
