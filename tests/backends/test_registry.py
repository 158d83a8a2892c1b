from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.backends import (
    Call,
    ComputeBackend,
    backends,
    get_backend,
    on_change,
    register_backend,
    run_path,
    unregister_backend,
    usable_paths,
)

CALL = Call("matmul", "float32", ((2, 3), (3, 4)))
FLOATS_ONLY = {"blocked/small", "blocked/packed", "naive", "python"}


class Counting(ComputeBackend):
    """A backend that leaves the number of its calls in the result."""

    name = "counting"
    variants = ("up", "down")

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        self.calls: list[tuple[str, str | None, dict[str, Any]]] = []

    def available(self) -> str | None:
        return self.reason

    def supports(self, call: Call) -> str | None:
        return None if call.op == "matmul" else "only matmul"

    def run(
        self,
        op: str,
        arrays: Sequence[np.ndarray[Any, Any]],
        out: np.ndarray[Any, Any],
        *,
        variant: str | None = None,
        **params: Any,
    ) -> np.ndarray[Any, Any]:
        self.calls.append((op, variant, params))
        out[...] = len(self.calls)
        return out


@pytest.fixture
def register() -> Iterator[Any]:
    """Return `register_backend`; what it registers is removed after the test."""
    names: list[str] = []

    def add(backend: ComputeBackend, **options: Any) -> None:
        register_backend(backend, **options)
        names.append(backend.name)

    yield add
    for name in set(names) & set(backends()):
        unregister_backend(name)


def test_the_files_of_the_folder_are_the_backends() -> None:
    found = backends()
    assert {"python", "naive", "blocked", "numpy"} <= set(found)
    assert [name for name in ("python", "naive", "blocked", "numpy") if found[name] is not None] == []


def test_paths_of_a_float_product() -> None:
    usable, excluded = usable_paths(CALL)
    assert FLOATS_ONLY | {"numpy"} <= set(usable)
    assert not set(usable) & set(excluded)
    assert {path for name in backends() for path in get_backend(name).paths()} == {*usable, *excluded}
    for path, reason in excluded.items():
        backend = get_backend(path)
        assert reason == (backend.available() or backend.automatic())


def test_a_backend_outside_the_automatic_choice_counts_when_it_is_asked_for(
    register: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "automatic", lambda self: "it is slow")
    register(Counting())
    own = {"counting/up", "counting/down"}
    usable, excluded = usable_paths(CALL)
    assert not own & set(usable)
    assert {path: excluded[path] for path in own} == dict.fromkeys(own, "it is slow")
    assert usable_paths(CALL, "counting") == (
        (*usable, "counting/up", "counting/down"),
        {path: reason for path, reason in excluded.items() if path not in own},
    )
    assert np.all(tensorops.matmul(np.eye(2), np.eye(2), backend="counting") == 1)
    assert np.array_equal(tensorops.matmul(np.eye(2), np.eye(2)), np.eye(2))


def test_what_a_backend_cannot_compute_is_excluded_with_a_reason() -> None:
    usable, excluded = usable_paths(Call("matmul", "complex64", ((2, 2), (2, 2))))
    assert "numpy" in usable
    assert FLOATS_ONLY <= set(excluded)
    assert {excluded[path] for path in FLOATS_ONLY} == {"dtype complex64 is not float32 or float64"}
    usable, excluded = usable_paths(Call("exq", "float32", ((2,),)))
    assert usable == ()
    assert {excluded[path] for path in FLOATS_ONLY | {"numpy"}} == {"it has no exq"}


def test_a_registered_backend_computes(register: Any) -> None:
    backend = Counting()
    before, _ = usable_paths(CALL)
    register(backend)
    assert backends()["counting"] is None
    assert usable_paths(CALL)[0] == (*before, "counting/up", "counting/down")
    out = np.empty((2, 4), dtype=np.float32)
    operands = [np.ones((2, 3), dtype=np.float32), np.ones((3, 4), dtype=np.float32)]
    assert run_path("counting/down", "matmul", operands, out, threads=2) is out
    assert backend.calls == [("matmul", "down", {"threads": 2})]
    assert np.all(out == 1)


def test_an_unavailable_backend_is_listed_with_its_reason(register: Any) -> None:
    usable, excluded = usable_paths(CALL)
    register(Counting("no such hardware"))
    assert backends()["counting"] == "no such hardware"
    reasons = {"counting/up": "no such hardware", "counting/down": "no such hardware"}
    assert usable_paths(CALL) == (usable, {**excluded, **reasons})


