"""Which path computed: the one that ``explain`` names, the profile prefers or the caller asks for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.backends import ComputeBackend, get_backend, unregister_backend
from tensorops.dispatch import schema, selection, table
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.runtime import workspace
from tests.boundary.contract import Array, value_difference
from tests.kernels.operands import small_blocks

NAMES = [name for name, reason in tensorops.backends().items() if reason is None]
AUTOMATIC = [name for name in NAMES if get_backend(name).automatic() is None]
BY_OBJECT = [name for name in AUTOMATIC if name not in ("blocked", "numpy")]
SHAPES = ((64, 96), (96, 128))


class Broken(ComputeBackend):
    """A backend that fails before it writes."""

    name = "broken"

    def supports(self, call: object) -> str | None:
        return None

    def run(self, op: str, arrays: Sequence[Array], out: Array, **params: Any) -> Array:
        raise ArithmeticError("broken on purpose")


# What these compute never passes through their Python object.
COMPILED = ("blocked", "numpy")


def by_object(name: str, count: int) -> dict[str, int]:
    """Return what `ran` counts after so many products of one backend."""
    return {} if name in COMPILED else {name: count}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the products that each backend's object computes."""
    counts: Counter[str] = Counter()
    for name in NAMES:
        kind = type(get_backend(name))

        def run(self: ComputeBackend, *arguments: Any, original: Any = kind.run, **params: Any) -> Any:
            counts[self.name] += 1
            return original(self, *arguments, **params)

        monkeypatch.setattr(kind, "run", run)
    return counts


@pytest.fixture
def broken() -> Iterator[None]:
    tensorops.register_backend(Broken())
    yield
    unregister_backend("broken")


def prefer(path: str, shapes: Sequence[tuple[int, ...]], dtype: str = "float32") -> None:
    """Store a profile in which one path is the fastest for a size class, and use it."""
    others = [name for backend in AUTOMATIC for name in get_backend(backend).paths() if name != path]
    results = {name: PathResult(1.0, 0.9, 1.1, n=12) for name in others}
    results[path] = PathResult(1e-6, 0.9e-6, 1.1e-6, n=12)
    entry = Entry(
        "matmul", dtype, table.representative(shapes), paths=results, threads=tensorops.get_num_threads()
    )
    schema.save(Profile(schema.fingerprint(), (entry,)))
    selection.reload_profile()


def operands(shapes: Sequence[tuple[int, ...]] = SHAPES, dtype: str = "float32") -> list[Array]:
    rng = np.random.default_rng(1)
    return [rng.integers(-4, 5, size=shape).astype(dtype) for shape in shapes]


def work_memory_taken(call: Callable[[], object]) -> int:
    """Return how many buffers a call takes on a thread that has none."""
    counts: list[int] = []

    def body() -> None:
        before = workspace.statistics()["count"]
        call()
        counts.append(workspace.statistics()["count"] - before)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return counts[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BY_OBJECT)
def test_the_path_that_was_measured_to_be_fastest_computes(name: str, dtype: str, ran: Counter[str]) -> None:
    a, b = operands(dtype=dtype)
    prefer(name, SHAPES, dtype)
    assert tensorops.explain("matmul", a, b).choice.path == name
    out = np.full((64, 128), np.nan, dtype)
    assert np.array_equal(tensorops.matmul(a, b, out=out), np.matmul(a, b))
    assert np.array_equal(tensorops.matmul(a, b), np.matmul(a, b))
    assert ran == {name: 2}


@pytest.mark.parametrize(("path", "buffers"), [("blocked/small", 0), ("blocked/packed", 1)])
def test_our_kernels_are_called_without_an_object(path: str, buffers: int, ran: Counter[str]) -> None:
    a, b = operands()
    prefer(path, SHAPES)
    assert tensorops.explain("matmul", a, b).choice.path == path
    # Work memory tells the two apart: "small" reads the operands where they are.
    assert work_memory_taken(lambda: tensorops.matmul(a, b)) == buffers
    assert ran == {}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [(), (3,)], ids=["matrix", "stack"])
def test_numpy_is_called_without_an_object(batch: tuple[int, ...], dtype: str, ran: Counter[str]) -> None:
    shapes = ((*batch, 64, 96), (*batch, 96, 128))
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    expected = np.matmul(a, b)
    with small_blocks(dtype, kc=5):
        # Short blocks add up in another order: the last bits tell who computed.
        ours = tensorops.matmul(a, b)
        prefer("numpy", shapes, dtype)
        assert tensorops.explain("matmul", a, b).choice.path == "numpy"
        result, out = tensorops.matmul(a, b), np.empty_like(expected)
        tensorops.matmul(a, b, out=out)
    assert ours.tobytes() != expected.tobytes()
    assert result.tobytes() == expected.tobytes()
    assert out.tobytes() == expected.tobytes()
    assert ran == {}


def test_without_a_profile_our_kernels_compute_every_size(ran: Counter[str]) -> None:
    for shapes in [
        ((2, 2), (2, 2)),
        SHAPES,
        ((300, 300), (300, 300)),
        ((9, 8, 8), (9, 8, 8)),
        ((70,), (70, 5)),
    ]:
        a, b = operands(shapes)
        assert tensorops.explain("matmul", a, b).choice.path.startswith("blocked/")
        assert np.array_equal(tensorops.matmul(a, b), np.matmul(a, b))
    assert ran == {}


