"""Which path to take for a call, and why: a pure function of the call, the profile and the paths.

The nearest measured call decides, if it is near enough and compared the paths in question; else
the shipped thresholds do. A profile moves the choice only by what was measured on this machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensorops.backends.base import Call
from tensorops.dispatch.records import Entry, PathResult, Profile, preferred
from tensorops.operations import OPERATIONS, product_dims

# Distances are in doublings of one dimension. Two doublings (a factor of four) is as far as the
# order of two paths can be trusted to hold: between two powers of four lies a cache level.
MAX_DISTANCE = 2.0

# What another dtype, another memory order or twice the threads weighs against a doubling of a
# dimension. Another dtype halves the vectors and the footprint; another order changes the packing.
DTYPE_DISTANCE = 1.0
LAYOUT_DISTANCE = 0.5
THREADS_DISTANCE = 1.0

# Shipped threshold, in multiply-adds of the whole call. Below it packing, threads and giving up the
# interpreter lock cost more than they bring: up to about 32x32x32, whose size class is decided at
# 39x39x39, all three matrices lie in L1 as they are, and the product takes a few microseconds.
SMALL_WORK = 40 * 40 * 40
SMALL_SHIPPED = ("blocked/small", "blocked/packed", "numpy")
LARGE_SHIPPED = ("blocked/packed", "blocked/small", "numpy")

# Taken without a measurement only where nothing else can compute the call.
LAST_RESORT = ("naive", "python")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One path and what is known of it.

    Attributes
    ----------
    path : str
        Backend, or backend and variant.
    predicted_seconds : float or None
        The measured time, scaled by the flops of the two calls; None without a measurement.
    low, high : float or None
        The interval, scaled likewise.
    measured_shape : tuple of tuple of int, or None
        Operand shapes of the measured call.
    distance : float or None
        How far the measured call is, in doublings.
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
    measured_shape: tuple[tuple[int, ...], ...] | None = None
    distance: float | None = None
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
        The measured call that decided, if one did.

    Examples
    --------
    >>> choose(Call("matmul", "float32", ((8, 8), (8, 8))), None, ["numpy"]).reason
    'numpy is the only path that can compute this call'
    """

    path: str
    reason: str
    candidates: tuple[Candidate, ...]
    entry: Entry | None = None


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
        One of `paths`, and the reason.

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
    near = nearest(call, profile, usable)
    if near is None:
        path, entry, distance = order[0], None, math.inf
        reason = _shipped_reason(call, profile, path, len(usable))
    else:
        entry, distance = near
        measured = {name: result for name, result in entry.paths.items() if name in usable}
        path = preferred(measured)
        reason = _measured_reason(call, entry, distance, measured, path)
    candidates = [_candidate(call, name, entry, distance) for name in order]
    # Stable: what was not measured keeps the shipped order behind what was.
    candidates.sort(key=lambda item: (item.path != path, item.predicted_seconds or math.inf))
    reasons = {name: why for name, why in (excluded or {}).items() if name not in usable}
    candidates += [Candidate(name, excluded_reason=why) for name, why in reasons.items()]
    return Choice(path, reason, tuple(candidates), entry)


def nearest(call: Call, profile: Profile | None, paths: Sequence[str]) -> tuple[Entry, float] | None:
    """Return the measured call that may decide for `call`.

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
        `MAX_DISTANCE`. Of two equally near entries the one written later counts.

    Examples
    --------
    >>> nearest(Call("matmul", "float32", ((8, 8), (8, 8))), None, ["numpy"]) is None
    True
    """
    best: tuple[Entry, float] | None = None
    default = _shipped_order(call, tuple(paths))[0]
    for entry in profile.entries if profile is not None else ():
        if not _decisive(entry, paths, default):
            continue
        away = distance(call, entry)
        if away <= (MAX_DISTANCE if best is None else best[1]):
            best = (entry, away)
    return best


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
    if (call.op, call.params, call.in_place) != (entry.op, entry.params, entry.in_place):
        return math.inf
    ours, theirs = _sizes(call.op, call.shapes), _sizes(entry.op, entry.shapes)
    if ours is None or theirs is None or len(ours) != len(theirs) or 0 in ours or 0 in theirs:
        return math.inf
    return math.hypot(
        *(math.log2(a) - math.log2(b) for a, b in zip(ours, theirs, strict=True)),
        DTYPE_DISTANCE * (call.dtype != entry.dtype),
        LAYOUT_DISTANCE * (call.layout != entry.layout),
        THREADS_DISTANCE * (math.log2(max(1, call.threads)) - math.log2(max(1, entry.threads))),
    )


def _sizes(op: str, shapes: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
    """Return the numbers on which the time of a call depends, or None if the shapes make no call."""
    if op != "matmul":
        return tuple(math.prod(shape) for shape in shapes)
    try:
        dims = product_dims(shapes)
    except ValueError:
        return None
    return (dims.m, dims.k, dims.n, dims.count)


def _decisive(entry: Entry, paths: Sequence[str], default: str) -> bool:
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
    sizes = _sizes(call.op, call.shapes)
    if call.op != "matmul" or sizes is None:
        return False
    return math.prod(sizes) <= SMALL_WORK


def _shipped_reason(call: Call, profile: Profile | None, path: str, usable: int) -> str:
    if usable == 1:
        return f"{path} is the only path that can compute this call"
    if profile is None:
        why = "no profile"
    else:
        near = [d for d in (distance(call, entry) for entry in profile.entries) if d < math.inf]
        why = (
            f"the nearest measured call is {min(near):.1f} doublings away or compares no two usable paths"
            if near
            else "nothing comparable was measured"
        )
    if path not in SMALL_SHIPPED:
        return f"{why}; {path} is the first path that can compute this call"
    if path.partition("/")[0] != "blocked":
        return f"{why}; the shipped path cannot compute this call, so {path}"
    size = "small" if _is_small(call) else "large enough to pay for packing"
    return f"{why}; by the shipped thresholds the product is {size}: {path}"


def _measured_reason(
    call: Call, entry: Entry, away: float, measured: Mapping[str, PathResult], path: str
) -> str:
    where = "measured" if away == 0 else f"measured {away:.1f} doublings away"
    chosen = measured[path]
    rivals = {name: result for name, result in measured.items() if name != path}
    rival = min(rivals, key=lambda name: rivals[name].seconds)
    times = f"{format_seconds(chosen.seconds)} against {format_seconds(rivals[rival].seconds)} of {rival}"
    if not chosen.overlaps(rivals[rival]):
        return f"{where}: {path} is fastest, {times}"
    if chosen.bytes != rivals[rival].bytes:
        return (
            f"{where}: {path} and {rival} are equal within noise ({times}) and {path} allocates "
            f"{chosen.bytes} bytes against {rivals[rival].bytes}"
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


def _candidate(call: Call, path: str, entry: Entry | None, away: float) -> Candidate:
    if entry is None or path not in entry.paths:
        return Candidate(path)
    result = entry.paths[path]
    scale = 1.0
    if call.op in OPERATIONS:
        flops = OPERATIONS[call.op].flops
        scale = flops(call.shapes) / flops(entry.shapes)
    return Candidate(
        path, result.seconds * scale, result.low * scale, result.high * scale, entry.shapes, away
    )