@pytest.mark.parametrize("method", ["available", "supports", "automatic"])
def test_a_backend_that_fails_to_answer_is_excluded(
    method: str, register: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("driver lost")

    before, _ = usable_paths(CALL)
    monkeypatch.setattr(Counting, method, fail)
    register(Counting())
    usable, excluded = usable_paths(CALL)
    assert usable == before
    assert excluded["counting/up"] == f"{method}() failed: RuntimeError: driver lost"


def test_names_are_unique_unless_replaced_on_purpose(register: Any) -> None:
    register(Counting())
    second = Counting()
    with pytest.raises(ValueError, match="'counting' is there already; pass replace=True"):
        register_backend(second)
    assert get_backend("counting") is not second
    out = np.empty(1)
    run_path("counting/up", "matmul", [], out)
    register(second, replace=True)
    run_path("counting/up", "matmul", [], out)
    assert len(second.calls) == 1


def test_the_library_s_own_backends_are_not_replaced() -> None:
    class Fake(Counting):
        name = "numpy"

    with pytest.raises(ValueError, match=r"'numpy' is there already$"):
        register_backend(Fake(), replace=True)


@pytest.mark.parametrize("name", ["", "a/b", "two words", None, 3])
def test_a_name_that_cannot_stand_in_a_path_is_refused(name: object) -> None:
    backend = Counting()
    backend.name = name  # type: ignore[assignment, misc]
    with pytest.raises(ValueError, match="not an identifier"):
        register_backend(backend)


@pytest.mark.parametrize(("thing", "hint"), [(Counting, "not the class"), ("numpy", "an instance")])
def test_only_instances_are_registered(thing: Any, hint: str) -> None:
    with pytest.raises(TypeError, match=hint):
        register_backend(thing)


def test_unknown_names_are_errors_that_list_the_known() -> None:
    with pytest.raises(ValueError, match=r"unknown backend 'blas'; known: .*numpy"):
        get_backend("blas")
    with pytest.raises(ValueError, match="'blocked' has: blocked/small, blocked/packed"):
        run_path("blocked", "matmul", [], np.empty(1))
    with pytest.raises(ValueError, match="'numpy' has: numpy"):
        run_path("numpy/fast", "matmul", [], np.empty(1))
    with pytest.raises(ValueError, match="no backend named 'counting' was added"):
        unregister_backend("counting")


def test_changes_are_announced() -> None:
    seen: list[bool] = []
    on_change(lambda: seen.append("counting" in backends()))
    register_backend(Counting())
    unregister_backend("counting")
    assert seen == [True, False]


class Point:
    """An entry point that gives `item`, or raises it."""

    value = "plugin:thing"

    def __init__(self, name: str, item: Any) -> None:
        self.name, self.item = name, item

    def load(self) -> Any:
        if isinstance(self.item, Exception):
            raise self.item
        return self.item


@pytest.fixture
def rediscover(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that looks for backends again, with these entry points installed."""
    # The package, which the public function of the same name hides.
    package = importlib.import_module("tensorops.backends")

    def discover(*points: Point) -> None:
        for name, value in (("_builtin", {}), ("_broken", {}), ("_discovered", False)):
            monkeypatch.setattr(package, name, value)
        monkeypatch.setattr(package, "_announced", lambda: True)
        monkeypatch.setattr(
            importlib.metadata, "entry_points", lambda group: points if group == package.ENTRY_POINTS else ()
        )

    return discover


@pytest.mark.parametrize("item", [Counting, Counting()], ids=["class", "instance"])
def test_an_entry_point_adds_a_backend(item: Any, rediscover: Any) -> None:
    rediscover(Point("counting", item))
    assert backends()["counting"] is None
    assert get_backend("counting").paths() == ("counting/up", "counting/down")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (ImportError("no module named gpu"), "ImportError: no module named gpu"),
        (object, "TypeError: <class 'object'> is not a ComputeBackend"),
        (
            type("Same", (Counting,), {"name": "numpy"}),
            "ValueError: a backend named 'numpy' is there already",
        ),
    ],
)
def test_a_broken_entry_point_is_a_reason_and_no_error(item: Any, reason: str, rediscover: Any) -> None:
    before, _ = usable_paths(CALL)
    rediscover(Point("extra", item), Point("counting", Counting))
    assert reason in str(backends()["extra"])
    assert backends()["numpy"] is None
    usable, excluded = usable_paths(CALL)
    assert usable == (*before, "counting/up", "counting/down")
    assert reason in excluded["extra"]
    with pytest.raises(ValueError, match="'extra' cannot be used: it could not be loaded"):
        get_backend("extra")


def test_a_broken_entry_point_does_not_hide_a_backend_of_its_name(rediscover: Any) -> None:
    rediscover(Point("numpy", ImportError("gone")))
    assert backends()["numpy"] is None
    assert "gone" in str(backends()["numpy (plugin:thing)"])


def test_a_call_can_be_a_key() -> None:
    assert len({CALL, Call("matmul", "float32", ((2, 3), (3, 4))), Call("matmul", "float64", ())}) == 2
