"""Counts of NumPy's data buffers are exact: totals, lines, what is alive, threads, whatever happens."""

import gc
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import profiling
from profiling.collect.allocations import LineAllocations, count_allocations
from tensorops.runtime import workspace

A = np.ones(1000)
B = np.ones(1000)
SQUARE = np.ones((40, 25))
OUT = np.empty(1000)
LARGE = np.ones(100_000)


def temporaries():
    return A + B + A + B


def elided():
    # From 256 KiB on, NumPy writes into a temporary that nobody else holds.
    return LARGE + LARGE + LARGE + LARGE


def in_place():
    x = A.copy()
    x += B
    np.multiply(x, 2.0, out=x)
    return x


def views():
    return A[::2], A.reshape(10, 100).T, A[10:20], SQUARE[0], np.broadcast_to(A, (5, 1000))


def reshaped_with_a_copy():
    return SQUARE.T.reshape(1000)


def joined():
    return np.concatenate([A, B]), np.stack([A, B]), np.vstack([A, B])


def fancy():
    index = np.array([1, 2, 3] * 10)
    mask = np.zeros(1000, bool)
    mask[:100] = True
    return A[index], A[mask]


def sorted_copy():
    return np.sort(A)


def product():
    return SQUARE @ SQUARE.T


def broadcast():
    return A[:, None] + B[None, :50]


def cast():
    return A.astype(np.float32), A.astype(np.float64), A.astype(np.float64, copy=False)


def reduced():
    return SQUARE.sum(axis=0), SQUARE.sum(), SQUARE.max(axis=1)


