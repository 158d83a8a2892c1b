"""The cost model against times made by a known law."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.backends import Call
from tensorops.dispatch.cost_model import OPERATION_DISTANCE, Models, Prediction, distance, fit, position
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.operations import OPERATIONS
from tests.dispatch import strategies

OVERHEAD, RATE, BANDWIDTH = 3e-7, 2e-11, 5e-11


def law(shapes: tuple[tuple[int, ...], ...]) -> float:
    spec = OPERATIONS["matmul"]
    return OVERHEAD + RATE * spec.flops(shapes) + BANDWIDTH * spec.bytes(shapes, 4)


def shapes_of(m: int, k: int, n: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (m, k), (k, n)


def measured(shapes: tuple[tuple[int, ...], ...], seconds: float, threads: int = 1) -> Entry:
    result = PathResult(seconds, seconds * 0.99, seconds * 1.01)
    return Entry("matmul", "float32", shapes, threads=threads, paths={"numpy": result})


GRID = [
    measured(shapes, law(shapes))
    for shapes in (shapes_of(m, k, n) for m in (4, 64, 1024) for k in (4, 64, 1024) for n in (4, 64, 1024))
]
sizes = st.integers(2, 2000)


def predict(entries: Sequence[Entry], call: Call, threads: int = 1) -> Prediction | None:
    models = Models(Profile({}, tuple(entries)))
    return models.predict(call, "numpy", threads, models.distances(call))


@given(st.tuples(sizes, sizes, sizes))
def test_a_law_of_its_own_form_is_found(dims: tuple[int, int, int]) -> None:
    asked = shapes_of(*dims)
    found = predict(GRID, Call("matmul", "float32", asked))
    assert found is not None
    assert found.seconds == pytest.approx(law(asked), rel=0.02)
    assert found.low < found.seconds < found.high


@given(st.integers(0, len(GRID) - 1), st.floats(0.2, 5.0))
def test_a_measured_call_is_predicted_as_measured(index: int, factor: float) -> None:
    entries = list(GRID)
    entries[index] = measured(GRID[index].shapes, law(GRID[index].shapes) * factor)
    found = predict(entries, Call("matmul", "float32", GRID[index].shapes))
    assert found is not None
    assert found.seconds == pytest.approx(entries[index].paths["numpy"].seconds, rel=1e-6)
    assert found.distance == 0


def test_what_a_region_deviates_is_carried_to_its_neighbours_and_not_further() -> None:
    slow = [
        measured(entry.shapes, law(entry.shapes) * (3 if entry.shapes[0][0] == 4 else 1)) for entry in GRID
    ]
    near = predict(slow, Call("matmul", "float32", shapes_of(5, 64, 64)))
    far = predict(slow, Call("matmul", "float32", shapes_of(900, 64, 64)))
    assert near is not None
    assert far is not None
    assert near.seconds > 2 * law(shapes_of(5, 64, 64))
    assert far.seconds == pytest.approx(law(shapes_of(900, 64, 64)), rel=0.3)


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1e-9, 1e3)), min_size=1, max_size=20)
)
def test_factors_are_never_negative(rows: list[tuple[float, float, float]]) -> None:
    features = np.array([[1.0, work, size] for work, size, _ in rows])
    found = fit(features, np.array([seconds for *_, seconds in rows]))
    assert (found >= 0).all()
    assert np.isfinite(found).all()
    assert (features @ found > 0).all()


def test_another_operation_of_the_class_is_farther_and_of_another_class_infinitely_far() -> None:
    entry = measured(shapes_of(8, 8, 8), 1.0)
    same = distance(Call("matmul", "float32", entry.shapes), entry)
    assert same == 0
    assert distance(Call("unknown", "float32", entry.shapes), entry) == math.inf


def test_samples_are_kept_by_threads() -> None:
    entries = [measured(shapes_of(8, 8, 8), 1.0), measured(shapes_of(8, 8, 8), 2.0, threads=2)]
    call = Call("matmul", "float32", shapes_of(8, 8, 8), threads=2)
    for threads in (1, 2):
        found = predict(entries, call, threads)
        assert found is not None
        assert found.seconds == pytest.approx(threads)
    assert predict(entries, call, 3) is None


def test_the_farther_the_samples_the_wider_the_interval() -> None:
    rough = [
        measured(entry.shapes, law(entry.shapes) * (1 + 2 * (number % 2)))
        for number, entry in enumerate(GRID)
    ]
    widths = []
    for k in (64, 80, 256):
        found = predict(rough, Call("matmul", "float32", shapes_of(64, k, 64)))
        assert found is not None
        widths.append(found.high / found.low)
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_parameters_and_operations_of_a_class_are_some_doublings_away() -> None:
    result = {"numpy": PathResult(1.0, 1.0, 1.0)}
    entry = Entry("gelu", "float32", ((64,),), "C", (("approximate", "none"),), paths=result)
    for call, away in (
        (Call.of("gelu", "float32", ((64,),)), 0.0),
        (Call.of("gelu", "float32", ((64,),), params={"approximate": "tanh"}), OPERATION_DISTANCE),
        (Call.of("exp", "float32", ((64,),)), OPERATION_DISTANCE),
        (Call.of("matmul", "float32", ((8, 8), (8, 8))), math.inf),
    ):
        assert distance(call, entry) == away
        assert Models(Profile({}, (entry,))).distances(call).tolist() == [away]


@given(strategies.calls, strategies.profiles)
def test_all_distances_at_once_are_those_of_each(asked: Call, known: Profile | None) -> None:
    models = Models(known or Profile({}))
    expected = [distance(asked, entry) for entry in models.entries]
    assert models.distances(asked) == pytest.approx(expected)


@pytest.mark.parametrize("seconds", [5e-324, 1e-300, 1e300, 1.7e308])
def test_absurd_times_of_a_file_are_no_error(seconds: float) -> None:
    shapes = [((n, 8), (8, 8)) for n in (4, 8, 2**40)]
    results = [PathResult(value, value, value) for value in (1e-6, seconds, 1e-5)]
    entries = [
        Entry("matmul", "float32", shape, paths={"numpy": result})
        for shape, result in zip(shapes, results, strict=True)
    ]
    with np.errstate(all="raise"):
        predicted = predict(entries, Call("matmul", "float32", ((16, 8), (8, 8))))
    assert predicted is not None
    assert np.isfinite(predicted.seconds)


def test_sizes_that_no_array_has_are_not_comparable() -> None:
    entry = Entry("matmul", "float32", ((2**62, 2**62, 8, 8), (2**62, 2**62, 8, 8)))
    assert position(entry) is None
