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
# # 5. Fuse, and work in place
#
# *35 minutes. Needs: notebooks 1 and 3. You will be able to: count passes, bytes and temporaries of an expression, say whether memory
# or arithmetic limits it, and make one pass of it.*

# %%
import course
import numpy as np

import profiling
import tensorops
from profiling.model import roofline

course.style()

# %% [markdown]
# ## One expression, many passes
#
# `gelu`, as one writes it in NumPy. Each operation reads whole arrays and writes a new one, before the next begins. Count in the
# source: how many temporaries does one call allocate?

# %%
guess_temporaries = 4


def numpy_gelu(x):
    """Return gelu, tanh form."""
    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


rng = np.random.default_rng(0)
x = rng.normal(size=1_000_000).astype(np.float32)
numpy_gelu(x)
with profiling.count_allocations() as allocations:
    numpy_gelu(x)
course.compare(guess_temporaries, allocations.count, "arrays")
print(
    f"{allocations.bytes / x.nbytes:.1f} times the size of x allocated, at most {allocations.peak / x.nbytes:.1f} times at once"
)

# %% [markdown]
# ## One pass
#
# `tensorops.gelu` reads each number once, keeps what is in between in registers, and writes the result once. `gelu_` writes it
# where `x` was. How many times faster than NumPy?

# %%
guess_fused = 3.0
out = np.empty_like(x)
scratch = x.copy()
result = profiling.bench(
    lambda: tensorops.gelu(x, approximate="tanh", out=out),
    against={
        "NumPy": lambda: numpy_gelu(x),
        "in place": lambda: tensorops.gelu_(scratch, approximate="tanh"),
    },
    name="fused",
    blocks=3,
    budget_seconds=3.0,
)
assert np.allclose(tensorops.gelu(x, approximate="tanh"), numpy_gelu(x), rtol=1e-4, atol=1e-6)
with profiling.count_allocations() as allocations:
    tensorops.gelu(x, approximate="tanh", out=out)
gain_fused = result.ratio("NumPy").estimate
course.compare(guess_fused, gain_fused, "times")
print(f"arrays allocated with out=: {allocations.count}")
course.bars(
    list(result.contenders),
    [1e3 * result.seconds_of(name).estimate for name in result.contenders],
    "ms for a million elements",
    title="gelu: eight passes, or one",
)

# %% [markdown]
# ## Your own expression
#
# A library cannot have every formula. `@tensorops.fuse` compiles yours: the source is parsed, checked, turned into one loop over
# vectors, and cached. Leaky integrate-and-fire neurons, one step:


# %%
def step(v, current, decay):
    """Return the membrane voltages after a step; neurons above the threshold fire and start at zero."""
    v = v * decay + current
    return np.where(v > 1.0, 0.0, v)


fused_step = tensorops.fuse(step)
v, current = rng.random(1_000_000, np.float32), 0.1 * rng.random(1_000_000, np.float32)
assert np.allclose(fused_step(v, current, 0.9), step(v, current, np.float32(0.9)), rtol=1e-6)
print(fused_step.explain(v, current, 0.9))
own = profiling.bench(
    lambda: fused_step(v, current, 0.9),
    against={"NumPy": lambda: step(v, current, np.float32(0.9))},
    name="fused",
    blocks=3,
    budget_seconds=2.0,
)
gain_own = own.ratio("NumPy").estimate
print(f"{gain_own:.1f} times NumPy")

# %% [markdown]
# ## Memory or arithmetic?
#
# `relu` does almost nothing to a number; what it costs is to bring it and to take it away. The *roofline* tells which limit counts:
# the rate is at most (operations per byte) times (bytes per second). Measured for this machine, on one thread:

# %%
from profiling.model import geometry

levels = geometry.machine_levels()
bandwidths = roofline.measure_bandwidths(levels, 1, roofline.fastest_mean)
for found in bandwidths:
    print(f"{found.level:8} {found.best:7.1f} GB/s")
large = rng.normal(size=4_000_000).astype(np.float32)
target = np.empty_like(large)
tensorops.set_num_threads(1)
in_place = profiling.bench(
    lambda: tensorops.relu_(large),
    against={"new array": lambda: np.maximum(large, 0), "out=": lambda: np.maximum(large, 0, out=target)},
    name="relu_",
    blocks=4,
    budget_seconds=3.0,
)
moved = 2 * large.nbytes
rates = {name: moved / in_place.seconds_of(name).estimate / 1e9 for name in in_place.contenders}
course.bars(
    list(rates),
    list(rates.values()),
    "GB/s read and written",
    title="relu on 16 MB, one thread",
    roof=("best of memory", bandwidths[-1].best),
)
gain_in_place = in_place.ratio("new array").estimate
print(f"in place over NumPy's new array: {gain_in_place:.2f} times")

# %% [markdown]
# A new array costs more than the pass: the system has to give its pages, zero them, and take them back. Working in place touches
# half the memory, and pages that are there.
#
# ## When it pays
#
# The same comparison over sizes. Where will the gain of fusing be largest?

# %%
guess_best_size = 4_000_000
sizes = [100, 1_000, 10_000, 100_000, 1_000_000, 4_000_000]
gains = []
for size in sizes:
    part = rng.normal(size=size).astype(np.float32)
    written = np.empty_like(part)
    found = profiling.bench(
        lambda part=part, written=written: tensorops.gelu(part, approximate="tanh", out=written),
        against={"NumPy": lambda part=part: numpy_gelu(part)},
        name="fused",
        blocks=2,
        budget_seconds=0.6,
    )
    gains.append(found.ratio("NumPy").estimate)
course.lines(
    {"gelu": (sizes, gains)},
    "elements",
    "times NumPy's speed",
    title="The gain of one pass, by size",
    log="x",
)
print(f"largest at {sizes[int(np.argmax(gains))]:,}; you said {guess_best_size:,}")

# %% [markdown]
# ## Exercise: count the traffic
#
# An expression of `k` elementwise operations on one array of `n` bytes, each with one operand array and one result. Write
# `traffic(k, n)`: bytes moved with a temporary for each operation, and in one pass.


# %% tags=["solution"]
def traffic(operations, nbytes):
    """Return bytes moved by separate passes, and by one."""
    ### BEGIN SOLUTION
    return 2 * operations * nbytes, 2 * nbytes
    ### END SOLUTION


# %% tags=["check"]
def test_traffic():
    """Three operations on 100 bytes."""
    assert traffic(1, 100) == (200, 200), "a single operation gains nothing"
    assert traffic(3, 100) == (600, 200), "three operations read and write three times"


course.check("count the traffic", test_traffic)

# %% [markdown]
# ## What the module claims, and what this machine says

# %%
course.claims(
    [
        (
            "in place instead of a new array",
            "1.5-2x",
            f"{gain_in_place:.1f}x at 16 MB",
            gain_in_place >= 1.5,
            "arrays larger than the caches; none at 1 kB",
        ),
        (
            "one pass instead of eight",
            "2-5x",
            f"{gain_fused:.1f}x",
            gain_fused >= 2,
            "the more operations, the more it gains",
        ),
        ("your own expression, fused", "2-5x", f"{gain_own:.1f}x", gain_own >= 2, "the first call compiles"),
    ]
)
