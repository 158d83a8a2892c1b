from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.backends import Call
from tensorops.dispatch import policy
from tensorops.dispatch.cost_model import distance
from tensorops.dispatch.policy import choose, nearest
from tensorops.dispatch.records import Entry, PathResult, Profile
from tests.dispatch import strategies

PATHS = ("blocked/small", "blocked/packed", "naive", "numpy", "python")


def call(m: int, k: int, n: int, **fields: Any) -> Call:
    return Call("matmul", fields.pop("dtype", "float32"), ((m, k), (k, n)), **fields)


def around(seconds: float, **fields: Any) -> PathResult:
    return PathResult(seconds, seconds * 0.98, seconds * 1.02, **fields)


def entry(m: int, k: int, n: int, paths: dict[str, PathResult], **fields: Any) -> Entry:
    return Entry("matmul", fields.pop("dtype", "float32"), ((m, k), (k, n)), paths=paths, **fields)


def profile(*entries: Entry) -> Profile:
    return Profile({}, entries)


NUMPY_WINS = {"numpy": around(1e-4), "blocked/packed": around(2e-4)}
BLOCKED_WINS = {"numpy": around(2e-4), "blocked/packed": around(1e-4)}


@given(strategies.calls, strategies.profiles, strategies.path_lists)
def test_the_policy_is_total_and_never_takes_an_excluded_path(
    asked: Call, known: Profile | None, paths: list[str]
) -> None:
    excluded = {path: "not here" for path in strategies.PATHS if path not in paths}
    choice = choose(asked, known, paths, excluded)
    assert choice.path in paths
    assert choice.reason
    by_path = {item.path: item for item in choice.candidates}
    assert set(by_path) == set(strategies.PATHS)
    assert len(by_path) == len(choice.candidates)
    assert choice.candidates[0].path == choice.path
    assert {path for path, item in by_path.items() if item.excluded_reason} == set(excluded)
    if choice.entry is not None:
        assert len(set(choice.entry.paths) & set(paths)) > 1
        assert distance(asked, choice.entry) <= policy.MAX_DISTANCE


@given(strategies.calls, strategies.profiles, strategies.path_lists)
def test_the_policy_is_pure(asked: Call, known: Profile | None, paths: list[str]) -> None:
    before = copy.deepcopy((asked, known, paths))
    first = choose(asked, known, paths)
    assert (asked, known, paths) == before
    assert choose(*before) == first


@given(strategies.calls, strategies.profiles, st.permutations(PATHS))
def test_the_loops_are_only_taken_when_they_were_measured_to_win(
    asked: Call, known: Profile | None, paths: list[str]
) -> None:
    choice = choose(asked, known, paths)
    if choice.path in policy.LAST_RESORT:
        assert choice.entry is not None
        chosen = choice.entry.paths[choice.path]
        others = [choice.entry.paths[path] for path in choice.entry.paths if path in PATHS]
        fastest = min(others, key=lambda result: (result.seconds, result.high))
        assert chosen.overlaps(fastest)
        assert any(path.startswith("blocked/") for path in choice.entry.paths)


@given(strategies.calls, strategies.profiles, strategies.path_lists)
def test_predictions_come_with_what_they_rest_on(
    asked: Call, known: Profile | None, paths: list[str]
) -> None:
    for item in choose(asked, known, paths).candidates:
        fields = (
            *(item.predicted_seconds, item.low, item.high, item.threads, item.measured_shape, item.distance),
            *(item.measured_seconds, item.measured_low, item.measured_high, item.allocations, item.bytes),
        )
        if item.predicted_seconds is None:
            assert fields == (None,) * 11
        else:
            assert None not in fields
            assert item.low <= item.predicted_seconds <= item.high < math.inf


def test_no_path_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no path can compute Call\(op='matmul'.*'torch': 'absent'"):
        choose(call(2, 2, 2), None, [], {"torch": "absent"})


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ((2, 2, 2), "blocked/small"),
        ((40, 40, 40), "blocked/small"),
        ((40, 40, 41), "blocked/packed"),
        ((1, 250, 250), "blocked/small"),
        ((1, 4096, 4096), "blocked/packed"),
        ((64, 784, 128), "blocked/packed"),
        ((0, 5, 5), "blocked/small"),
        ((2048, 2048, 2048), "blocked/packed"),
    ],
)
def test_shipped_thresholds(shape: tuple[int, int, int], path: str) -> None:
    choice = choose(call(*shape), None, PATHS)
    assert choice.path == path
    assert choice.entry is None
    assert choice.reason.startswith("no profile; by the shipped thresholds")


@pytest.mark.parametrize("shape", [(2, 4096, 4), (8192, 3, 455), (300, 8, 300)])
def test_thin_products_have_kernels_of_their_own(shape: tuple[int, int, int]) -> None:
    assert choose(call(*shape), None, PATHS).path.startswith("blocked/")


