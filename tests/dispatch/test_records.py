from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.dispatch.records import Entry, PathResult, Profile, decode_entry, encode_entry, preferred
from tests.dispatch import strategies

SHAPES = ((64, 784), (784, 128))
# The example of the design, word for word but for its ellipses.
DOCUMENT: dict[str, Any] = {
    "op": "matmul",
    "dtype": "float32",
    "shapes": [[64, 784], [784, 128]],
    "layout": "CC",
    "params": {},
    "in_place": False,
    "threads": 1,
    "paths": {
        "blocked/packed": {
            "seconds": 7.9e-5,
            "low": 7.7e-5,
            "high": 8.2e-5,
            "n": 12,
            "allocations": 0,
            "bytes": 0,
            "hotspot": "loops.pyx:118",
        },
        "numpy": {
            "seconds": 1.0e-4,
            "low": 9e-5,
            "high": 1.1e-4,
            "n": 12,
            "allocations": 1,
            "bytes": 32768,
            "hotspot": None,
        },
    },
}


def entry(**paths: PathResult) -> Entry:
    return Entry("matmul", "float32", SHAPES, paths=paths)


def around(seconds: float, *, noise: float = 0.02, **fields: Any) -> PathResult:
    return PathResult(seconds, seconds * (1 - noise), seconds * (1 + noise), **fields)


def kept(document: Any, written: Any) -> bool:
    """Tell whether what was written is the document, but for members that have their defaults."""
    if not isinstance(document, dict):
        return bool(document == written)
    left_out = {name for name in document if name not in written}
    return all(document[name] in ({}, False, 0, None) for name in left_out) and all(
        kept(document[name], value) for name, value in written.items()
    )


def test_the_design_s_example_is_read_and_written_as_it_stands() -> None:
    decoded = decode_entry(DOCUMENT)
    assert decoded.shapes == SHAPES
    assert decoded.paths["blocked/packed"] == PathResult(
        7.9e-5, 7.7e-5, 8.2e-5, n=12, hotspot="loops.pyx:118"
    )
    written = json.loads(encode_entry(decoded))
    assert kept(DOCUMENT, written)
    assert decode_entry(written) == decoded


def test_the_example_in_the_design_s_text_is_read_with_its_ellipses() -> None:
    text = """{"op": "matmul", "dtype": "float32", "shapes": [[64, 784], [784, 128]], "layout": "CC",
      "params": {}, "in_place": false, "threads": 1, "paths": {"numpy": {"seconds": 1.0e-4, "\u2026": 0}}}"""
    decoded = decode_entry(json.loads(text))
    assert decoded.paths["numpy"] == PathResult(1e-4, 1e-4, 1e-4)
    assert decode_entry(json.loads(encode_entry(decoded))) == decoded


def test_an_entry_takes_little_room() -> None:
    times = PathResult(7.912e-5, 7.712e-5, 8.212e-5, n=12)
    paths = dict.fromkeys(("blocked/small", "blocked/packed", "numpy"), times)
    assert len(encode_entry(Entry("matmul", "float32", SHAPES, paths=paths))) < 330


@given(strategies.entries())
def test_writing_and_reading_changes_nothing(written: Entry) -> None:
    read = decode_entry(json.loads(encode_entry(written)))
    assert read == written
    assert read.key == written.key


def test_unknown_members_are_ignored() -> None:
    assert decode_entry({**DOCUMENT, "comment": "x"}) == decode_entry(DOCUMENT)


@pytest.mark.parametrize("member", sorted(DOCUMENT.keys() - {"params", "in_place"}))
def test_every_member_of_an_entry_is_needed(member: str) -> None:
    with pytest.raises(ValueError, match=f"'{member}' is missing"):
        decode_entry({name: value for name, value in DOCUMENT.items() if name != member})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("op", 3),
        ("dtype", None),
        ("shapes", "64x784"),
        ("shapes", [64, 784]),
        ("shapes", [[64, -1]]),
        ("shapes", [[64.0]]),
        ("shapes", [[True]]),
        ("shapes", [[2**63]]),
        ("layout", ["C"]),
        ("params", []),
        ("params", {"x": [1.5]}),
        ("in_place", 0),
        ("threads", 0),
        ("threads", True),
        ("threads", "2"),
        ("paths", []),
        ("paths", {"numpy": 1e-4}),
    ],
)
def test_a_member_of_another_type_or_range_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        decode_entry({**DOCUMENT, member: value})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("seconds", "fast"),
        ("seconds", True),
        ("seconds", None),
        ("seconds", 0),
        ("seconds", -1e-5),
        ("seconds", float("nan")),
        ("seconds", 1.0),
        ("high", float("inf")),
        ("high", 1e-9),
        ("low", 8e-5),
        ("n", 0),
        ("n", 1.5),
        ("bytes", -1),
        ("allocations", "none"),
        ("hotspot", 118),
    ],
)
def test_a_result_that_cannot_be_is_refused(member: str, value: object) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["paths"]["blocked/packed"][member] = value
    with pytest.raises(ValueError, match=r"expected|must be|positive"):
        decode_entry(document)


