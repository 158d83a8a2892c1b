"""Counts of NumPy's data buffers are exact, whatever happens while they are taken."""

import contextvars
import gc
import threading

import numpy as np
import pytest

from profiling.collect.allocations import LineAllocations, count_allocations

A = np.ones(1000)
B = np.ones(1000)


@pytest.mark.parametrize(
    ("call", "count", "size"),
    [
        (lambda: A + B, 1, 8000),
        (lambda: A * 2, 1, 8000),
        (lambda: np.zeros(1000), 1, 8000),
        (lambda: np.add(A, B, out=A), 0, 0),
        (lambda: A[::2].copy(), 1, 4000),
        (lambda: A[::2], 0, 0),
        (lambda: A.reshape(10, 100).T, 0, 0),
        (lambda: A.astype(np.float32), 1, 4000),
        (lambda: (A + B).sum(), 1, 8000),
    ],
)
def test_known_counts(call, count, size):
    call()
    with count_allocations() as counter:
        call()
    assert (counter.count, counter.bytes) == (count, size)


def test_the_floor_leaves_small_buffers_out():
    with count_allocations(minimum_bytes=0) as every, count_allocations() as large:
        result = A * 2
    assert result[0] == 2 * A[0]
    assert every.count > large.count == 1
    with pytest.raises(ValueError, match="0 or more"):
        count_allocations(minimum_bytes=-1)


def test_the_peak_follows_what_is_alive():
    with count_allocations() as counter:
        x = A + B
        y = x + B
        del x, y
        z = A + B
    assert z[0] == A[0] + B[0]
    assert (counter.count, counter.bytes, counter.peak) == (3, 24000, 16000)


def test_buffers_from_before_do_not_count_when_they_are_freed():
    old = A + B
    with count_allocations() as counter:
        del old
        new = A + B
    assert counter.peak == new.nbytes


def test_arrays_outlive_the_counter():
    with count_allocations() as counter:
        arrays = [np.full(100, number) for number in range(50)]
    assert counter.count == 50
    del counter
    gc.collect()
    arrays[0].resize(500, refcheck=False)
    assert [int(array[0]) for array in arrays[1:]] == list(range(1, 50))
    del arrays
    gc.collect()


def test_counting_ends_with_the_block_even_by_an_exception():
    with pytest.raises(ZeroDivisionError), count_allocations() as counter:
        A + B
        1 / 0  # noqa: B018
    assert counter.count == 1
    A + B
    assert counter.count == 1


def test_a_counter_can_be_used_again_but_not_inside_itself():
    counter = count_allocations()
    for _ in range(2):
        with counter:
            A + B
            with pytest.raises(RuntimeError, match="entered already"), counter:
                pass
        assert counter.count == 1


def test_a_counter_that_was_never_entered_is_empty():
    counter = count_allocations()
    assert (counter.count, counter.bytes, counter.peak, counter.lines()) == (0, 0, 0, [])


def two_lines():
    first = A + B
    return np.concatenate([first, np.pad(first, 4)])


def test_requests_are_put_down_to_the_lines_that_made_them():
    code = two_lines.__code__
    two_lines()
    with count_allocations(filename=code.co_filename) as counter:
        two_lines()
    line = code.co_firstlineno
    # np.pad allocates inside NumPy's own Python code: it belongs to the line that called it.
    assert counter.lines() == [LineAllocations(line + 1, 1, 8000), LineAllocations(line + 2, 2, 8064 + 16064)]
    assert sum(entry.count for entry in counter.lines()) == counter.count
    assert sum(entry.bytes for entry in counter.lines()) == counter.bytes


def test_another_files_requests_go_to_line_0():
    with count_allocations(filename="nowhere.py") as counter:
        A + B
    assert counter.lines() == [LineAllocations(0, 1, 8000)]


def test_many_lines():
    source = "\n".join(["import numpy as np", *(f"x{n} = np.empty({n + 8})" for n in range(200))])
    with count_allocations(filename="made up") as counter:
        exec(compile(source, "made up", "exec"), {})
    assert counter.lines() == [LineAllocations(n + 2, 1, 8 * (n + 8)) for n in range(200)]


@pytest.mark.parametrize(("inherit", "count"), [(False, 0), (True, 5)])
def test_other_threads_count_only_in_a_copy_of_the_context(inherit, count):
    def work():
        for _ in range(5):
            A + B

    with count_allocations() as counter:
        target = contextvars.copy_context().run if inherit else (lambda function: function())
        thread = threading.Thread(target=target, args=(work,))
        thread.start()
        thread.join()
    assert counter.count == count


def test_a_product_with_out_allocates_nothing(cache_dir):
    import tensorops

    a = np.ones((100, 100), np.float32)
    out = np.empty_like(a)
    tensorops.matmul(a, a, out=out)
    with count_allocations() as counter:
        tensorops.matmul(a, a, out=out)
        tensorops.matmul(a, a)
    assert (counter.count, counter.bytes) == (1, a.nbytes)