def test_a_batch_counts_whole() -> None:
    few, many = (Call("matmul", "float32", ((count, 8, 8), (count, 8, 8))) for count in (100, 1000))
    assert choose(few, None, PATHS).path == "blocked/small"
    assert choose(many, None, PATHS).path == "blocked/packed"


def test_without_our_kernels_the_first_path_that_works_is_taken_and_the_loops_last() -> None:
    assert choose(call(9, 9, 9), None, ["python", "naive", "numpy"]).path == "numpy"
    assert choose(call(9, 9, 9), None, ["python", "naive", "mine"]).path == "mine"
    assert choose(call(9, 9, 9), None, ["python", "naive"]).path == "naive"
    alone = choose(call(9, 9, 9), None, ["python"])
    assert alone.path == "python"
    assert "only path" in alone.reason


def test_a_measurement_of_this_very_call_decides() -> None:
    choice = choose(call(64, 784, 128), profile(entry(64, 784, 128, NUMPY_WINS)), PATHS)
    assert choice.path == "numpy"
    assert choice.reason == "measured: numpy is fastest, 100 us against 200 us of blocked/packed"
    assert choice.candidates[0].predicted_seconds == pytest.approx(1e-4)
    assert choice.candidates[0].distance == 0


def test_the_nearest_measurement_decides() -> None:
    known = profile(entry(64, 64, 64, NUMPY_WINS), entry(512, 512, 512, BLOCKED_WINS))
    near_small, near_large = choose(call(80, 64, 64), known, PATHS), choose(call(512, 512, 256), known, PATHS)
    assert near_small.path == "numpy"
    assert near_large.path == "blocked/packed"
    assert near_large.candidates[0].measured_shape == ((512, 512), (512, 512))
    assert near_large.candidates[0].measured_seconds == pytest.approx(1e-4)
    assert near_large.candidates[0].distance == 1.0
    assert "1.0 doublings away" in near_large.reason


def test_a_measurement_too_far_away_does_not_decide() -> None:
    known = profile(entry(64, 64, 64, NUMPY_WINS))
    assert choose(call(256, 64, 64), known, PATHS).path == "numpy"
    far = choose(call(257, 64, 64), known, PATHS)
    assert far.path == "blocked/packed"
    assert far.reason.startswith("the nearest measured call is 2.0 doublings away")


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": "float64"},
        {"layout": "CF"},
        {"threads": 2},
    ],
    ids=str,
)
def test_the_same_dtype_layout_and_threads_are_preferred(other: dict[str, Any]) -> None:
    known = profile(
        entry(64, 64, 64, BLOCKED_WINS, **other),
        entry(64, 64, 72, NUMPY_WINS),
        entry(64, 64, 64, BLOCKED_WINS, **other),
    )
    assert choose(call(64, 64, 64), known, PATHS).path == "numpy"
    assert choose(call(64, 64, 64, **other), known, PATHS).path == "blocked/packed"


@pytest.mark.parametrize(
    ("other", "away"),
    [
        ({"in_place": True}, 3.0),
        ({"params": (("causal", True),)}, 3.0),
        ({"shapes": ((0, 5), (5, 5))}, math.inf),
    ],
    ids=str,
)
def test_another_kind_of_call_says_little_and_an_empty_one_nothing(
    other: dict[str, Any], away: float
) -> None:
    measured = Entry(**{"op": "matmul", "dtype": "float32", "shapes": ((5, 5), (5, 5)), **other})
    assert distance(call(5, 5, 5), measured) == away


def test_batches_are_told_apart() -> None:
    one = Call("matmul", "float32", ((64, 32), (32, 64)))
    many = Entry("matmul", "float32", ((96, 64, 32), (96, 32, 64)))
    assert distance(one, many) == pytest.approx(math.log2(96))
    assert distance(Call("matmul", "float32", many.shapes), many) == 0
    shared = Call("matmul", "float32", ((96, 64, 32), (32, 64)))
    assert distance(shared, many) == 0


def test_a_measurement_of_one_path_alone_does_not_decide() -> None:
    for alone in ("python", "numpy", "blocked/packed"):
        known = profile(entry(64, 64, 64, {alone: around(1e-6)}))
        assert choose(call(64, 64, 64), known, PATHS).path == "blocked/packed"


def test_loops_that_beat_each_other_have_not_beaten_the_kernels() -> None:
    known = profile(entry(64, 64, 64, {"python": around(1.0), "naive": around(0.1), "numpy": around(0.2)}))
    assert choose(call(64, 64, 64), known, PATHS).path == "blocked/packed"


def test_loops_that_were_measured_to_win_are_taken() -> None:
    known = profile(entry(2, 2, 2, {"naive": around(1e-7), "blocked/small": around(2e-7)}))
    assert choose(call(2, 2, 2), known, PATHS).path == "naive"


