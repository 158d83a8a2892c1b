"""Calls from many Python threads at once, and the work memory of each."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import tensorops
from tensorops.kernels.gemm import family
from tensorops.runtime import workspace

THREADS = 8
DIMS = [
    (1, 1, 1),
    (8, 8, 8),
    (17, 33, 9),
    (64, 96, 128),
    (200, 150, 170),
    (1, 300, 200),
    (300, 200, 1),
    (5, 7, 600),
]
# What a thread may hold: a panel of B of at most 4 MiB, and a block of A that fits its second level cache.
LARGEST_SHARE = 8 << 20
# A large buffer is rounded up to one.
HUGE_PAGE = 2 << 20


@pytest.fixture(params=[1, 2, 3])
def kernel_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = tensorops.get_num_threads()
    tensorops.set_num_threads(request.param)
    yield request.param
    tensorops.set_num_threads(before)


def on_threads(count: int, body: Callable[[int], None]) -> None:
    """Run a body on threads that start together, and wait until their work memory is gone.

    The first error of any of them is raised. A thread that Python has joined may still be on its way
    out: what it leaves behind is freed a moment later.
    """
    live = workspace.statistics()["live"]
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            body(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(1000):
        if workspace.statistics()["live"] <= live:
            break
        time.sleep(0.01)
    if errors:
        raise errors[0]


@pytest.mark.usefixtures("kernel_threads")
def test_many_threads_get_exact_results() -> None:
    def body(number: int) -> None:
        rng = np.random.default_rng(number)
        for (m, k, n), dtype in itertools.product(DIMS[number:] + DIMS[:number], ("float32", "float64")):
            a = rng.integers(-4, 5, size=(m, k)).astype(dtype)
            b = rng.integers(-4, 5, size=(k, n)).astype(dtype)
            expected = a.astype(np.int64) @ b.astype(np.int64)
            out = np.full((n, m), np.nan, dtype).T
            for _ in range(3):
                assert np.array_equal(tensorops.matmul(a, b), expected)
                assert np.array_equal(tensorops.matmul(a, b, out=out), expected)
            assert np.array_equal(tensorops.matmul(np.stack([a, -a]), b), [expected, -expected])

    on_threads(THREADS, body)


def test_shared_operands_and_parts_of_one_result() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(-4, 5, size=(THREADS * 40, 90)).astype(np.float32)
    b = rng.integers(-4, 5, size=(90, 70)).astype(np.float32)
    out = np.full((THREADS * 40, 70), np.nan, np.float32)

    def body(number: int) -> None:
        rows = slice(40 * number, 40 * (number + 1))
        tensorops.matmul(a[rows], b, out=out[rows])

    on_threads(THREADS, body)
    assert np.array_equal(out, a @ b)


def test_a_backend_asked_for_on_one_thread_leaves_the_others_alone() -> None:
    a = np.eye(40, dtype=np.float32)
    seen: dict[int, str | None] = {}

    def body(number: int) -> None:
        from tensorops.dispatch import selection

        if number % 2:
            tensorops.use_backend("numpy")
        for _ in range(20):
            assert np.array_equal(tensorops.matmul(a, a), a)
        seen[number] = selection.active_backend()

    on_threads(4, body)
    assert seen == {0: None, 1: "numpy", 2: None, 3: "numpy"}


def test_errors_on_some_threads_leave_the_others_alone() -> None:
    a = np.ones((50, 60), np.float32)

    def body(number: int) -> None:
        for _ in range(50):
            if number % 2:
                with pytest.raises(ValueError):
                    tensorops.matmul(a, a)
            else:
                assert (tensorops.matmul(a, a.T) == 60).all()

    on_threads(4, body)


def work_memory(dims: tuple[int, int, int]) -> tuple[int, int]:
    """Return the bytes that a thread of its own holds after a product, and those left when it has ended."""
    before = workspace.statistics()["live"]
    held: list[int] = []
    m, k, n = dims

    def body(_: int) -> None:
        tensorops.matmul(np.ones((m, k), np.float32), np.ones((k, n), np.float32))
        held.append(workspace.statistics()["live"] - before)

    on_threads(1, body)
    return held[0], workspace.statistics()["live"] - before


def test_work_memory_is_bounded_and_freed_with_its_thread(kernel_threads: int) -> None:
    held, left = work_memory((700, 600, 1200))
    assert 0 < held <= kernel_threads * LARGEST_SHARE
    assert left == 0
    much_held, left = work_memory((1400, 1200, 2400))
    assert much_held <= kernel_threads * LARGEST_SHARE
    assert left == 0


def test_work_memory_is_that_of_the_blocks_however_large_the_matrix() -> None:
    mc, kc, nc = family.block_sizes_in_use("float32")
    blocks = (kc * nc + mc * kc) * 4
    before = tensorops.get_num_threads()
    tensorops.set_num_threads(1)
    try:
        for dims in [(200, 300, 300), (600, 1024, 1200), (600, 2048, 2400), (1200, 1024, 2400)]:
            held, _ = work_memory(dims)
            assert 0 < held <= blocks + HUGE_PAGE
    finally:
        tensorops.set_num_threads(before)


def test_work_memory_is_reused() -> None:
    a = np.ones((300, 300), np.float32)

    def body(_: int) -> None:
        tensorops.matmul(a, a)
        before = workspace.statistics()
        for size in (300, 200, 100, 40, 300):
            tensorops.matmul(a[:size, :size], a[:size, :size])
        assert workspace.statistics() == before

    on_threads(1, body)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_products_take_no_work_memory(dtype: str) -> None:
    a = np.ones((16, 16), dtype)

    def body(_: int) -> None:
        before = workspace.statistics()
        assert (tensorops.matmul(a, a) == 16).all()
        assert (tensorops.matmul(a[0], a) == 16).all()
        assert workspace.statistics() == before

    on_threads(1, body)


def test_statistics_count_what_was_taken() -> None:
    before = workspace.statistics()
    held, _ = work_memory((300, 300, 300))
    after = workspace.statistics()
    assert after["count"] == before["count"] + 1
    assert after["bytes"] == before["bytes"] + held
    assert after["peak"] >= before["live"] + held
