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
# # 6. Backends and automatic dispatch
#
# *35 minutes. Needs: notebooks 1 to 3. You will be able to: write a backend, let the machine's own measurements choose
# among implementations, read the reasons for a choice, and judge a dispatcher by its regret.*

# %%
import os
import tempfile

# What is tuned here must not change your own profile.
os.environ["TENSOROPS_CACHE_DIR"] = tempfile.mkdtemp()

import course
import numpy as np

import profiling
import tensorops
from tensorops.backends import ComputeBackend

course.style()
print(", ".join(tensorops.backends()))

# %% [markdown]
# ## No implementation is best everywhere
#
# The same products, computed by three backends. For which sizes will compiled plain loops beat the optimised kernel? For
# which will NumPy win?

# %%
guess_last_win_of_naive = 8

sizes = (2, 4, 8, 16, 32, 64, 128, 256)
rng = np.random.default_rng(0)
rates = {"naive": [], "blocked": [], "numpy": []}
for size in sizes:
    a, b = (rng.integers(-8, 8, (size, size)).astype(np.float32) for _ in range(2))
    assert all(np.array_equal(tensorops.matmul(a, b, backend=name), a @ b) for name in rates)
    result = profiling.bench(
        lambda a=a, b=b: tensorops.matmul(a, b, backend="naive"),
        against={
            name: (lambda a=a, b=b, name=name: tensorops.matmul(a, b, backend=name))
            for name in ("blocked", "numpy")
        },
        name="naive",
        blocks=3,
        budget_seconds=0.5,
        threads=1,
    )
    for name in rates:
        rates[name].append(2 * size**3 / result.seconds_of(name).estimate / 1e9)
course.lines(
    {name: (sizes, values) for name, values in rates.items()},
    "size of the square matrices",
    "GFLOP/s",
    title="Three backends, called by name, one thread",
    log="xy",
)
wins = [size for size, *three in zip(sizes, *rates.values(), strict=True) if three[0] == max(three)]
print(f"naive wins at {wins or 'no size'}; you said up to {guess_last_win_of_naive}")

# %% [markdown]
# ## A backend of your own
#
# A backend says whether it can compute a call, and computes it into `out`. Everything else (checking operands, broadcasting,
# allocating) has been done before it is asked. Here is one that multiplies by Strassen's first step: seven products of half the
# size instead of eight.


# %%
class Strassen(ComputeBackend):
    """One step of Strassen's method where all sizes are even, on float64 matrices."""

    name = "strassen"

    def available(self):
        """Return None: it needs nothing."""
        return None

    def supports(self, call):
        """Return why it cannot compute a call, or None."""
        if call.op != "matmul" or call.dtype != "float64":
            return "it multiplies float64 matrices only"
        if any(len(shape) != 2 for shape in call.shapes):
            return "it multiplies two matrices, no batches"
        return None

    def run(self, op, arrays, out, *, variant=None, **params):
        """Compute the product into `out` and return it."""
        a, b = arrays
        if any(size % 2 for size in (*a.shape, *b.shape)):
            return np.matmul(a, b, out=out)
        m, k, n = a.shape[0] // 2, a.shape[1] // 2, b.shape[1] // 2
        a11, a12, a21, a22 = a[:m, :k], a[:m, k:], a[m:, :k], a[m:, k:]
        b11, b12, b21, b22 = b[:k, :n], b[:k, n:], b[k:, :n], b[k:, n:]
        p1 = (a11 + a22) @ (b11 + b22)
        p2 = (a21 + a22) @ b11
        p3 = a11 @ (b12 - b22)
        p4 = a22 @ (b21 - b11)
        p5 = (a11 + a12) @ b22
        p6 = (a21 - a11) @ (b11 + b12)
        p7 = (a12 - a22) @ (b21 + b22)
        out[:m, :n] = p1 + p4 - p5 + p7
        out[:m, n:] = p3 + p5
        out[m:, :n] = p2 + p4
        out[m:, n:] = p1 - p2 + p3 + p6
        return out


tensorops.register_backend(Strassen(), replace=True)
a, b = (rng.integers(-8, 8, (64, 64)).astype(np.float64) for _ in range(2))
assert np.array_equal(tensorops.matmul(a, b, backend="strassen"), a @ b)
with tensorops.use_backend("strassen"):
    assert np.array_equal(tensorops.matmul(a, b), a @ b)

