from __future__ import annotations

import asyncio
import importlib
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.backends import Call, ComputeBackend, register_backend, unregister_backend
from tensorops.dispatch import schema, selection, table
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.dispatch.selection import active_backend, choose_path, use_backend

CALL = Call("matmul", "float32", ((64, 64), (64, 64)))


@pytest.fixture(autouse=True)
def automatic() -> Iterator[None]:
    """Leave every test without an active backend, as it has found the process."""
    handle = use_backend(None)
    handle.__exit__(None, None, None)
    yield
    handle.__exit__(None, None, None)


class Absent(ComputeBackend):
    """A backend that cannot be used here."""

    name = "absent"

    def available(self) -> str | None:
        return "no such package"

    def supports(self, call: Call) -> str | None:
        return None

    def run(
        self, op: str, arrays: Sequence[Any], out: Any, *, variant: str | None = None, **params: Any
    ) -> Any:
        raise AssertionError("an unavailable backend was run")


class FloatsAlone(Absent):
    """A backend that can be used, for one dtype."""

    name = "floats_alone"

    def available(self) -> str | None:
        return None

    def supports(self, call: Call) -> str | None:
        return None if call.dtype == "float32" else f"no {call.dtype}"


@pytest.fixture(params=[Absent, FloatsAlone])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    register_backend(request.param())
    yield request.param.name
    unregister_backend(request.param.name)


def measured(winner: str, loser: str) -> Profile:
    paths = {winner: PathResult(1e-5, 0.9e-5, 1.1e-5), loser: PathResult(2e-5, 1.9e-5, 2.1e-5)}
    return Profile(schema.fingerprint(), (Entry("matmul", "float32", CALL.shapes, paths=paths),))


def test_it_holds_until_the_end_of_the_block() -> None:
    with use_backend("numpy"):
        assert active_backend() == "numpy"
        with use_backend("naive"):
            assert active_backend() == "naive"
            assert choose_path(CALL).path == "naive"
        assert active_backend() == "numpy"
        with use_backend(None):
            assert active_backend() is None
            assert choose_path(CALL).path == "blocked/packed"
    assert active_backend() is None


def test_it_ends_with_an_exception_too() -> None:
    with pytest.raises(KeyError), use_backend("numpy"):
        raise KeyError
    assert active_backend() is None


def test_as_a_call_it_holds_from_then_on() -> None:
    handle = use_backend("numpy")
    assert active_backend() == "numpy"
    use_backend("naive")
    assert active_backend() == "naive"
    use_backend(None)
    assert active_backend() is None
    handle.__exit__(None, None, None)
    assert active_backend() is None


def test_the_compiled_table_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(table, "set_override_possible", told.append)
    choose_path(CALL)
    assert told == []
    with use_backend("numpy"):
        assert told == [True]
    monkeypatch.setenv("TENSOROPS_BACKEND", "numpy")
    selection.reload_profile()
    choose_path(CALL)
    assert told == [True, True]


def test_another_thread_is_not_affected() -> None:
    seen: list[str | None] = []
    inside, looked = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(10)
        seen.append(active_backend())
        use_backend("naive")
        seen.append(active_backend())
        looked.set()

    thread = threading.Thread(target=other)
    thread.start()
    with use_backend("numpy"):
        inside.set()
        looked.wait(10)
        assert active_backend() == "numpy"
    thread.join()
    assert seen == [None, "naive"]


def test_another_task_is_not_affected() -> None:
    async def compute(name: str) -> list[str | None]:
        with use_backend(name):
            first = active_backend()
            await asyncio.sleep(0)
            return [first, active_backend()]

    async def both() -> list[list[str | None]]:
        return await asyncio.gather(compute("numpy"), compute("naive"))

    assert asyncio.run(both()) == [["numpy", "numpy"], ["naive", "naive"]]
    assert active_backend() is None


def test_an_unknown_backend_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"use_backend\('blas'\): unknown backend; known: .*naive.*numpy"):
        use_backend("blas")
    assert active_backend() is None


def test_the_environment_asks_for_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert active_backend() is None
    monkeypatch.setenv("TENSOROPS_BACKEND", "naive")
    assert active_backend() is None
    selection.reload_profile()
    assert active_backend() == "naive"
    choice = choose_path(CALL)
    assert choice.path == "naive"
    assert "asks for backend 'naive'" in choice.reason
    with use_backend("numpy"):
        assert active_backend() == "numpy"
    with use_backend(None):
        assert choose_path(CALL).path == "blocked/packed"
    monkeypatch.setenv("TENSOROPS_BACKEND", "")
    selection.reload_profile()
    assert active_backend() is None


def test_an_unknown_backend_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_BACKEND", "fast")
    selection.reload_profile()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"TENSOROPS_BACKEND='fast': unknown backend; known: "):
            choose_path(CALL)


@pytest.mark.parametrize("backend", [Absent], indirect=True)
def test_an_unavailable_backend_is_an_error_with_its_reason(backend: str) -> None:
    with pytest.raises(ValueError, match="cannot be used here: no such package"):
        use_backend(backend)
    with pytest.raises(ValueError, match="backend='absent': the backend cannot be used here"):
        choose_path(CALL, backend)
    assert choose_path(CALL).candidates[-1].excluded_reason == "no such package"