def test_a_measured_winner_that_cannot_compute_here_is_passed_over() -> None:
    measured = {**BLOCKED_WINS, "torch": around(1e-6)}
    known = profile(entry(64, 64, 64, measured))
    choice = choose(call(64, 64, 64), known, PATHS, {"torch": "torch is not installed"})
    assert choice.path == "blocked/packed"
    assert choice.candidates[-1].path == "torch"
    assert choice.candidates[-1].excluded_reason == "torch is not installed"


def test_within_noise_fewer_bytes_win_and_the_reason_says_so() -> None:
    close = {"numpy": around(1.00e-4, bytes=4096), "blocked/packed": around(1.01e-4)}
    choice = choose(call(64, 64, 64), profile(entry(64, 64, 64, close)), PATHS)
    assert choice.path == "blocked/packed"
    assert "within noise" in choice.reason
    assert "allocates 0 bytes against 4096" in choice.reason


def test_within_noise_and_with_equal_bytes_the_faster_wins() -> None:
    close = {"numpy": around(1.00e-4), "blocked/packed": around(1.01e-4)}
    choice = choose(call(64, 64, 64), profile(entry(64, 64, 64, close)), PATHS)
    assert choice.path == "numpy"
    assert choice.reason == (
        "measured: numpy is fastest, but within noise (100 us against 101 us of blocked/packed)"
    )


def test_of_two_equally_near_measurements_the_later_counts() -> None:
    known = profile(entry(64, 64, 32, NUMPY_WINS), entry(64, 64, 128, BLOCKED_WINS))
    found = nearest(call(64, 64, 64), known, PATHS)
    assert found is not None
    assert found[0].shapes == ((64, 64), (64, 128))


def test_the_measured_order_does_not_hide_what_was_not_measured() -> None:
    choice = choose(call(64, 64, 64), profile(entry(64, 64, 64, NUMPY_WINS)), PATHS)
    assert [item.path for item in choice.candidates] == [
        "numpy",
        "blocked/packed",
        "blocked/small",
        "naive",
        "python",
    ]
    assert choice.candidates[2].predicted_seconds is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (0.125, "125 ms"), (7.94e-5, "79.4 us"), (3e-8, "30 ns"), (1e-10, "0.1 ns")],
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert policy.format_seconds(seconds) == text


def test_fewer_threads_are_taken_where_they_were_faster() -> None:
    slow_team = {"blocked/packed": around(3e-6), "numpy": around(4e-6)}
    alone = {"blocked/packed": around(1e-6), "numpy": around(1.5e-6)}
    known = profile(entry(40, 40, 40, slow_team, threads=2), entry(40, 40, 40, alone))
    choice = choose(call(40, 40, 40, threads=2), known, PATHS)
    assert (choice.path, choice.threads) == ("blocked/packed", 1)
    assert choose(call(40, 40, 40), known, PATHS).threads == 1


def test_another_backend_takes_all_threads() -> None:
    slow_team = {"blocked/packed": around(3e-6), "numpy": around(2e-6)}
    alone = {"blocked/packed": around(2.5e-6), "numpy": around(1e-6)}
    known = profile(entry(40, 40, 40, slow_team, threads=2), entry(40, 40, 40, alone))
    choice = choose(call(40, 40, 40, threads=2), known, PATHS)
    assert (choice.path, choice.threads) == ("numpy", 2)


def test_threads_that_were_not_measured_are_taken_as_asked_for() -> None:
    known = profile(entry(40, 40, 40, BLOCKED_WINS))
    near = choose(call(40, 40, 40, threads=4), known, PATHS)
    assert (near.threads, near.entry) == (4, known.entries[0])
    assert choose(call(40, 40, 40, threads=8), known, PATHS).threads == 8
    assert choose(call(40, 40, 40, threads=8), None, PATHS).threads == 8


def test_many_samples_carry_further_than_few() -> None:
    many = [entry(2**i, 2**j, 64, NUMPY_WINS) for i in range(4, 8) for j in range(4, 8)]
    far = call(2048, 64, 64)
    assert choose(far, profile(*many), PATHS).path == "numpy"
    assert choose(far, profile(*many[:4]), PATHS).path == "blocked/packed"


def test_a_measurement_on_fewer_threads_does_not_speak_for_large_calls() -> None:
    alone = {"blocked/small": around(1e-3), "blocked/packed": around(2e-3), "numpy": around(3e-3)}
    known = profile(entry(512, 512, 512, alone))
    assert choose(call(512, 512, 512), known, PATHS).path == "blocked/small"
    more = choose(call(512, 512, 512, threads=2), known, PATHS)
    assert (more.path, more.threads, more.entry) == ("blocked/packed", 2, None)


def test_equal_variants_are_told_apart_by_the_shipped_order() -> None:
    equal = {"blocked/small": around(1.00e-3), "blocked/packed": around(1.01e-3), "numpy": around(3e-3)}
    assert choose(call(512, 512, 512), profile(entry(512, 512, 512, equal)), PATHS).path == "blocked/packed"
