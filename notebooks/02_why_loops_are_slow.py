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
# # 2. Why loops are slow
#
# *35 minutes. Needs: notebook 1. You will be able to: say where the time of a Python loop goes, count what a compiled
# loop does line by line, and predict its cache misses from the order of its loops.*

# %%
import dis

import course
import numpy as np

import profiling
import tensorops
from profiling.cases import square_case
from profiling.collect import lines
from profiling.model import cache, geometry
from tensorops.kernels import ladder

course.style()

# %% [markdown]
# ## What the interpreter does for one multiplication
#
# One line of Python, `total += a[i][k] * b[k][j]`, and the instructions of Python's virtual machine behind it. How
# many are there? Write down a number first.


# %%
my_guess = 5


def inner(a, b, i, j, total, k):
    """One step of the inner loop."""
    total += a[i][k] * b[k][j]
    return total


instructions = [
    found for found in dis.get_instructions(inner) if found.opname not in ("RESUME", "RETURN_VALUE")
]
course.compare(my_guess, len(instructions), "instructions")
print(", ".join(found.opname for found in instructions))

# %% [markdown]
# Each of them is looked up, checks types and counts references. The processor itself could do one multiplication and
# one addition in a fraction of a nanosecond. How long does a step take here?

# %%
size = 48
rng = np.random.default_rng(0)
a = rng.integers(-8, 8, (size, size)).astype(np.float32)
b = rng.integers(-8, 8, (size, size)).astype(np.float32)


def python_matmul(a, b):
    """Multiply two lists of rows with three loops."""
    result = []
    for i in range(len(a)):
        row = []
        for j in range(len(b[0])):
            total = 0.0
            for k in range(len(b)):
                total += a[i][k] * b[k][j]
            row.append(total)
        result.append(row)
    return result


rows_a, rows_b = a.tolist(), b.tolist()
assert np.array_equal(python_matmul(rows_a, rows_b), a @ b)
c = np.empty_like(a)
result = profiling.bench(
    lambda: python_matmul(rows_a, rows_b),
    against={"naive, compiled": lambda: ladder.naive(a, b, c)},
    name="Python",
    blocks=4,
    budget_seconds=3.0,
)
per_step = {name: 1e9 * result.seconds_of(name).estimate / size**3 for name in result.contenders}
for name, nanoseconds in per_step.items():
    print(f"{name:16} {nanoseconds:7.2f} ns for a multiplication and an addition")

# %% [markdown]
# ## Line by line
#
# A line profiler counts how often each line runs. The counts are exact; the times of short lines are mostly the
# profiler's own, so this table shows counts.

# %%
(profile,) = lines.count_lines([python_matmul], lambda: python_matmul(rows_a, rows_b))
for entry in profile.lines:
    print(f"{entry.hits:8}  {entry.source}")
print(f"the innermost line runs {profile.hottest.hits} times: {size}^3 = {size**3}")

# %% [markdown]
# The same can be counted inside compiled Cython code: the library's kernels have twins that were built for tracing.
# On Python 3.12 they cannot be traced, and this cell says so.

# %%
reason = lines.why_untraceable()
if reason is None:
    from tensorops._traced import ladder as traced

    out = np.empty_like(a)
    for found in lines.count_lines(
        [traced.naive, traced.reordered], lambda: (traced.naive(a, b, out), traced.reordered(a, b, out))
    ):
        print(f"{found.function}: {found.total_hits} lines run, most often {found.hottest.source.strip()!r}")
else:
    print(reason)

# %% [markdown]
# ## The same work in another order
#
# `naive` loops i, j, k: its inner loop walks *down a column* of B. `reordered` loops i, k, j: its inner loop walks
# *along rows* of B and C. Both make the same multiplications. Which factor do you expect between them at 512?

# %%
guess = 1.5
n = 512
big_a = rng.integers(-8, 8, (n, n)).astype(np.float32)
big_b = rng.integers(-8, 8, (n, n)).astype(np.float32)
big_c = np.empty_like(big_a)
order = profiling.bench(
    lambda: ladder.reordered(big_a, big_b, big_c),
    against={"naive": lambda: ladder.naive(big_a, big_b, big_c)},
    name="reordered",
    blocks=2,
    budget_seconds=4.0,
)
gain_of_order = order.ratio("naive").estimate
course.compare(guess, gain_of_order, "times")

# %% [markdown]
# ## Why: misses
#
# Memory comes to the core in lines of 64 bytes, 16 numbers of float32. Walking along a row uses all 16; walking down
# a column uses one of each line. The simulator counts on caches of this machine's sizes what each line of the source
# misses.

# %%
levels = geometry.machine_levels()
case = square_case(128, "float32")
misses = {kernel: cache.simulate(kernel, case, levels) for kernel in ("naive", "reordered")}
for kernel, found in misses.items():
    print(f"{kernel:10} {found.accesses:10,} accesses, {found.misses[0]:9,} miss {levels[0].name}")
course.bars(
    list(misses),
    [found.misses[0] for found in misses.values()],
    f"misses of {levels[0].name} ({levels[0].size // 1024} KiB), at 128 by 128",
    title="The same multiplications, in two orders",
)

# %% [markdown]
# Which access is to blame? By line of the source:

# %%
for kernel, found in misses.items():
    source = open(found.path, encoding="utf-8").read().splitlines()
    for line, counts in found.by_line.items():
        print(f"{kernel:10} {counts[1]:9,} of {counts[0]:9,}  {source[line - 1].strip()}")

# %% [markdown]
# ## Exercise: predict the misses
#
# Three loops i, j, k on float32 matrices of n by n, where one column of B with its lines does *not* fit into the first
# cache (n lines of 64 bytes are more than it holds), but a row of A does. How many lines are fetched in all? Write
# `misses_of_naive(n)`; count a line each time it must be fetched.


# %% tags=["solution"]
def misses_of_naive(n, line=16):
    """Return about how many lines the loops i, j, k fetch; `line` elements are in one."""
    ### BEGIN SOLUTION
    of_b = n * n * n  # a new line at each step down a column, forgotten before the next column
    of_a = n * n // line  # each row once: it stays while j runs
    of_c = n * n // line
    return of_b + of_a + of_c
    ### END SOLUTION


# %% tags=["check"]
def test_misses():
    """The prediction is within a tenth of the simulation on a cache of 4 KiB."""
    small = [geometry.CacheLevel("L1", 4096, 8, 64)]
    simulated = cache.simulate("naive", square_case(96, "float32"), small).misses[0]
    predicted = misses_of_naive(96)
    assert abs(predicted / simulated - 1) < 0.1, f"predicted {predicted:,}, simulated {simulated:,}"


course.check("predict the misses", test_misses)

# %% [markdown]
# ## What the module claims, and what this machine says

# %%
compiled = per_step["Python"] / per_step["naive, compiled"]
vectors = per_step["Python"] / (1e9 * order.seconds_of("reordered").estimate / n**3)
course.claims(
    [
        (
            "compiled loops",
            "10-100x",
            f"{compiled:.0f}x",
            compiled >= 10,
            "the same order of loops, no interpreter",
        ),
        (
            "vectorised loops",
            "10-100x",
            f"{vectors:.0f}x",
            vectors >= 10,
            "over Python; the compiler uses vectors where the inner loop walks along rows",
        ),
        (
            "another order",
            "2-5x",
            f"{gain_of_order:.1f}x at {n}",
            gain_of_order >= 2,
            "once a column misses the cache",
        ),
    ]
)
print(tensorops.explain("matmul", (n, n), (n, n)))