@pytest.mark.parametrize("backend", [FloatsAlone], indirect=True)
def test_a_call_that_the_backend_cannot_compute_is_an_error_with_its_reason(backend: str) -> None:
    with use_backend(backend):
        assert choose_path(CALL).path == backend
        with pytest.raises(
            ValueError, match=r"backend 'floats_alone', asked for by .*, cannot compute this call: no float64"
        ):
            choose_path(Call("matmul", "float64", CALL.shapes))


def test_one_call_may_ask_for_a_backend() -> None:
    with use_backend("numpy"):
        choice = choose_path(CALL, "blocked")
    assert choice.path == "blocked/packed"
    assert choice.reason.startswith("backend='blocked' asks for backend 'blocked'; ")
    excluded = {item.path: item.excluded_reason for item in choice.candidates if item.excluded_reason}
    assert {"naive", "numpy", "python"} <= set(excluded)
    reasons = {excluded[path] for path in ("naive", "numpy", "python")}
    assert reasons == {"not of backend 'blocked', which backend='blocked' asks for"}


def test_the_profile_decides_between_the_variants_of_a_backend() -> None:
    schema.save(measured("blocked/small", "blocked/packed"))
    selection.reload_profile()
    with use_backend("blocked"):
        assert choose_path(CALL).path == "blocked/small"


def test_the_profile_is_read_once_and_again_when_asked() -> None:
    assert selection.current_profile() is None
    schema.save(measured("numpy", "blocked/packed"))
    assert selection.current_profile() is None
    assert choose_path(CALL).path == "blocked/packed"
    assert selection.reload_profile() == measured("numpy", "blocked/packed")
    assert choose_path(CALL).path == "numpy"


def test_threads_that_ask_at_once_all_get_the_profile() -> None:
    schema.save(measured("numpy", "blocked/packed"))
    loading, go_on = threading.Event(), threading.Event()
    real, found = schema.load, []

    def slow() -> Profile | None:
        loading.set()
        go_on.wait(10)
        return real()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_loaded", False)
        patch.setattr(schema, "load", slow)
        threads = [
            threading.Thread(target=lambda: found.append(selection.current_profile())) for _ in range(3)
        ]
        threads[0].start()
        loading.wait(10)
        for thread in threads[1:]:
            thread.start()
        go_on.set()
        for thread in threads:
            thread.join()
    assert found == [measured("numpy", "blocked/packed")] * 3


def test_listeners_hear_of_a_new_profile_and_of_new_backends() -> None:
    heard: list[str] = []
    selection.on_change(lambda: heard.append(choose_path(CALL).path))
    schema.save(measured("numpy", "blocked/packed"))
    selection.reload_profile()
    assert heard == ["numpy"]
    register_backend(Absent())
    unregister_backend("absent")
    assert heard == ["numpy"] * 3


def test_a_damaged_profile_is_warned_of_once_in_a_process(cache_dir: Path) -> None:
    path = schema.profile_path()
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        selection.reload_profile()
        threads = [threading.Thread(target=choose_path, args=(CALL,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert choose_path(CALL).path == "blocked/packed"
    assert len(caught) == 1
    path.unlink()


def test_a_warning_that_is_an_error_is_raised_once_and_the_thresholds_apply(cache_dir: Path) -> None:
    path = schema.profile_path()
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    heard: list[int] = []
    selection.on_change(lambda: heard.append(1))
    with pytest.raises(schema.ProfileWarning, match="damaged"):
        selection.reload_profile()
    assert heard == [1]
    assert selection.current_profile() is None
    assert choose_path(CALL).path == "blocked/packed"
    path.unlink()


def test_the_chosen_path_computes() -> None:
    from tensorops.backends import run_path

    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((3, 2), dtype=np.float32)
    path = choose_path(Call("matmul", "float32", (a.shape, b.shape))).path
    assert np.array_equal(run_path(path, "matmul", [a, b], np.empty((2, 2), np.float32)), a @ b)


def test_a_deterministic_process_reads_no_profile(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "load", lambda: pytest.fail("the profile was read"))
    monkeypatch.setenv("TENSOROPS_DETERMINISTIC", "1")
    assert selection.reload_profile() is None


def test_a_wrong_deterministic_setting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_DETERMINISTIC", "maybe")
    with pytest.raises(ValueError, match="TENSOROPS_DETERMINISTIC='maybe': it must be 0 or 1"):
        selection.reload_profile()


def test_the_table_forgets_what_a_variable_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_BACKEND", "numpy")
    selection.reload_profile()
    table.clear()
    a = np.eye(3, dtype=np.float32)
    assert (tensorops.matmul(a, a) == a).all()
    with use_backend(None):
        package = importlib.import_module("tensorops.backends")
        monkeypatch.setattr(package, "run_path", lambda *_: pytest.fail("a backend's object ran"))
        assert (tensorops.matmul(a, a) == a).all()
