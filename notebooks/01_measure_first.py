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
# A tensor library written with plain Python loops is slow. How slow, compared with what, and how do we
# know? This notebook measures one matrix product in four ways. Nothing is optimised yet: the point is
# a number that one can trust.

# %%
import time

import numpy as np

import tensorops
from profiling.measure import stats, timer

tensorops.show_config()

# %% [markdown]
# ## The product as a course writes it first
#
# Three loops over rows, columns and the sum. Small integers as operands make every sum exact, so that
# the result must be equal to NumPy's, not only close.


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
# The same call, timed ten times: other programs, the processor's clock and cold caches all leave their
# mark. They only ever add time, so the smallest of a few neighbouring times says most about the code.

# %%
times = []
for _ in range(10):
    start = time.perf_counter()
    tensorops.matmul(a, b, backend="naive")
    times.append(time.perf_counter() - start)
print("microseconds:", " ".join(f"{1e6 * t:.0f}" for t in times))

# %% [markdown]
# ## Contenders that take turns
#
# `profiling` lets the contenders alternate: A B B A. A slow moment of the machine then hits both, and
# the ratio of the two survives it. Each sample repeats the call until it lasts long enough for the clock.

# %%
contenders = [
    timer.LocalContender("python", timer.loop_of(lambda: python_matmul(rows_a, rows_b))),
    *(
        timer.LocalContender(name, timer.loop_of(lambda name=name: tensorops.matmul(a, b, backend=name)))
        for name in ("naive", "blocked", "numpy")
    ),
]
schedule = timer.Schedule(sample_seconds=1e-3, blocks=6, budget_seconds=5.0)
samples = timer.interleave(contenders, schedule)

for name, values in samples.items():
    taken = stats.seconds([values])
    print(f"{name:8} {1e6 * taken.estimate:10.1f} us  [{1e6 * taken.low:.1f}, {1e6 * taken.high:.1f}]")

# %% [markdown]
# ## Faster, or noise?
#
# A ratio comes with an interval. We say "faster" only where the interval excludes 1; here each
# contender is compared with the Python loops, and our kernel with NumPy.

# %%
for name in ("naive", "blocked", "numpy"):
    ratio = stats.paired_ratio([samples[name]], [samples["python"]])
    print(f"{name:8} {ratio.estimate:8.1f} times the Python loops  [{ratio.low:.1f}, {ratio.high:.1f}]")

ratio = stats.paired_ratio([samples["blocked"]], [samples["numpy"]])
verdict = "a difference" if ratio.excludes(1.0) else "no difference that these samples can show"
print(f"blocked against numpy: {ratio.estimate:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]: {verdict}")

# %% [markdown]
# ## What runs when nobody chooses
#
# Without `backend=` the dispatcher chooses, by what was measured on this machine or, before anything was
# measured, by shipped thresholds. It tells why. `python -m profiling.report matmul` measures and stores
# what it reads; the next step is to see in that report *where* the time goes.

# %%
print(tensorops.explain("matmul", a, b))