def test_a_result_that_cannot_be_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="ordered, got low=2"):
        PathResult(1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="bytes=-1 is negative"):
        PathResult(1.0, 1.0, 1.0, bytes=-1)


def test_what_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(ValueError, match="'scale'"):
        encode_entry(Entry("matmul", "float32", SHAPES, params=(("scale", (1, 2.5)),)))
    with pytest.raises(ValueError, match="expected at least 1"):
        encode_entry(Entry("matmul", "float32", SHAPES, threads=0))


def test_the_fastest_is_preferred() -> None:
    assert preferred({"a": around(2.0), "b": around(1.0, bytes=999)}) == "b"


def test_within_noise_fewer_bytes_are_preferred() -> None:
    close = {"a": around(1.01), "b": around(1.0, bytes=64), "c": around(1.2)}
    assert preferred(close) == "a"
    assert preferred({**close, "a": around(1.01, bytes=64)}) == "b"


def test_a_noisy_slow_path_is_not_preferred_over_another_s_noise() -> None:
    # "wide" reaches down to "b" but not to the fastest.
    assert preferred({"a": around(1.0, bytes=8), "b": around(1.3, bytes=8), "wide": around(1.4)}) == "a"


def test_preferred_needs_a_result() -> None:
    with pytest.raises(ValueError):
        preferred({})


@given(strategies.measured)
def test_the_preferred_path_is_within_the_noise_of_the_fastest(results: dict[str, PathResult]) -> None:
    if results:
        chosen = results[preferred(results)]
        fastest = min(results.values(), key=lambda result: (result.seconds, result.high))
        assert chosen.overlaps(fastest)
        assert chosen.bytes <= fastest.bytes


def test_noise_does_not_change_a_choice() -> None:
    old = entry(a=around(1.00, noise=0.05), b=around(1.11, noise=0.05))
    new = entry(a=around(1.06, noise=0.05), b=around(1.04, noise=0.05))
    assert preferred(old.paths) == "a"
    assert preferred(new.paths) == "b"
    assert old.merged(new) == old


def test_a_new_interval_that_excludes_the_old_changes_the_choice() -> None:
    old = entry(a=around(1.00), b=around(1.20))
    new = entry(a=around(1.01), b=around(0.80))
    merged = old.merged(new)
    assert preferred(merged.paths) == "b"
    assert merged.paths["b"] == new.paths["b"]
    assert merged.paths["a"] == old.paths["a"]


def test_fresh_results_that_agree_replace_the_stored_ones() -> None:
    old = entry(a=around(1.00), b=around(1.20))
    new = entry(a=around(1.01), b=around(1.19))
    assert old.merged(new) == new


def test_a_path_measured_later_joins_the_others() -> None:
    merged = entry(a=around(1.0)).merged(entry(b=around(0.5)))
    assert set(merged.paths) == {"a", "b"}
    assert preferred(merged.paths) == "b"


@given(strategies.measured, strategies.measured)
def test_merging_loses_no_path_and_turns_only_on_evidence(
    stored: dict[str, PathResult], later: dict[str, PathResult]
) -> None:
    old, new = entry(**stored), entry(**later)
    merged = old.merged(new)
    assert set(merged.paths) == set(stored) | set(later)
    assert all(result in (stored.get(path), later.get(path)) for path, result in merged.paths.items())
    evidence = [path for path in later if path not in stored or not later[path].overlaps(stored[path])]
    if stored and not evidence:
        assert preferred(merged.paths) == preferred(stored)


def test_results_of_two_calls_are_not_merged() -> None:
    with pytest.raises(ValueError, match="two calls"):
        entry().merged(Entry("matmul", "float64", SHAPES))


def test_a_profile_keeps_one_entry_for_each_call_and_the_newest_last() -> None:
    first, second = entry(a=around(1.0)), Entry("matmul", "float64", SHAPES)
    profile = Profile({}).merged([first, second]).merged([entry(b=around(2.0))])
    assert [item.dtype for item in profile.entries] == ["float64", "float32"]
    assert set(profile.entries[1].paths) == {"a", "b"}


@given(st.lists(st.floats(1e-9, 1e3), min_size=3, max_size=3).map(sorted))
def test_times_are_rounded_in_order(times: list[float]) -> None:
    low, seconds, high = times
    written = Entry("matmul", "float32", ((2, 2), (2, 2)), paths={"numpy": PathResult(seconds, low, high)})
    read = decode_entry(json.loads(encode_entry(written))).paths["numpy"]
    assert (read.low, read.seconds, read.high) == pytest.approx((low, seconds, high), rel=1e-3)
