"""Counts of operations equal what a reader of the expression counts by hand."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import tensorops
from profiling.collect.operation_records import OperationCount
from profiling.collect.operations import OperationCounter, count_operations

X = np.arange(12.0).reshape(3, 4)
Y = np.arange(20.0).reshape(4, 5)
V = np.arange(4.0)
ROW = np.ones((1, 4), np.float32)
STACK = np.ones((2, 3, 4))
MASK = np.array([True, False, True, False])
COMPLEX = V * 1j
OBJECTS = np.array([1, 2, 3], object)


def in_place() -> None:
    target = X.copy()
    target += V


Figures = list[tuple[str, int, int | None, int | None]]


def counted(call: Callable[[], Any]) -> Figures:
    """Return name, calls, FLOPs and bytes of each operation of a call."""
    with count_operations() as counter:
        call()
    return sorted((entry.name, entry.calls, entry.flops, entry.bytes) for entry in counter.operations())


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        # Operators, functions and methods; 8 bytes for each float64 that is read or written.
        (lambda: X + X, [("add", 1, 12, 288)]),
        (lambda: np.multiply(X, 2.0), [("multiply", 1, 12, 192)]),
        (lambda: -V, [("negative", 1, 4, 64)]),
        (lambda: V**2, [("square", 1, 4, 64)]),
        (lambda: V > 1, [("greater", 1, 4, 36)]),
        (in_place, [("add", 1, 12, 96 + 32 + 96), ("copy", 1, 0, 192)]),
        (lambda: np.exp(X, out=np.empty((3, 4))), [("exp", 1, 12, 192)]),
        (lambda: divmod(V, 3.0), [("divmod", 1, 8, 96)]),
        # Broadcasting reads each operand's own elements; float32 with float64 gives float64.
        (lambda: X * ROW, [("multiply", 1, 12, 96 + 16 + 96)]),
        (lambda: V[:, None] + V, [("add", 1, 16, 32 + 32 + 128)]),
        (lambda: np.add(V, V, out=np.zeros(4), where=MASK), [("add", 1, 2, 96 + 4)]),
        (lambda: np.arange(4) * np.arange(4), [("multiply", 1, 0, 96)]),
        (lambda: np.arange(4) / 2, [("divide", 1, 4, 64)]),
        (lambda: np.zeros((0, 4)) + V, [("add", 1, 0, 32)]),
        (lambda: np.add([1.0, 2.0], [3.0, 4.0]), [("add", 1, 2, 16)]),
        (lambda: COMPLEX * COMPLEX, [("multiply", 1, 24, 192)]),
        (lambda: np.sqrt(COMPLEX), [("sqrt", 1, None, 128)]),
        (lambda: OBJECTS + 1, [("add", 1, None, 48)]),
        (lambda: np.logical_and(V, V), [("logical_and", 1, 0, 68)]),
        # Sums and the like.
        (lambda: X.sum(), [("sum", 1, 11, 104)]),
        (lambda: np.sum(X, axis=0), [("sum", 1, 8, 128)]),
        (lambda: np.sum(X, initial=5.0), [("sum", 1, 12, 104)]),
        (lambda: np.sum(V, where=MASK), [("sum", 1, 1, 44)]),
        (lambda: np.sum([1.0, 2.0, 3.0]), [("sum", 1, 2, 8)]),
        (lambda: np.add.reduce(X, axis=1), [("add.reduce", 1, 9, 120)]),
        (lambda: np.maximum.accumulate(X, axis=1), [("maximum.accumulate", 1, 9, 192)]),
        (lambda: X.cumsum(axis=0), [("cumsum", 1, 8, 192)]),
        (lambda: X.max(axis=1), [("max", 1, 9, 120)]),
        (lambda: X.argmax(), [("argmax", 1, 11, 104)]),
        (lambda: np.mean(X, axis=0), [("mean", 1, 12, 128)]),
        (lambda: X.var(axis=0), [("var", 1, 48, 128)]),
        (lambda: np.std(X), [("std", 1, 49, 104)]),
        (lambda: np.clip(V, 1, 2), [("clip", 1, 8, 64)]),
        (lambda: V.clip(min=1), [("clip", 1, 4, 64)]),
        (lambda: np.add.at(V.copy(), [0, 0, 1], 1.0), [("add.at", 1, 3, 48), ("copy", 1, 0, 64)]),
        # Products: 2 for each pair multiplied and added.
        (lambda: X @ Y, [("matmul", 1, 120, 96 + 160 + 120)]),
        (lambda: V @ V, [("matmul", 1, 8, 72)]),
        (lambda: X @ V, [("matmul", 1, 24, 96 + 32 + 24)]),
        (lambda: STACK @ Y, [("matmul", 1, 240, 192 + 160 + 240)]),
        (lambda: X.dot(Y), [("dot", 1, 120, 376)]),
        (lambda: np.dot(2.0, V), [("dot", 1, 4, 64)]),
        (lambda: np.vdot(X, X), [("vdot", 1, 24, 200)]),
        (lambda: np.inner(X, X), [("inner", 1, 72, 96 + 96 + 72)]),
        (lambda: np.tensordot(X, Y, axes=([1], [0])), [("tensordot", 1, 120, 376)]),
        (lambda: np.einsum("ij,jk->ik", X, Y), [("einsum", 1, 120, 376)]),
        (lambda: np.einsum("ij->i", X), [("einsum", 1, 9, 120)]),
        (lambda: np.einsum("...i,...i->...", STACK, V), [("einsum", 1, 48, 192 + 32 + 48)]),
        (lambda: np.einsum(X, [0, 1], Y, [1, 2]), [("einsum", 1, 120, 376)]),
        (lambda: np.outer(V, V), [("multiply", 1, 16, 192), ("ravel", 2, 0, 0)]),
        (lambda: np.convolve(V, [1.0, 1.0]), [("convolve", 1, 11, 72)]),
        (lambda: np.convolve(V, V[:3], "same"), [("convolve", 1, 16, 88)]),
        # What only copies, and what has no agreed number.
        (lambda: np.concatenate([V, V]), [("concatenate", 1, 0, 128)]),
        (lambda: X.astype(np.float32), [("astype", 1, 0, 144)]),
        (lambda: X.ravel(), [("ravel", 1, 0, 0)]),
        (lambda: X.T.ravel(), [("ravel", 1, 0, 192)]),
        (lambda: np.where(MASK, V, 0.0), [("where", 1, 0, 4 + 32 + 32)]),
        (lambda: np.sort(V), [("sort", 1, None, 64)]),
        (lambda: V.copy().sort(), [("copy", 1, 0, 64), ("sort", 1, None, 64)]),
        (lambda: np.linalg.inv(np.eye(2)), [("linalg.inv", 1, None, 64)]),
        (lambda: np.fft.fft(V), [("fft.fft", 1, None, 32 + 64)]),
        # Views, and what is called through others, are not counted twice or not at all.
        (lambda: X.T[1:], []),
        (lambda: np.linalg.norm(V), [("dot", 1, 8, 72), ("ravel", 1, 0, 0), ("sqrt", 1, 1, 8)]),
    ],
)
def test_counts_are_those_made_by_hand(call: Callable[[], Any], expected: Figures) -> None:
    assert counted(call) == expected


def test_why_a_number_is_missing_is_said() -> None:
    with count_operations() as counter:
        V + V
        OBJECTS + 1
        np.sort(V)
    reasons = {(entry.name, entry.flops): entry.reason for entry in counter.operations()}
    assert reasons["add", 4] is None
    assert "objects" in str(reasons["add", None])
    assert "values" in str(reasons["sort", None])


def test_a_masked_array_counts_as_the_calls_that_it_makes() -> None:
    masked = np.ma.array(V, mask=MASK)
    figures = {name: flops for name, _, flops, _ in counted(lambda: masked + masked)}
    assert figures["add"] == 4


def test_functions_without_a_convention_are_counted_by_what_they_call() -> None:
    figures = counted(lambda: np.apply_along_axis(np.sum, 1, X))
    assert [entry for entry in figures if entry[0] != "copyto"] == [("sum", 3, 9, 3 * 40)]


class Own:
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        return np.exp(V) if method == "__call__" else NotImplemented


def test_an_operand_that_decides_for_itself_counts_by_what_it_calls() -> None:
    assert counted(lambda: np.add(Own(), 1.0)) == [("exp", 1, 4, 64)]


def test_a_call_that_raises_is_not_counted_and_raises_the_same() -> None:
    with count_operations() as counter, pytest.raises(ValueError, match="broadcast") as caught:
        X + Y
    assert counter.operations() == []
    with pytest.raises(ValueError, match="broadcast") as plain:
        X + Y
    assert str(caught.value) == str(plain.value)
    assert len(caught.traceback) == len(plain.traceback)
    assert counted(lambda: X + X) == [("add", 1, 12, 288)]


@pytest.mark.parametrize(
    "keywords", [{}, {"out": np.empty((3, 5))}, {"backend": "numpy"}, {"backend": "naive"}]
)
def test_a_product_counts_once_as_the_library_s_own(keywords: dict[str, Any], cache_dir: Path) -> None:
    with count_operations() as counter:
        tensorops.matmul(X, Y, **keywords)
        tensorops.matmul(X.tolist(), Y, **keywords)
    assert counter.operations() == [OperationCount("matmul", "tensorops", 2, 240, 752)]


def test_every_path_of_the_library_is_counted(cache_dir: Path) -> None:
    with count_operations(numpy=False) as counter:
        with tensorops.use_backend("numpy"):
            tensorops.matmul(X, Y)
        tensorops.matmul(STACK, Y)
        tensorops.matmul(np.arange(4), np.arange(4))
        tensorops.matmul(COMPLEX, COMPLEX)
        with pytest.raises(ValueError, match="matmul"):
            tensorops.matmul(X, X)
        X + X
    first, second = counter.operations()
    assert (first.calls, first.flops, first.bytes) == (3, 120 + 240, 376 + 592 + 72)
    assert (second.calls, second.flops, second.bytes) == (1, None, 144)


def test_counting_ends_with_the_block_even_by_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), count_operations() as counter:
        V + V
        1 / 0  # noqa: B018
    V + V
    tensorops.matmul(X, Y)
    assert counter.calls == 1


def test_inner_counters_count_too_and_a_counter_can_be_used_again() -> None:
    outer, inner = count_operations(), count_operations()
    for _ in range(2):
        with outer:
            V + V
            with inner:
                V * V
            with pytest.raises(RuntimeError, match="entered already"), outer:
                pass
            V - V
        assert (outer.calls, inner.calls) == (3, 1)


def test_threads_begun_meanwhile_count_and_others_do_not() -> None:
    begin, end = threading.Event(), threading.Event()

    def older() -> None:
        begin.wait()
        V + V
        end.set()

    thread = threading.Thread(target=older)
    thread.start()
    with count_operations() as counter:
        begin.set()
        end.wait()
        thread.join()
        assert counter.calls == 0
        threads = [threading.Thread(target=lambda: [V + V for _ in range(100)]) for _ in range(8)]
        for begun in threads:
            begun.start()
        for begun in threads:
            begun.join()
    assert [(entry.calls, entry.flops) for entry in counter.operations()] == [(800, 3200)]


def test_other_contexts_do_not_count_and_copies_do() -> None:
    empty = contextvars.copy_context()
    with count_operations() as counter:
        empty.run(lambda: V + V)
        assert counter.calls == 0
        contextvars.copy_context().run(lambda: V + V)
    assert counter.calls == 1


def test_tasks_count_for_themselves() -> None:
    async def work(times: int) -> int:
        with count_operations() as counter:
            for _ in range(times):
                V + V
                await asyncio.sleep(0)
        return counter.calls

    async def both() -> list[int]:
        return await asyncio.gather(work(3), work(5))

    assert asyncio.run(both()) == [3, 5]


def test_a_counter_left_in_another_context_stops_counting() -> None:
    counter = count_operations()
    contextvars.copy_context().run(counter.__enter__)
    V + V
    counter.__exit__(None, None, None)
    V + V
    assert counter.calls == 0
    assert counted(lambda: V + V) == [("add", 1, 4, 96)]


def test_a_counter_that_is_dropped_while_it_counts_does_no_harm() -> None:
    def suspended() -> Any:
        with count_operations():
            yield

    generator = suspended()
    next(generator)
    del generator
    gc.collect()
    assert counted(lambda: V + V) == [("add", 1, 4, 96)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_counts_for_itself() -> None:
    with count_operations() as counter:
        V + V
        child = os.fork()
        if not child:
            V + V
            os._exit(0 if counter.calls == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert counter.calls == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_enters_a_counter_can_count() -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with OperationCounter._lock:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(len(counted(lambda: V + V)))
    release.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_names_replaced_meanwhile_stay_replaced() -> None:
    with count_operations() as counter, mock.patch("numpy.dot", return_value=7) as replaced:
        assert np.dot(V, V) == 7
        assert V.dot(V) == 14.0
    assert replaced.called
    assert [(entry.name, entry.calls) for entry in counter.operations()] == [("dot", 1)]


def test_nothing_about_numpy_s_objects_changes() -> None:
    names = ("add", "sum", "dot")
    before = [(getattr(np, name), type(getattr(np, name)), repr(getattr(np, name))) for name in names]
    method = np.ndarray.__dict__["sum"]
    with count_operations():
        assert [
            (getattr(np, name), type(getattr(np, name)), repr(getattr(np, name))) for name in names
        ] == before
        assert np.ndarray.__dict__["sum"] is method
        assert (X.sum(), (X + 1)[0, 0], X.dot(Y)[0, 0]) == (66.0, 1.0, 70.0)


def test_calls_are_put_down_to_the_innermost_wanted_line() -> None:
    def inner() -> Any:
        return V + V

    def outer() -> Any:
        first = inner()
        return [first * n for n in range(3)]

    with count_operations(lines=__file__) as counter:
        outer()
        np.linalg.norm(V)
    start = outer.__code__.co_firstlineno
    lines = [
        (entry.line, entry.function.rpartition(".")[2], entry.calls, entry.flops) for entry in counter.lines()
    ]
    assert lines[0] == (inner.__code__.co_firstlineno + 1, "inner", 1, 4)
    assert lines[1] == (start + 2, "outer", 3, 12)
    # NumPy's own Python code is not wanted: the norm's product and root belong to the line that called it.
    assert (lines[2][2], lines[2][3]) == (3, 9)
    assert sum(entry.calls for entry in counter.lines()) == counter.calls
    assert sum(entry.bytes for entry in counter.lines()) == counter.bytes


def test_lines_must_be_something_that_names_files() -> None:
    with pytest.raises(TypeError, match="lines must be"):
        count_operations(lines=3)  # type: ignore[arg-type]


def test_figures_can_be_read_from_another_thread_meanwhile() -> None:
    stop = threading.Event()
    seen: list[int] = []

    def read(counter: Any) -> None:
        while not stop.is_set():
            seen.append(len(json.dumps(counter.to_dict())))

    with count_operations(lines=True) as counter:
        reader = threading.Thread(target=read, args=(counter,))
        reader.start()
        for _ in range(3000):
            V + V
            X.sum(axis=0)
        stop.set()
        reader.join()
    assert seen
    assert counter.calls == 6000


def test_the_count_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "operations.json"
    with count_operations() as counter:
        X @ Y
        counter.flush(path)
        V + V
    first = json.loads(path.read_text(encoding="utf-8"))
    assert [entry["name"] for entry in first["operations"]] == ["matmul"]
    assert first["flops"] == 120
    assert first["operations"][0]["intensity"] == pytest.approx(120 / 376)
    counter.flush(path)
    assert json.loads(path.read_text(encoding="utf-8"))["calls"] == 2
    assert [found.name for found in tmp_path.iterdir()] == ["operations.json"]
    with pytest.raises(OSError, match="missing"):
        counter.flush(tmp_path / "missing" / "operations.json")


def test_what_is_not_counted_is_said() -> None:
    assert counted(lambda: np.float64(2.0) * np.float64(3.0)) == []
    (sentence, *_) = count_operations().gaps()
    assert "single numbers" in sentence
    assert "np.zeros" in sentence


@pytest.mark.parametrize("call", [lambda: V + V, lambda: V.sum(), lambda: tensorops.matmul(V, V)])
def test_an_interruption_while_a_call_is_counted_reaches_the_caller(call: Callable[[], Any]) -> None:
    def interrupted(filename: str) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), count_operations(lines=interrupted):
        call()
    assert len(counted(call)) == 1


def test_a_predicate_that_fails_costs_the_lines_and_not_the_count() -> None:
    def failing(filename: str) -> bool:
        raise LookupError(filename)

    with count_operations(lines=failing) as counter:
        V + V
    assert counter.calls == 1
    assert counter.lines() == []
