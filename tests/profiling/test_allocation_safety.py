"""Counting allocations harms nobody: other handlers, contexts, forks, threads, and what outlives it."""

import contextvars
import ctypes
import gc
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from profiling.collect.allocations import count_allocations

A = np.ones(1000)
MALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
CALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
REALLOC = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Allocator(ctypes.Structure):
    _fields_ = [
        ("ctx", ctypes.c_void_p),
        ("malloc", MALLOC),
        ("calloc", CALLOC),
        ("realloc", REALLOC),
        ("free", FREE),
    ]


class Handler(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("allocator", Allocator)]


def numpy_function(place, *types):
    """Return a function of NumPy's C interface by its place in the table."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = ctypes.cast(get(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(ctypes.py_object, *types)(table[place])


set_handler = numpy_function(304, ctypes.py_object)
get_handler = numpy_function(305)


class OwnHandler:
    """A user's data-memory handler; passes on to NumPy's own, or takes from the C library."""

    def __init__(self, *, passes_on):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        get = ctypes.pythonapi.PyCapsule_GetPointer
        base = ctypes.cast(get(get_handler(), b"mem_handler"), ctypes.POINTER(Handler)).contents.allocator
        libc = ctypes.CDLL(None)
        libc.malloc.restype = libc.calloc.restype = libc.realloc.restype = ctypes.c_void_p
        libc.malloc.argtypes = [ctypes.c_size_t]
        libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]
        self.requests = 0

        def malloc(ctx, size):
            self.requests += 1
            return base.malloc(None, size) if passes_on else libc.malloc(size)

        def calloc(ctx, count, size):
            self.requests += 1
            return base.calloc(None, count, size) if passes_on else libc.calloc(count, size)

        def realloc(ctx, block, size):
            self.requests += 1
            return base.realloc(None, block, size) if passes_on else libc.realloc(block, size)

        def free(ctx, block, size):
            if passes_on:
                base.free(None, block, size)
            else:
                libc.free(block)

        functions = MALLOC(malloc), CALLOC(calloc), REALLOC(realloc), FREE(free)
        self.struct = Handler(b"own", 1, Allocator(None, *functions))
        self.capsule = new(ctypes.addressof(self.struct), CAPSULE_NAME, None)

    def __enter__(self):
        self.previous = set_handler(self.capsule)
        return self

    def __exit__(self, *reason):
        set_handler(self.previous)


# The capsule keeps the pointer, not a copy.
CAPSULE_NAME = ctypes.create_string_buffer(b"mem_handler")
KEPT = []


@pytest.fixture(params=[False, True], ids=["of the C library", "that passes on"])
def own(request):
    KEPT.append(OwnHandler(passes_on=request.param))
    return KEPT[-1]


def work():
    x = A + A
    x = np.zeros(50)
    x.resize(100, refcheck=False)
    return x


def test_a_users_handler_is_counted_once_and_kept(own):
    with own:
        before = get_handler()
        with count_allocations(lines=__file__) as counter:
            x = work()
            assert counter.live == x.nbytes
            del x
        assert get_handler() is before
        outlives = work()
    assert (counter.count, counter.bytes, counter.live) == (3, 8000 + 400 + 800, 0)
    assert sum(entry.count for entry in counter.lines()) == 3
    assert counter.notes == ()
    assert own.requests >= 6
    del outlives


def test_counters_around_and_inside_a_users_handler(own):
    with count_allocations() as outer:
        with own, count_allocations() as inner:
            work()
        work()
    assert inner.count == 3
    assert outer.count == 6


def test_nested_counters_of_a_users_handler_end_in_any_order(own):
    with own:
        before = get_handler()
        first, second = count_allocations(), count_allocations()
        first.__enter__()
        second.__enter__()
        work()
        first.__exit__(None, None, None)
        work()
        second.__exit__(None, None, None)
        assert (first.count, second.count) == (3, 6)
        assert get_handler() is before


def test_a_handler_set_inside_the_block_is_said(own):
    with count_allocations() as counter:
        own.__enter__()
        work()
    own.__exit__()
    assert "'own'" in counter.notes[0]


def test_a_block_that_is_left_in_another_context(own):
    counter = count_allocations()
    context = contextvars.copy_context()
    context.run(own.__enter__)
    context.run(counter.__enter__)
    work()
    context.run(work)
    counter.__exit__(None, None, None)
    assert counter.count == 6
    assert "another context" in counter.notes[0]
    # The wrapper stays where it was set and passes on.
    assert context.run(lambda: work().sum()) == 0
    assert counter.count == 6


def test_numpys_handler_is_as_it_was_afterwards():
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = get(get_handler(), b"mem_handler")
    before = ctypes.string_at(address, ctypes.sizeof(Handler))
    with count_allocations():
        assert ctypes.string_at(address, ctypes.sizeof(Handler)) != before
        with count_allocations():
            pass
        assert ctypes.string_at(address, ctypes.sizeof(Handler)) != before
    assert ctypes.string_at(address, ctypes.sizeof(Handler)) == before


def test_a_counter_that_is_never_left_ends_with_its_object():
    get = ctypes.pythonapi.PyCapsule_GetPointer
    address = get(get_handler(), b"mem_handler")
    before = ctypes.string_at(address, ctypes.sizeof(Handler))
    counter = count_allocations(lines=__file__)
    counter.__enter__()
    work()
    del counter
    assert ctypes.string_at(address, ctypes.sizeof(Handler)) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_fork_in_the_middle():
    source = """
        import os, numpy as np
        from profiling.collect.allocations import count_allocations
        with count_allocations(lines=True) as counter:
            x = np.ones(1000)
            child = os.fork()
            y = np.ones(1000)
            del x
            seen = (counter.count, counter.live, sum(entry.count for entry in counter.lines()))
            if child == 0:
                os._exit(seen != (2, 8000, 2))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert seen == (2, 8000, 2), seen
    """
    run(source)


def test_heavy_use_neither_crashes_nor_leaks():
    source = """
        import gc, sys, threading, time
        import numpy as np, psutil
        from profiling.collect.allocations import count_allocations

        sys.setswitchinterval(1e-5)
        end = time.monotonic() + SECONDS
        kept, errors = [], []

        def allocate(seed):
            rng = np.random.default_rng(seed)
            mine = []
            while time.monotonic() < end:
                for _ in range(50):
                    mine.append(np.empty(int(rng.integers(1, 5000)), "u1"))
                    if len(mine) > 200:
                        mine.pop(int(rng.integers(200)))
                    if rng.random() < 0.2:
                        mine[-1].resize(int(rng.integers(1, 9000)), refcheck=False)
                exec(compile("import numpy as np; x = np.zeros(2000)", f"made{seed}", "exec"), {})

        def count(number):
            while time.monotonic() < end:
                with count_allocations(min_bytes=number, lines=(number % 2 == 0)) as counter:
                    held = [np.empty(100) for _ in range(20)]
                    with count_allocations(lines=lambda name: "made" in name) as inner:
                        time.sleep(1e-4)
                        held.clear()
                    counter.to_dict()
                if not (counter.peak >= counter.live >= 0 and inner.peak >= inner.live >= 0):
                    errors.append(repr(counter))
                if sum(entry.live for entry in inner.lines()) != inner.live:
                    errors.append(repr(inner))

        threads = [threading.Thread(target=allocate, args=(n,)) for n in range(6)]
        threads += [threading.Thread(target=count, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors[:3]

        def once():
            for _ in range(200):
                with count_allocations(lines=True) as counter:
                    arrays = [np.empty(64) for _ in range(300)]
                kept.append(arrays[0])
            gc.collect()

        once()
        before = psutil.Process().memory_info().rss
        for _ in range(5):
            once()
            kept.clear()
        grown = psutil.Process().memory_info().rss - before
        assert grown < 8 * 2**20, grown
    """
    run(source.replace("SECONDS", "2"))


def run(source):
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr[-3000:]


def test_a_finalizer_that_allocates_while_blocks_go():
    class Holder:
        def __init__(self):
            self.array = np.ones(100)
            self.itself = self

        def __del__(self):
            np.ones(50)

    with count_allocations(lines=__file__) as counter:
        for _ in range(100):
            Holder()
        gc.collect()
    assert (counter.count, counter.bytes, counter.live) == (200, 100 * 1200, 0)
    assert sum(entry.bytes for entry in counter.lines()) == counter.bytes


def test_two_threads_enter_and_leave_at_once():
    start = threading.Barrier(4)
    counts = []

    def use():
        start.wait()
        for _ in range(200):
            with count_allocations() as counter:
                A + A
            counts.append(counter.count)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 800
    assert min(counts) >= 1
    A + A
