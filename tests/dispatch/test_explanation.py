from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorops.backends import register_backend, unregister_backend
from tensorops.backends.base import Call, ComputeBackend
from tensorops.dispatch import schema, selection, table
from tensorops.dispatch.explanation import explain
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.runtime import openmp

SHAPES = ((64, 784), (784, 128))


@pytest.fixture
def numpy_wins() -> Path:
    """Store a profile in which NumPy beats both variants, and use it."""
    paths = {
        "numpy": PathResult(1e-4, 0.9e-4, 1.1e-4, n=12),
        "blocked/packed": PathResult(2e-4, 1.9e-4, 2.1e-4, n=12),
        "blocked/small": PathResult(3e-4, 2.9e-4, 3.1e-4, n=12),
    }
    written = schema.save(
        Profile(
            schema.fingerprint(),
            (Entry("matmul", "float32", table.representative(SHAPES), paths=paths, threads=1),),
        )
    )
    selection.reload_profile()
    return written


def test_without_a_profile_the_thresholds_are_named() -> None:
    found = explain("matmul", *SHAPES)
    assert found.choice.path == "blocked/packed"
    assert found.profile is None
    assert "shipped thresholds" in str(found)
    assert "profile: none in use" in str(found)
    assert found.call.threads == openmp.get_num_threads()


def test_with_a_profile_file_entry_and_times_are_named(numpy_wins: Path) -> None:
    found = explain("matmul", *SHAPES, threads=1)
    text = str(found)
    assert found.choice.path == "numpy"
    assert f"profile: {numpy_wins}" in text
    assert "numpy is fastest, 100 us against 200 us of blocked/packed" in text
    rows = {line.split()[1]: line for line in text.splitlines() if line[2:4] in ("> ", "- ")}
    assert rows["numpy"].split(None, 2)[2].startswith("100 us   90 us to 110 us")
    assert rows["naive"].endswith("not measured")
    assert max(len(row) for row in rows.values() if "excluded" not in row) <= 100
    left, right = ("x".join(map(str, shape)) for shape in found.representative)
    assert f"nearest measured call: {left} @ {right} float32, layout CC, 1 thread; 0.0 doublings away" in text


def test_what_was_measured_of_each_path_is_told() -> None:
    paths = {
        "numpy": PathResult(1e-4, 0.9e-4, 1.1e-4, n=12, allocations=2, bytes=8192),
        "blocked/packed": PathResult(2e-5, 1.9e-5, 2.1e-5, n=12, hotspot="microkernel.pxi:29"),
    }
    alone = {name: PathResult(1e-5, 0.9e-5, 1.1e-5) for name in paths}
    shapes = table.representative(SHAPES)
    entries = (
        Entry("matmul", "float32", shapes, paths=paths, threads=2),
        Entry("matmul", "float32", shapes, paths=alone, threads=1),
    )
    schema.save(Profile(schema.fingerprint(), entries))
    selection.reload_profile()
    found = explain("matmul", *SHAPES, threads=2)
    text, document = str(found), found.to_dict()
    assert "on 1 thread: expected to be faster than 2" in text
    assert document["chosen_threads"] == 1
    numpy_row = next(item for item in document["candidates"] if item["path"] == "numpy")
    assert (numpy_row["allocations"], numpy_row["bytes"], numpy_row["threads"]) == (2, 8192, 2)
    (line,) = (line for line in text.splitlines() if line.startswith("  - numpy "))
    assert line.split()[-4:] == ["us", "2", "8192", "-"]
    assert json.loads(json.dumps(document)) == document


def test_it_tells_what_really_runs(numpy_wins: Path) -> None:
    found = explain("matmul", *SHAPES, threads=1)
    assert found.representative == table.representative(SHAPES)
    asked = schema.Entry("matmul", "float32", found.representative)
    assert found.choice == selection.choose_path(
        type(found.call)("matmul", "float32", asked.shapes, layout="CC", threads=1)
    )