def in_threads():
    threads = [threading.Thread(target=temporaries) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def with_an_exception():
    try:
        np.add(A + B, np.ones(7))
    except ValueError:
        pass


def produce():
    for number in range(4):
        yield np.full(100, float(number))


def from_a_generator():
    return sum(float(array[0]) for array in produce())


def resized():
    x = np.empty(100)
    x.resize(300, refcheck=False)
    x.resize(200, refcheck=False)
    return x


def listed():
    return [np.empty(16) for _ in range(10)]


# Program, buffers, their bytes, and the most bytes alive at once: counted by hand.
PROGRAMS = [
    ("a sum", lambda: A + B, 1, 8000, 8000),
    ("a number beside an array", lambda: A * 2, 1, 8000, 8000),
    ("zeros", lambda: np.zeros(1000), 1, 8000, 8000),
    ("temporaries", temporaries, 3, 24000, 16000),
    ("elided temporaries", elided, 1, 800_000, 800_000),
    ("in place", in_place, 1, 8000, 8000),
    ("out=", lambda: np.add(A, B, out=OUT), 0, 0, 0),
    ("views", views, 0, 0, 0),
    ("a strided copy", lambda: A[::2].copy(), 1, 4000, 4000),
    ("a reshape that copies", reshaped_with_a_copy, 1, 8000, 8000),
    ("joined", joined, 3, 48000, 48000),
    # The index (240), the mask (1000), what they pick (240 and 800), and the places of the mask's True.
    ("fancy indexing", fancy, 4, 240 + 1000 + 240 + 800, 240 + 1000 + 240 + 800),
    ("sorted", sorted_copy, 1, 8000, 8000),
    ("a product", product, 1, 12800, 12800),
    ("broadcasting", broadcast, 1, 400_000, 400_000),
    ("casts", cast, 2, 12000, 12000),
    # The sum of everything is one number of 8 bytes: below the floor.
    ("reductions", reduced, 2, 25 * 8 + 40 * 8, 25 * 8 + 40 * 8),
    ("a sum of a temporary", lambda: (A + B).sum(), 1, 8000, 8000),
    ("an exception", with_an_exception, 1, 8000, 8000),
    ("a generator", from_a_generator, 4, 3200, 1600),
    # Each reallocation is a request, and its new buffer stands in for the old one.
    ("resized", resized, 3, 800 + 2400 + 1600, 2400),
    ("a list", listed, 10, 1280, 1280),
    ("uninitialised and like", lambda: (np.empty(10), np.ones_like(A)), 2, 8080, 8080),
    ("a chain of names", lambda: [x := A + B, x := x + B], 2, 16000, 16000),
]


@pytest.mark.parametrize(
    ("program", "count", "size", "peak"),
    [entry[1:] for entry in PROGRAMS],
    ids=[entry[0] for entry in PROGRAMS],
)
def test_counts_equal_those_by_hand(program, count, size, peak):
    program()
    with count_allocations() as counter:
        result = program()
        alive = counter.live
        del result
    assert (counter.count, counter.bytes, counter.peak) == (count, size, peak)
    assert alive <= peak
    assert counter.live == 0


def test_there_are_twenty_programs():
    assert len({name for name, *_ in PROGRAMS}) >= 20


def test_threads_are_counted_whether_older_or_newer():
    begin, end = threading.Event(), threading.Event()

    def older():
        begin.wait()
        temporaries()
        end.set()

    thread = threading.Thread(target=older)
    thread.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(temporaries).result()
        with count_allocations() as counter:
            in_threads()
            begin.set()
            end.wait()
            thread.join()
            pool.submit(temporaries).result()
    assert (counter.count, counter.bytes) == (3 * 5, 24000 * 5)
    assert counter.live == 0


def test_it_is_public():
    assert profiling.count_allocations is count_allocations


def test_the_floor_leaves_small_buffers_out():
    with count_allocations(min_bytes=0) as every, count_allocations() as large:
        result = A * 2
    assert result[0] == 2 * A[0]
    assert every.count > large.count == 1
    assert (every.min_bytes, large.min_bytes) == (0, 64)
    with count_allocations(min_bytes=8001) as none, count_allocations(min_bytes=8000) as one:
        A + B
    assert (none.count, one.count) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"min_bytes": -1}, ValueError, "0 or more"),
        ({"min_bytes": 1.5}, TypeError, "float"),
        ({"lines": 3}, TypeError, "lines must be a bool, a path or a function"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        count_allocations(**arguments)


def test_what_is_alive_follows_the_arrays():
    with count_allocations() as counter:
        x = A + B
        y = x + B
        assert (counter.live, counter.peak) == (16000, 16000)
        del x, y
        assert (counter.live, counter.peak) == (0, 16000)
        z = A + B
        assert counter.live == z.nbytes
    del z
    assert counter.live == 8000  # As it was at the end of the block.


def test_buffers_from_before_do_not_count_when_they_are_freed():
    old = A + B
    with count_allocations() as counter:
        del old
        assert counter.live == 0
        new = A + B
    assert (counter.live, counter.peak) == (new.nbytes, new.nbytes)


def test_a_buffer_from_before_that_is_resized_counts_from_there():
    old = np.empty(100)
    with count_allocations() as counter:
        old.resize(500, refcheck=False)
        assert (counter.count, counter.live) == (1, 4000)
        del old
        assert counter.live == 0


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


def test_many_blocks_alive_at_once():
    with count_allocations(lines=__file__) as counter:
        arrays = [np.empty(8 + number % 5) for number in range(20_000)]
        assert counter.live == sum(array.nbytes for array in arrays)
        del arrays[::2]
        assert counter.live == sum(array.nbytes for array in arrays)
        arrays.clear()
        assert counter.live == 0
    (line,) = counter.lines()
    assert (line.count, line.live, line.peak) == (20_000, 0, counter.peak)


def test_counting_ends_with_the_block_even_by_an_exception():
    with pytest.raises(ZeroDivisionError), count_allocations() as counter:
        A + B
        1 / 0  # noqa: B018
    assert counter.count == 1
    A + B
    assert counter.count == 1


def test_nested_counters_both_count_in_any_order_of_ends():
    outer, inner = count_allocations(lines=__file__), count_allocations(min_bytes=5000)
    outer.__enter__()
    x = A + B
    inner.__enter__()
    y = A[:500] + B[:500]
    z = A + B
    outer.__exit__(None, None, None)
    del x, y, z
    inner.__exit__(None, None, None)
    assert (outer.count, outer.bytes, outer.live) == (3, 20000, 20000)
    assert (inner.count, inner.bytes, inner.live, inner.peak) == (1, 8000, 0, 8000)


def test_a_counter_can_be_used_again_but_not_inside_itself():
    counter = count_allocations(lines=True)
    for _ in range(2):
        with counter:
            A + B
            with pytest.raises(RuntimeError, match="entered already"), counter:
                pass
        assert counter.count == 1
        assert len(counter.lines()) == 1
    with pytest.raises(RuntimeError, match="not entered"):
        counter.__exit__(None, None, None)


def test_a_counter_that_was_never_entered_is_empty():
    counter = count_allocations(lines=True)
    assert (counter.count, counter.bytes, counter.live, counter.peak) == (0, 0, 0, 0)
    assert (counter.lines(), counter.notes, counter.work_memory.count) == ([], (), 0)


def test_its_text():
    counter = count_allocations()
    assert repr(counter) == "<AllocationCounter, not entered yet, min_bytes=64>"
    with counter:
        A + B
        assert "counting: count=1 bytes=8000 live=0 peak=8000" in repr(counter)
    assert "done: count=1" in repr(counter)


def two_lines():
    first = A + B
    return np.concatenate([first, np.pad(first, 4)])


def test_requests_are_put_down_to_the_lines_that_made_them():
    two_lines()
    with count_allocations(lines=__file__) as counter:
        result = two_lines()
        del result
    line = two_lines.__code__.co_firstlineno
    # np.pad allocates inside NumPy's own Python code: it belongs to the line that called it.
    assert counter.lines() == [
        LineAllocations(__file__, "two_lines", line + 1, 1, 8000, 0, 8000),
        LineAllocations(__file__, "two_lines", line + 2, 2, 8064 + 16064, 0, 8064 + 16064),
    ]


def run_source(filename, source):
    space = {"np": np}
    exec(compile(source, filename, "exec"), space)
    return space


def test_lines_of_two_files_and_the_innermost_one():
    inner = run_source("inner.py", "def inner():\n    return np.empty(10)\n")["inner"]
    space = run_source("outer.py", "def outer(inner):\n    x = inner()\n    return np.empty(20)\n")
    asked = []

    def wanted(filename):
        asked.append(filename)
        return filename in {"inner.py", "outer.py"}

    with count_allocations(lines=wanted) as both, count_allocations(lines="outer.py") as one:
        for _ in range(3):
            space["outer"](inner)
    assert [(entry.filename, entry.line, entry.count) for entry in both.lines()] == [
        ("inner.py", 2, 3),
        ("outer.py", 3, 3),
    ]
    assert [(entry.line, entry.count, entry.bytes) for entry in one.lines()] == [(2, 3, 240), (3, 3, 480)]
    assert sorted(asked) == sorted(set(asked))


def test_requests_without_a_wanted_line_go_to_line_0():
    with count_allocations(lines="nowhere.py") as counter:
        A + B
    assert counter.lines() == [LineAllocations("", "", 0, 1, 8000, 0, 8000)]


def test_many_lines():
    source = "\n".join([f"x{n} = np.empty({n + 8})" for n in range(500)])
    with count_allocations(lines="made up") as counter:
        space = run_source("made up", source)
        found = counter.lines()
    assert [(entry.line, entry.count, entry.live) for entry in found] == [
        (n + 1, 1, 8 * (n + 8)) for n in range(500)
    ]
    assert len(space) > 500


def test_code_that_comes_and_goes_at_one_address():
    with count_allocations(lines=lambda filename: filename.startswith("made")) as counter:
        for number in range(300):
            run_source(f"made{number}", "x = np.empty(8)")
    assert [entry.count for entry in counter.lines()] == [1] * 300


def test_comprehensions_belong_to_their_function():
    with count_allocations(lines=__file__) as counter:
        listed()
    (line,) = counter.lines()
    assert (line.function, line.line, line.count) == ("listed", listed.__code__.co_firstlineno + 1, 10)


def test_lines_in_threads_and_generators():
    with count_allocations(lines=__file__) as counter:
        in_threads()
        from_a_generator()
    found = {entry.function: (entry.count, entry.bytes) for entry in counter.lines()}
    assert found["temporaries"] == (9, 72000)
    assert found["produce"] == (4, 3200)


def test_a_line_keeps_what_it_holds_when_another_frees_it():
    def hold():
        return A + B

    with count_allocations(lines=__file__) as counter:
        held = [hold(), hold()]
        held.pop()
        (line,) = counter.lines()
        assert (line.live, line.peak) == (8000, 16000)


def test_a_predicate_that_fails_is_said():
    def fails(filename):
        raise LookupError("no such table")

    with count_allocations(lines=fails) as counter:
        A + B
    assert counter.count == 1
    with pytest.raises(RuntimeError, match="LookupError: no such table"):
        counter.lines()
    assert "no such table" in counter.notes[0]
    assert counter.to_dict()["lines"] == []


def test_a_predicate_may_allocate_and_let_other_threads_run():
    def wanted(filename):
        time.sleep(1e-3)
        return (A + B)[0] == 2 and filename == __file__

    with count_allocations(lines=wanted) as counter:
        in_threads()
    assert counter.notes == ()
    found = counter.lines()
    assert sum(entry.count for entry in found) == counter.count
    # What the predicate takes is counted, on no line.
    (program,) = [entry for entry in found if entry.function == "temporaries"]
    assert program.count == 9
    assert {entry.line for entry in found} == {0, program.line}


def test_an_exception_that_is_under_way_stays():
    class Raises:
        def __array__(self, dtype=None, copy=None):
            np.empty(100)
            raise LookupError("mine")

    with count_allocations(lines=lambda filename: True) as counter, pytest.raises(LookupError, match="mine"):
        np.asarray(Raises())
    assert counter.count == 1


def test_work_memory_of_kernels(cache_dir):
    import tensorops

    a = np.ones((300, 300), np.float32)
    done, counted_all = threading.Event(), threading.Event()

    def work():
        tensorops.matmul(a, a)
        done.set()
        # The buffer goes with the thread, at a moment after `join` that nobody can wait for.
        counted_all.wait(60)

    with count_allocations() as counter:
        # A new thread has no buffer yet.
        thread = threading.Thread(target=work)
        thread.start()
        done.wait()
        counted = counter.work_memory
    assert counted.count >= 1
    assert counted.bytes > 0
    assert counter.count == 1
    assert counter.work_memory == counted
    held = workspace.statistics()["live"]
    with count_allocations() as counter:
        pass
    assert (counter.work_memory.count, counter.work_memory.held_before) == (0, held)
    counted_all.set()
    thread.join()


def test_a_product_with_out_allocates_nothing(cache_dir):
    import tensorops

    a = np.ones((100, 100), np.float32)
    out = np.empty_like(a)
    tensorops.matmul(a, a, out=out)
    with count_allocations() as counter:
        tensorops.matmul(a, a, out=out)
        tensorops.matmul(a, a)
    assert (counter.count, counter.bytes) == (1, a.nbytes)


def test_flush_writes_what_is_counted_so_far(tmp_path):
    path = tmp_path / "counts.json"
    with count_allocations(lines=__file__) as counter:
        x = A + B
        counter.flush(path)
        y = x + B
    written = json.loads(path.read_text())
    assert (written["schema"], written["kind"], written["count"], written["live"]) == (
        1,
        "allocations",
        1,
        8000,
    )
    assert written["lines"][0]["line"] == test_flush_writes_what_is_counted_so_far.__code__.co_firstlineno + 3
    counter.flush(str(path))
    assert json.loads(path.read_text()) == {"schema": 1, "kind": "allocations", **counter.to_dict()}
    assert [entry.name for entry in tmp_path.iterdir()] == ["counts.json"]
    with pytest.raises(OSError, match="nowhere"):
        counter.flush(tmp_path / "nowhere" / "counts.json")
    assert y[0] == 3


actions = st.lists(
    st.one_of(
        st.tuples(st.just("make"), st.integers(0, 5), st.integers(0, 300)),
        st.tuples(st.just("drop"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("resize"), st.integers(0, 50), st.integers(1, 300)),
    ),
    max_size=60,
)


@given(actions=actions, min_bytes=st.sampled_from([0, 1, 64, 500]))
def test_whatever_happens_the_figures_agree(actions, min_bytes):
    makers = [
        run_source(f"maker{n}", f"def make(size):\n    return np.empty(size, 'u1')\n#{n}") for n in range(6)
    ]
    alive, count, total, peak = [], 0, 0, 0

    def counted(array):
        # An array without elements has a buffer of one byte all the same.
        size = max(array.nbytes, 1)
        return size if size >= min_bytes else 0

    with count_allocations(min_bytes=min_bytes, lines=lambda name: name.startswith("maker")) as counter:
        for action, number, size in actions:
            if action == "make":
                alive.append(makers[number]["make"](size))
                count += counted(alive[-1]) > 0
                total += counted(alive[-1])
            elif alive and action == "drop":
                del alive[number % len(alive)]
            elif alive:
                array = alive[number % len(alive)]
                if array.nbytes != size:
                    array.resize(size, refcheck=False)
                    count += counted(array) > 0
                    total += counted(array)
                del array
            peak = max(peak, sum(map(counted, alive)))
            assert counter.live == sum(map(counted, alive))
        found = counter.lines()
    assert (counter.count, counter.bytes, counter.peak) == (count, total, peak)
    assert counter.peak >= counter.live
    for figure in ("count", "bytes", "live"):
        assert sum(getattr(entry, figure) for entry in found) == getattr(counter, figure)
    assert all(entry.peak >= entry.live for entry in found)
    assert sum(entry.peak for entry in found) >= counter.peak