def test_another_size_class_takes_its_own_path(ran: Counter[str]) -> None:
    prefer("naive", SHAPES)
    for shapes in [SHAPES, ((900, 900), (900, 4)), ((4, 96), (96, 4))]:
        tensorops.matmul(*operands(shapes))
        assert ran == {"naive": 1}


def test_a_new_profile_is_heeded_at_once(ran: Counter[str]) -> None:
    a, b = operands()
    tensorops.matmul(a, b)
    assert ran == {}
    prefer("naive", SHAPES)
    tensorops.matmul(a, b)
    assert ran == {"naive": 1}


PRODUCTS = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((2, 3, 4), (4,)),
    ((3,), (5, 3, 2)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 4)),
    ((3, 0), (0,)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_every_backend_by_its_name(
    name: str, dtype: str, shapes: Sequence[tuple[int, ...]], ran: Counter[str]
) -> None:
    a, b = operands(shapes, dtype)
    expected = np.matmul(a, b)
    assert value_difference(tensorops.matmul(a, b, backend=name), expected) is None
    assert (
        value_difference(
            tensorops.matmul(a, b[::1].astype(float), backend=name), np.matmul(a, b.astype(float))
        )
        is None
    )
    out = np.full(np.shape(expected), np.nan, dtype)
    assert tensorops.matmul(a, b, out=out, backend=name) is out
    assert np.array_equal(out, expected)
    assert ran == by_object(name, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("in_block", [False, True], ids=["argument", "use_backend"])
def test_compiled_backends_asked_for_by_name_really_compute(in_block: bool, dtype: str) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((64, 64)).astype(dtype) for _ in range(2))
    results = {}
    # Short blocks add up in another order: the last bits tell who computed.
    with small_blocks(dtype, kc=5):
        for name in COMPILED:
            with tensorops.use_backend(name if in_block else None):
                results[name] = tensorops.matmul(a, b, backend=None if in_block else name)
    assert results["numpy"].tobytes() == np.matmul(a, b).tobytes()
    assert results["blocked"].tobytes() != np.matmul(a, b).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_overlap_with_every_backend(name: str) -> None:
    for turned in (False, True):
        a = np.arange(36, dtype=np.float32).reshape(6, 6)
        expected = a @ a
        out = a.T if turned else a
        tensorops.matmul(a, a, out=out, backend=name)
        assert np.array_equal(out, expected)


@pytest.mark.parametrize("name", NAMES)
def test_use_backend_holds_for_its_block(name: str, ran: Counter[str]) -> None:
    a, b = operands()
    with tensorops.use_backend(name):
        assert np.array_equal(tensorops.matmul(a, b), a @ b)
        assert np.array_equal(tensorops.matmul(a, b[:, 0]), a @ b[:, 0])
        assert ran == by_object(name, 2)
    tensorops.matmul(a, b)
    assert ran == by_object(name, 2)


UNKNOWN = r"unknown backend 'nowhere'; known: .*blocked.*numpy"


@pytest.mark.parametrize(
    "array",
    [
        np.eye(2, dtype=np.float32),
        np.eye(2),
        np.eye(2, dtype=int),
        np.eye(2).view(np.matrix),
        np.ma.masked_array(np.eye(2)),
        [[1.0, 0.0], [0.0, 1.0]],
    ],
    ids=["float32", "float64", "int", "matrix", "masked", "list"],
)
def test_an_unknown_backend_is_an_error_for_any_operand(array: Any) -> None:
    out = np.full((2, 2), np.nan)
    for call in (
        lambda: tensorops.matmul(array, array, backend="nowhere"),
        lambda: tensorops.matmul(array, array, out=out, backend="nowhere"),
        lambda: tensorops.matmul(array, array, out=out.view(np.matrix), backend="nowhere"),
    ):
        with pytest.raises(ValueError, match=UNKNOWN):
            call()
    assert np.isnan(out).all()


@pytest.mark.parametrize("backend", ["", "NUMPY", "numpy/", "blocked/small", 3, ("numpy",)])
def test_what_is_no_backend_s_name(backend: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="backend"):
        tensorops.matmul(np.eye(2), np.eye(2), backend=backend)


@pytest.mark.usefixtures("broken")
def test_the_error_of_a_backend_is_raised_and_out_is_as_before() -> None:
    a, b = operands()
    out = np.full((64, 128), 7, np.float32)
    with pytest.raises(ArithmeticError, match="on purpose"):
        tensorops.matmul(a, b, out=out, backend="broken")
    with tensorops.use_backend("broken"), pytest.raises(ArithmeticError, match="on purpose"):
        tensorops.matmul(a, b, out=out)
    assert (out == 7).all()
    assert np.array_equal(tensorops.matmul(a, b, out=out), a @ b)


@pytest.mark.usefixtures("broken")
def test_errors_in_the_operands_come_before_the_backend() -> None:
    for a, b in [
        (np.eye(2), np.eye(3)),
        (np.zeros((2, 2, 2)), np.zeros((3, 2, 2))),
        (np.array(1.0), np.eye(2)),
    ]:
        with pytest.raises(ValueError):
            tensorops.matmul(a, b, backend="broken")
    with pytest.raises(ValueError, match="out has shape"):
        tensorops.matmul(np.eye(2), np.eye(2), out=np.empty((2, 3)), backend="broken")
