# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. Measure first
#
# *25 minutes. Needs: NumPy. You will be able to: time a call so that the number means something, say "faster"
# only when it is, and recognise a benchmark that lies.*
#
# Every later step of this course is judged by a measurement, so the measurement comes first. The subject is one
# matrix product of 64 by 64, written in four ways.

# %%
import time

import course
import numpy as np

import profiling
import tensorops

course.style()
tensorops.show_config()

# %% [markdown]
# ## The product as a course writes it first
#
# Three loops: rows, columns, the sum. The operands hold small integers, so that every sum is exact and a
# result must *equal* NumPy's, not only resemble it. A benchmark that does not check its result measures
# how fast something wrong can be.


# %%
def python_matmul(a, b):
    """Multiply two matrices given as lists of rows."""
    columns = list(zip(*b, strict=True))
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in a]


size = 64
rng = np.random.default_rng(0)
a = rng.integers(-8, 8, (size, size)).astype(np.float32)
b = rng.integers(-8, 8, (size, size)).astype(np.float32)
rows_a, rows_b = a.tolist(), b.tolist()

expected = a @ b
assert np.array_equal(python_matmul(rows_a, rows_b), expected)
for backend in ("naive", "blocked", "numpy"):
    assert np.array_equal(tensorops.matmul(a, b, backend=backend), expected)

# %% [markdown]
# ## One time is no measurement
#
# The same call, two hundred times. Before you run the cell: by which factor do the slowest and the fastest differ?

# %%
my_guess = 2.0

times = []
for _ in range(200):
    start = time.perf_counter()
    tensorops.matmul(a, b, backend="naive")
    times.append(time.perf_counter() - start)
microseconds = 1e6 * np.array(times)
course.compare(my_guess, microseconds.max() / microseconds.min(), "times the fastest")
course.lines(
    {"one call": (range(len(times)), microseconds)},
    "number of the call",
    "time in µs",
    title="The same call, again and again",
)

# %% [markdown]
# Other programs, interrupts, the processor's clock and cold caches only ever *add* time. So the mean says more about
# the machine's morning than about the code; the smallest of a few neighbouring times says most about the code.
#
# The first calls are often slower than all others: kernels are loaded, memory is touched for the first time, the
# clock rises. That is the warm-up; a careful timer finds it and leaves it out.

# %%
print(f"first call      {microseconds[0]:8.1f} µs")
print(f"mean            {microseconds.mean():8.1f} µs")
print(f"median          {np.median(microseconds):8.1f} µs")
print(f"fastest         {microseconds.min():8.1f} µs")

# %% [markdown]
# ## Contenders that take turns
#
# To compare two ways, let them alternate: A B B A. A slow moment of the machine then hits both, and the ratio of
# their times survives it. `profiling.bench` does this, repeats short calls until the clock can see them, finds the
# warm-up, and gives every figure with an interval.
#
# How many times faster than the Python loops will the compiled loops be, and NumPy's product?

# %%
guess_naive, guess_numpy = 10.0, 100.0

result = profiling.bench(
    lambda: python_matmul(rows_a, rows_b),
    against={
        "naive": lambda: tensorops.matmul(a, b, backend="naive"),
        "blocked": lambda: tensorops.matmul(a, b, backend="blocked"),
        "numpy": lambda: np.matmul(a, b),
    },
    name="python",
    blocks=6,
    budget_seconds=4.0,
)
seconds = {name: result.seconds_of(name) for name in result.contenders}
for name, found in seconds.items():
    print(f"{name:8} {1e6 * found.estimate:10.1f} µs  [{1e6 * found.low:.1f}, {1e6 * found.high:.1f}]")
course.compare(guess_naive, seconds["python"].estimate / seconds["naive"].estimate, "times")
course.compare(guess_numpy, seconds["python"].estimate / seconds["numpy"].estimate, "times")
course.bars(
    list(seconds),
    [1e6 * found.estimate for found in seconds.values()],
    "µs a call (logarithmic)",
    title=f"Four ways to multiply {size} by {size}",
    log=True,
)

# %% [markdown]
# ## Faster, or noise?
#
# "Faster" is a fair word where the interval of the ratio excludes 1. Here the same function takes part twice:
# any difference is noise, and an honest method says so.

# %%
same = profiling.bench(
    lambda: np.matmul(a, b),
    against={"itself": lambda: np.matmul(a, b)},
    name="numpy",
    blocks=12,
    budget_seconds=1.0,
)
ratio = same.ratio("itself")
verdict = "a difference!" if ratio.excludes(1.0) else "no difference that these samples can show"
print(f"numpy against itself: {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]: {verdict}")

# %% [markdown]
# ## How a microbenchmark lies
#
# Three ways that are met every day:
#
# * **Hot caches.** The loop multiplies the same two matrices again and again; a program that streams through
#   many finds them in memory instead.
# * **Nothing is used.** A compiler, or a lazy library, may leave out work whose result nobody reads.
# * **The wrong size.** What wins at 64 may lose at 4: there the call itself costs more than the arithmetic.

# %%
small_a, small_b = a[:4, :4].copy(), b[:4, :4].copy()
tiny = profiling.bench(
    lambda: tensorops.matmul(small_a, small_b),
    against={"numpy": lambda: np.matmul(small_a, small_b)},
    name="tensorops",
    blocks=8,
    budget_seconds=1.0,
)
flops = 2 * 4**3
for name in tiny.contenders:
    took = tiny.seconds_of(name).estimate
    print(f"{name:10} 4x4: {1e9 * took:6.0f} ns, {flops / took / 1e9:6.2f} GFLOP/s")

# %% [markdown]
# ## Exercise: a timer of your own
#
# Write `fastest_of(call, blocks, calls)`: run `call` in blocks of `calls`, and return the median over the blocks of the
# smallest time in each. Why not the smallest time of all? (One lucky reading would decide.)


# %% tags=["solution"]
def fastest_of(call, blocks=9, calls=4):
    """Return the median over blocks of the smallest time in a block, in seconds."""
    ### BEGIN SOLUTION
    smallest = []
    for _ in range(blocks):
        taken = []
        for _ in range(calls):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
        smallest.append(min(taken))
    return float(np.median(smallest))
    ### END SOLUTION


# %% tags=["check"]
def test_timer():
    """The timer finds the time of a wait, and is not led astray by a call that is slow now and then."""
    calls = iter([0.001, 0.02, 0.001, 0.001] * 9)
    found = fastest_of(lambda: time.sleep(next(calls)), blocks=9, calls=4)
    assert 0.001 <= found < 0.01, f"a wait of 1 ms with some of 20 ms was measured as {1e3 * found:.1f} ms"


course.check("a timer of your own", test_timer)

# %% [markdown]
# ## What the module claims, and what this machine says

# %%
gain = seconds["python"].estimate / seconds["numpy"].estimate
course.claims(
    [
        (
            "NumPy instead of loops",
            "10-100x",
            f"{gain:.0f}x at {size}",
            gain >= 10,
            "grows with the size; at 4 by 4 the call decides, not the arithmetic",
        ),
    ]
)