# %% [markdown]
# Fewer multiplications are not fewer seconds: the additions run over memory. Does the step pay at 512?

# %%
guess_strassen = 1.1
a, b = (rng.integers(-8, 8, (512, 512)).astype(np.float64) for _ in range(2))
result = profiling.bench(
    lambda: tensorops.matmul(a, b, backend="strassen"),
    against={"numpy": lambda: tensorops.matmul(a, b, backend="numpy")},
    name="strassen",
    blocks=3,
    budget_seconds=2.0,
)
course.compare(guess_strassen, result.ratio("numpy").estimate, "times NumPy's speed")
print(tensorops.explain("matmul", a, b))

# %% [markdown]
# ## Choosing by what was measured
#
# Without a profile of this machine the library follows thresholds that it was shipped with. A few seconds of tuning measure
# the paths where the decision is close, and write a profile; from then on it decides.

# %%
before = {
    size: tensorops.explain("matmul", (size, size), (size, size), dtype="float32")
    for size in (4, 16, 64, 256)
}
report = profiling.autotune(seconds=4)
print(report)
for size, reason in before.items():
    after = tensorops.explain("matmul", (size, size), (size, size), dtype="float32")
    print(f"{size:4}: {reason.choice.path:16} -> {after.choice.path}")

# %% [markdown]
# Each choice can give its reasons: who was measured, how long each takes, how far the nearest measured shape is.

# %%
print(tensorops.explain("matmul", (64, 784), (784, 128), dtype="float32"))

# %% [markdown]
# ## Regret
#
# A dispatcher is judged on shapes that it has *not* measured: the time of what it chose over the time of the best. 1 is
# perfect. How large will the geometric mean be over twelve random shapes?

# %%
guess_regret = 1.05


def regret_of(shapes, budget=0.25):
    """Return the time of the chosen path over the best one's, for one shape."""
    operands = [rng.integers(-4, 5, shape).astype(np.float32) for shape in shapes]
    contenders = {
        name: (lambda name=name: tensorops.matmul(*operands, backend=name))
        for name in ("naive", "blocked", "numpy")
    }
    result = profiling.bench(
        lambda: tensorops.matmul(*operands),
        against=contenders,
        name="chosen",
        blocks=2,
        budget_seconds=budget,
    )
    times = {name: result.seconds_of(name).estimate for name in result.contenders}
    return times["chosen"] / min(times.values())


shapes = [tuple(int(2**power) for power in rng.uniform(1, 8, 3)) for _ in range(12)]
regrets = [regret_of(((m, k), (k, n))) for m, k, n in shapes]
mean = float(np.exp(np.mean(np.log(regrets))))
course.compare(guess_regret, mean)
course.bars(
    ["x".join(map(str, shape)) for shape in shapes],
    regrets,
    "time of the choice / time of the best",
    title="Regret on shapes that were not tuned",
    roof=("perfect:", 1.0),
)

# %% [markdown]
# ## Exercise: a policy
#
# Given measured times per path at a few sizes, write `choose(size, measured)`: the path with the least time at the measured
# size nearest to `size` on a logarithmic scale. (The library does more: it fits a small cost model and interpolates.)


# %% tags=["solution"]
def choose(size, measured):
    """Return the best path's name; `measured` maps sizes to {path: seconds}."""
    ### BEGIN SOLUTION
    nearest = min(measured, key=lambda known: abs(np.log(known / size)))
    return min(measured[nearest], key=measured[nearest].__getitem__)
    ### END SOLUTION


# %% tags=["check"]
def test_choose():
    """The nearest size counts on a logarithmic scale."""
    measured = {8: {"naive": 1.0, "blocked": 2.0}, 512: {"naive": 9.0, "blocked": 1.0}}
    assert choose(8, measured) == "naive", "a measured size takes its own best path"
    assert choose(60, measured) == "naive", "60 is nearer to 8 than to 512 on a logarithmic scale"
    assert choose(100, measured) == "blocked", "100 is nearer to 512"


course.check("a policy", test_choose)

# %% [markdown]
# ## What the module claims, and what this machine says

# %%
course.claims(
    [
        (
            "dispatch optimal across sizes",
            "regret 1.0",
            f"{mean:.2f} in the mean, worst {max(regrets):.2f}",
            mean <= 1.1,
            "after tuning on this machine; shapes far from measured ones are guesses",
        ),
    ]
)
from tensorops.backends import unregister_backend

unregister_backend("strassen")
