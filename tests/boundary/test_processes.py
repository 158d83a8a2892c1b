"""What concerns a process as a whole: the import, a fork, memory that runs out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorops.runtime import openmp

ROOT = Path(__file__).resolve().parents[2]

needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run(script: str, **variables: str) -> str:
    """Run a script in a process of its own and return what it prints."""
    completed = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, f"ended with {completed.returncode}: {completed.stderr}"
    return completed.stdout


LIGHT = """
import os, sys
import numpy as np
tasks = lambda: len(os.listdir("/proc/self/task"))
before = tasks()
import tensorops
a = np.ones((64, 64), np.float32)
tensorops.matmul(a, a)
tensorops.matmul(a, a[0])
tensorops.matmul(a[:4, :4], a[:4, :4], out=a[:4, :4])
heavy = {"line_profiler", "memory_profiler", "rich", "matplotlib", "torch", "dask", "profiling", "jinja2"}
print(tasks() - before, sorted(heavy & set(sys.modules)))
"""


@needs_proc
@pytest.mark.parametrize("threads", ["1", "2"])
def test_import_and_a_first_product_start_no_thread_and_load_no_tool(threads: str) -> None:
    # Whole products of 64 do not pay for a second thread.
    assert run(LIGHT, TENSOROPS_NUM_THREADS=threads) == "0 []\n"


FORK = """
import os, signal, sys, threading
import numpy as np
import tensorops
tensorops.set_num_threads(3)
a = np.random.default_rng(0).integers(-4, 5, size=(300, 300)).astype(np.float32)
stack = np.stack([a[:64, :64]] * 40)
expected, expected_stack = a @ a, stack @ stack
def right():
    return np.array_equal(tensorops.matmul(a, a), expected) and np.array_equal(
        tensorops.matmul(stack, stack), expected_stack
    )
assert right()
sys.stdout.flush()
for generation in range(2):
    child = os.fork()
    if child:
        break
    signal.alarm(60)
    # Also where the child asks for more, and on a thread of its own.
    serial = tensorops.get_num_threads() == 1
    found = [serial, right()]
    thread = threading.Thread(target=lambda: found.append(right()))
    thread.start()
    thread.join()
    tensorops.set_num_threads(2)
    found += [tensorops.get_num_threads() == 1, right()]
    print(generation, found, flush=True)
if child:
    status = os.waitpid(child, 0)[1]
    print(generation, os.waitstatus_to_exitcode(status), tensorops.get_num_threads(), right(), flush=True)
"""


@needs_fork
def test_a_forked_child_and_its_child_compute_alone_and_right() -> None:
    own = str(3 if openmp.enabled() else 1)
    assert run(FORK).splitlines() == [
        "0 [True, True, True, True, True]",
        "1 [True, True, True, True, True]",
        "1 0 1 True",
        f"0 0 {own} True",
    ]


POOL = """
import multiprocessing
import warnings
import numpy as np
import tensorops
def work(size):
    a = np.full((size, size), 2, np.float32)
    return tensorops.get_num_threads(), float(tensorops.matmul(a, a).sum())
if __name__ == "__main__":
    work(300)
    with warnings.catch_warnings():
        # Python 3.12 and newer warn of every fork of a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, [100, 200, 300, 400]))
"""


@needs_fork
def test_a_pool_of_forked_workers() -> None:
    expected = [(1, 4.0 * size**3) for size in (100, 200, 300, 400)]
    assert run(POOL).strip() == str(expected)


EXHAUSTED = """
import resource
import numpy as np
import tensorops
from tensorops.runtime import workspace

threads = tensorops.get_num_threads()
rng = np.random.default_rng(0)
a = rng.integers(-4, 5, size=(700, 700)).astype(np.float32)
# Large enough that its work memory fits into no hole that the imports have left.
stack = np.stack([a[:500, :500]] * 4)
whole = rng.integers(-4, 5, size=(700, 700))
out = np.full((700, 700), 7, np.float32)
stack_out = np.full(stack.shape, 7, np.float32)
# One product that needs no work memory starts the threads; starting them needs memory of its own.
tensorops.matmul(np.ones((2000, 500), np.float32), np.ones(500, np.float32))
assert workspace.statistics()["count"] == 0

calls = {
    "packed": lambda: tensorops.matmul(a, a, out=out),
    "new result": lambda: tensorops.matmul(a, a),
    "overlap": lambda: tensorops.matmul(a, a, out=a),
    "converted": lambda: tensorops.matmul(whole, a, out=out),
    "stack": lambda: tensorops.matmul(stack, stack.swapaxes(-1, -2), out=stack_out),
}
expected = {
    "packed": a @ a, "new result": a @ a, "overlap": a @ a, "converted": whole @ a,
    "stack": stack @ stack.swapaxes(-1, -2),
}
kept = a.copy()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used, limits[1]))
found = {}
for name, call in calls.items():
    try:
        call()
        found[name] = "computed"
    except MemoryError as error:
        found[name] = "MemoryError" if str(error) else "MemoryError without a message"
resource.setrlimit(resource.RLIMIT_AS, limits)
untouched = (out == 7).all() and (stack_out == 7).all() and np.array_equal(a, kept)
again = all(np.array_equal(call(), expected[name]) for name, call in calls.items() if name != "overlap")
print(found, bool(untouched), again)
"""


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_without_memory_nothing_is_written(threads: str) -> None:
    names = ("packed", "new result", "overlap", "converted", "stack")
    # The allocator gives back at once what is freed, so that nothing is left for the calls.
    variables = {"TENSOROPS_NUM_THREADS": threads, "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    assert run(EXHAUSTED, **variables).strip() == f"{dict.fromkeys(names, 'MemoryError')} True True"
