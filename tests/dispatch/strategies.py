"""Profiles, calls and paths for the property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from tensorops.backends import Call
from tensorops.dispatch.records import DIGITS, Entry, PathResult, Profile

PATHS = ("blocked/small", "blocked/packed", "numpy", "naive", "python", "mine")

sizes = st.integers(0, 70) | st.sampled_from([128, 1000, 4096, 2**40, 2**62])
# With as many digits as a profile keeps.
times = st.floats(1e-9, 1e3).map(lambda seconds: float(f"{seconds:.{DIGITS}g}"))
dtypes = st.sampled_from(["float32", "float64", "int64"])
layouts = st.sampled_from(["CC", "CF", "FC", "SS"])
threads = st.sampled_from([1, 2, 3, 64])


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], ...]:
    """Draw the shapes of a product; now and then ones that do not fit."""
    m, k, n = draw(st.tuples(sizes, sizes, sizes))
    batch = draw(st.sampled_from([(), (3,), (2, 5)]))
    inner = draw(st.sampled_from([k] * 9 + [k + 1]))
    return draw(
        st.sampled_from([((*batch, m, k), (inner, n)), ((*batch, m, k), (*batch, inner, n)), ((k,), (k, n))])
    )


@st.composite
def results(draw: st.DrawFn) -> PathResult:
    """Draw the result of a path, its interval in order."""
    low, seconds, high = sorted(draw(st.tuples(times, times, times)))
    return PathResult(
        seconds,
        low,
        high,
        n=draw(st.integers(1, 99)),
        allocations=draw(st.integers(0, 3)),
        bytes=draw(st.sampled_from([0, 0, 64, 4096])),
        hotspot=draw(st.none() | st.just("loops.pyx:118")),
    )


measured = st.dictionaries(st.sampled_from(PATHS), results())


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Draw the measurement of a product."""
    return Entry(
        op="matmul",
        dtype=draw(dtypes),
        shapes=draw(shapes()),
        layout=draw(layouts),
        params=draw(st.sampled_from([(), (("causal", True), ("scale", 0.5))])),
        in_place=draw(st.booleans()),
        threads=draw(threads),
        paths=draw(measured),
    )


profiles = st.none() | st.lists(entries(), max_size=6).map(lambda found: Profile({"cpu": "x"}, tuple(found)))
calls = st.builds(
    Call,
    op=st.sampled_from(["matmul"] * 5 + ["unknown"]),
    dtype=dtypes,
    shapes=shapes(),
    layout=layouts,
    threads=threads,
)
path_lists = st.lists(st.sampled_from(PATHS), min_size=1, max_size=8)