def test_the_others_are_excluded_with_a_reason() -> None:
    with selection.use_backend("naive"):
        found = explain("matmul", *SHAPES)
    assert found.choice.path == "naive"
    (row,) = (line for line in str(found).splitlines() if line.startswith("  - numpy "))
    assert "excluded: not of backend 'naive'" in row


@pytest.mark.parametrize("numpy_first", [False, True])
def test_it_is_a_document(numpy_first: bool, request: pytest.FixtureRequest) -> None:
    if numpy_first:
        request.getfixturevalue("numpy_wins")
    document = explain("matmul", *SHAPES, threads=1).to_dict()
    assert json.loads(json.dumps(document)) == document
    assert document["op"] == "matmul"
    assert document["shapes"] == [[64, 784], [784, 128]]
    assert document["path"] == document["candidates"][0]["path"]
    assert (document["measured"] is None) is not numpy_first
    assert (document["candidates"][0]["predicted_seconds"] is None) is not numpy_first


def test_arrays_bring_their_dtype_and_layout() -> None:
    a, b = np.zeros((3, 4)), np.zeros((5, 4), dtype=np.float32).T
    call = explain("matmul", a, b).call
    assert (call.dtype, call.layout, call.shapes) == ("float64", "CF", ((3, 4), (4, 5)))
    assert explain("matmul", (3, 4), b).call.dtype == "float32"
    assert explain("matmul", (3, 4), (4, 5), dtype="float64").call.dtype == "float64"
    assert explain("matmul", (np.int64(3), 4), [1.0, 2.0, 3.0, 4.0]).call.shapes == ((3, 4), (4,))


@pytest.mark.parametrize(
    ("operand", "why"),
    [
        (np.zeros((2, 2), dtype=np.int64), "dtype int64 is not float32 or float64"),
        (np.zeros((2, 2), dtype=np.complex64), "dtype complex64 is not float32 or float64"),
        (np.ma.zeros((2, 2)), "MaskedArray is a subclass of ndarray"),
    ],
)
def test_what_numpy_computes_in_any_case_is_said_so(operand: Any, why: str) -> None:
    with selection.use_backend("naive"):
        found = explain("matmul", operand, operand)
    assert found.choice.path == "numpy"
    assert found.choice.reason == f"{why}: NumPy computes it, whatever backend is asked for"


def test_batches_and_vectors_are_explained() -> None:
    assert explain("matmul", (12, 128, 64), (12, 64, 128)).choice.path
    assert explain("matmul", (784,), (784, 128)).choice.path
    assert explain("matmul", (0, 3), (3, 0)).choice.path


def test_wrong_questions_are_errors() -> None:
    with pytest.raises(ValueError, match="unknown operation 'matmull'; known: matmul"):
        explain("matmull", (2, 2), (2, 2))
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(4, 5\) do not fit"):
        explain("matmul", (2, 3), (4, 5))
    with pytest.raises(ValueError, match="takes two operands, got 1"):
        explain("matmul", (2, 3))
    with pytest.raises(ValueError, match="threads=0: expected at least 1"):
        explain("matmul", (2, 2), (2, 2), threads=0)
    with pytest.raises(TypeError, match="expected an array or a shape"):
        explain("matmul", "64x784", (784, 128))
    with pytest.raises(TypeError):
        explain("matmul", (2, 2), (2, 2), dtype="float33")


def test_the_text_is_at_most_100_columns_wide(numpy_wins: Path) -> None:
    class Refuses(ComputeBackend):
        name = "refuses"

        def supports(self, call: Call) -> str | None:
            return "of a long reason that goes on and on, " * 6

        def run(self, *_: Any, **__: Any) -> Any:
            raise AssertionError

    register_backend(Refuses())
    try:
        text = str(explain("matmul", *SHAPES, threads=1))
    finally:
        unregister_backend("refuses")
    assert " ".join(text.split()).count("on and on") == 6
    assert max(len(line) for line in text.splitlines() if str(numpy_wins) not in line) <= 100
