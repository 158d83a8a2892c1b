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
# # 8. When not to optimise
#
# *25 minutes. Needs: notebooks 1 to 3. You will be able to: compute from a profile what an optimisation can gain at all, and
# recognise four situations in which it is not worth it.*

# %%
import time

import course
import numpy as np

import profiling
import tensorops

course.style()

# %% [markdown]
# ## Amdahl's law, on a profile of your own
#
# A small training loop: it reads a file, standardises the data, and does a few hundred steps of gradient descent. Before the
# cell runs: which share of the time is matrix products?

# %%
guess_share = 0.8

import io

rng = np.random.default_rng(0)
table = rng.normal(size=(1500, 20))
file = io.StringIO()
np.savetxt(file, table)
text = file.getvalue()
parts = {}


def timed(name, call, *arguments):
    """Run a part of the program and note its time."""
    start = time.perf_counter()
    result = call(*arguments)
    parts[name] = parts.get(name, 0.0) + time.perf_counter() - start
    return result


def train():
    """Fit a linear model to the file."""
    data = timed("read the file", lambda: np.loadtxt(io.StringIO(text)))
    x = timed("standardise", lambda: (data[:, 1:] - data[:, 1:].mean(axis=0)) / data[:, 1:].std(axis=0))
    y, w = data[:, :1], np.zeros((19, 1))
    for _ in range(200):
        error = timed("matrix products", tensorops.matmul, x, w) - y
        gradient = timed("matrix products", tensorops.matmul, x.T, error)
        timed("update", tensorops.axpy_, w, gradient, -0.1 / len(x))
    return w


train()
parts.clear()
weights = train()
total = sum(parts.values())
share = parts["matrix products"] / total
course.compare(guess_share, share)
course.bars(
    list(parts),
    [100 * seconds / total for seconds in parts.values()],
    "per cent of the time",
    title="Where the time goes",
)

# %% [markdown]
# If a part takes the share $p$ of the time and becomes $s$ times faster, the whole becomes $1 / (1 - p + p/s)$ times faster; with $s$
# without bound, $1 / (1 - p)$.


# %% tags=["solution"]
def whole_speedup(share, speedup):
    """Return how many times faster the whole becomes."""
    ### BEGIN SOLUTION
    return 1 / (1 - share + share / speedup)
    ### END SOLUTION


# %% tags=["check"]
def test_amdahl():
    """Limits and a value between."""
    assert whole_speedup(0.5, 1) == 1, "nothing became faster"
    assert abs(whole_speedup(0.5, 2) - 4 / 3) < 1e-12, "half of the time, twice as fast: 4/3"
    assert whole_speedup(0.2, 1e12) < 1.26, "a fifth of the time can give no more than 1.25"


course.check("Amdahl's law", test_amdahl)
speedups = [2**power for power in range(8)]
course.lines(
    {
        name: (speedups, [whole_speedup(seconds / total, s) for s in speedups])
        for name, seconds in parts.items()
    },
    "speed-up of the part",
    "speed-up of the program",
    title="What each part can give",
    log="x",
)

# %% [markdown]
# ## Small data
#
# A call has a price that does not depend on its data: arguments are checked, a path is chosen, a result is allocated. On
# eight numbers nothing else is seen, and a faster kernel changes nothing.

# %%
lengths = [8, 64, 512, 4096, 32768, 262144]
per_element = {"tensorops.gelu": [], "NumPy": []}


def numpy_gelu(x):
    """Return gelu, tanh form, as one writes it in NumPy."""
    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


for length in lengths:
    x = rng.normal(size=length).astype(np.float32)
    result = profiling.bench(
        lambda x=x: tensorops.gelu(x, approximate="tanh"),
        against={"NumPy": lambda x=x: numpy_gelu(x)},
        name="tensorops.gelu",
        blocks=2,
        budget_seconds=0.4,
        verify=True,
    )
    assert not result.errors
    for name in per_element:
        per_element[name].append(1e9 * result.seconds_of(name).estimate / length)
course.lines(
    {name: (lengths, values) for name, values in per_element.items()},
    "elements",
    "ns an element",
    title="The price of a call, shared by its elements",
    log="xy",
)

# %% [markdown]
# ## Already in a library
#
# `x @ w` is a product in a BLAS that people have tuned for forty years. What is there to gain over it at 512?

# %%
guess_gain = 1.2
a, b = (rng.normal(size=(512, 512)).astype(np.float32) for _ in range(2))
result = profiling.bench(
    lambda: tensorops.matmul(a, b, backend="blocked"),
    against={"numpy": lambda: a @ b},
    name="ours",
    blocks=4,
    budget_seconds=1.5,
)
blas = result.ratio("numpy")
course.compare(guess_gain, blas.estimate, "times NumPy's speed")

# %% [markdown]
# ## A better algorithm beats a better constant
#
# All pairwise distances of `n` points to find the nearest neighbour of each on a line: `n²` numbers, however fast. Sorting finds
# them in `n log n`. From which size does sorting win, and by how much at the end?

# %%
guess_end = 10.0
counts = [16, 64, 256, 1024, 4096]
taken = {"all pairs": [], "sorted": []}


def by_pairs(x):
    """Return the distance of each point to its nearest neighbour, from all pairs."""
    distances = np.abs(x[:, np.newaxis] - x)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


def by_sorting(x):
    """Return the same from the order of the points."""
    order = np.argsort(x)
    gaps = np.diff(x[order], prepend=-np.inf, append=np.inf)
    nearest = np.empty_like(x)
    nearest[order] = np.minimum(gaps[:-1], gaps[1:])
    return nearest


for count in counts:
    x = rng.random(count)
    assert np.allclose(by_pairs(x), by_sorting(x))
    result = profiling.bench(
        lambda x=x: by_sorting(x),
        against={"all pairs": lambda x=x: by_pairs(x)},
        name="sorted",
        blocks=2,
        budget_seconds=0.6,
    )
    for name in taken:
        taken[name].append(1e6 * result.seconds_of(name).estimate)
course.compare(guess_end, taken["all pairs"][-1] / taken["sorted"][-1], "times")
course.lines(
    {name: (counts, values) for name, values in taken.items()},
    "points",
    "time in µs",
    title="Complexity beats constants",
    log="xy",
)

# %% [markdown]
# ## What a GPU would change
#
# A GPU moves the roof: many times the arithmetic, many times the bandwidth. It does not change Amdahl's law, it raises the price of a
# call (to launch a kernel takes longer than a small product on the CPU), and it adds a bus that every byte has to cross once.
# So the questions stay: what is the share of the part, how large are the data, and where do they live?
#
# ## What the module claims, and what this machine says

# %%
most = 1 / (1 - share)
course.claims(
    [
        (
            "products are the bottleneck",
            "always",
            f"{100 * share:.0f} % here",
            share > 0.5,
            "measure; reading text often costs more",
        ),
        (
            "faster products, faster program",
            "2-5x",
            f"at most {most:.2f}x here",
            most >= 2,
            "Amdahl's law, with the share above",
        ),
        (
            "beating a BLAS",
            "never",
            f"{blas.estimate:.2f}x",
            blas.estimate < 1.05,
            "large squares; small and thin shapes differ",
        ),
    ]
)
