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
# # 3. Cache is king
#
# *40 minutes. Needs: notebook 2. You will be able to: measure the caches of a machine, choose a block size by its
# footprint, and say when blocking pays and when it does not.*

# %%
import course
import numpy as np

import profiling
from profiling.cases import square_case
from profiling.model import cache, geometry
from profiling.model.chase import chase
from tensorops.kernels import ladder

course.style()
levels = geometry.machine_levels()
for level in levels:
    print(
        f"{level.name}: {level.size // 1024} KiB, {level.ways} ways, lines of {level.line} bytes ({level.origin})"
    )

# %% [markdown]
# ## The hierarchy, by pointer chasing
#
# Each load tells where the next one goes, so that none can begin before the one before has ended: the time of a step is
# the *latency* of the level that holds the chain. The places are visited in random order, one in each cache line,
# which no prefetcher can guess. Where will the steps be, and how much slower is memory than L1?

# %%
guess_memory_over_l1 = 20.0


def chain(size, seed=0):
    """Return a chain through `size` bytes, one place in each cache line, in random order."""
    line = 64 // np.dtype(np.intp).itemsize
    places = np.random.default_rng(seed).permutation(size // 64) * line
    # It begins at place 0.
    places = np.roll(places, -int(np.argmax(places == 0)))
    following = np.zeros(size // np.dtype(np.intp).itemsize, np.intp)
    following[places] = np.roll(places, -1)
    return following


largest = min(4 * levels[-1].size, 256 << 20)
sizes = [size for size in (2 ** np.arange(12, 29)) if size <= largest]
latency = []
for size in sizes:
    following = chain(size)
    chase(following, min(size // 64, 200_000))
    latency.append(1e9 * min(chase(following, 200_000) for _ in range(3)))
course.compare(guess_memory_over_l1, latency[-1] / latency[0], "times the latency of L1")
course.lines(
    {"random order": ([size / 1024 for size in sizes], latency)},
    "bytes visited, in KiB",
    "ns a step",
    title="Latency by footprint",
    marks={level.name: level.size / 1024 for level in levels},
    log="xy",
)

# %% [markdown]
# ## Stride
#
# The same number of steps through 8 MiB, in order but with a growing stride. Up to one line a step shares its line with
# its neighbours; beyond, each step needs a new one. The hardware's prefetcher guesses regular strides, and so hides much
# of what the random walk pays.

# %%
places = (8 << 20) // np.dtype(np.intp).itemsize
strides = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
in_order = []
for stride in strides:
    following = (np.arange(places) + stride) % places
    chase(following, 100_000)
    in_order.append(1e9 * min(chase(following, 300_000) for _ in range(3)))
course.lines(
    {"in order": ([8 * stride for stride in strides], in_order)},
    "stride in bytes",
    "ns a step",
    title="Time of a step by stride, 8 MiB",
    marks={"one line": 64, "one page": 4096},
    log="x",
)

# %% [markdown]
# ## Blocking
#
# The product visits all of B once for every row of A. If B does not fit into a cache, each visit fetches it anew.
# `blocked` takes a block of B at a time and uses it for *all* rows of A before the next one. A block of `s` by `s`
# numbers of float32 takes 4 s² bytes; it should fit, with some room for the rows of A and C that pass by.

# %%
for block in (16, 32, 64, 128, 256):
    footprint = 4 * block**2
    home = next((level.name for level in levels if footprint <= level.size // 2), "memory")
    print(f"block {block:4}: {footprint / 1024:7.1f} KiB of B, fits into half of {home}")

# %% [markdown]
# The simulator shows what that saves, on a first cache of 8 KiB so that matrices of 128 do not fit:

# %%
small = [geometry.CacheLevel("L1", 8 << 10, 8, 64)]
case = square_case(128, "float32")
found = {"naive": cache.simulate("naive", case, small), "reordered": cache.simulate("reordered", case, small)}
found |= {f"blocked, {s}": cache.simulate("blocked", case, small, {"block": s}) for s in (8, 16, 32, 64)}
course.bars(
    list(found),
    [misses.misses[0] for misses in found.values()],
    "misses of a cache of 8 KiB (logarithmic)",
    title="A product of 128 by 128",
    log=True,
)

# %% [markdown]
# ## The sweep: does it pay here?
#
# Now the clock. The loops without blocks, and blocks of several sizes, on 1024 by 1024. Which block size wins? And by how
# much do blocks win over the reordered loops, which already walk along rows?

# %%
guess_block, guess_gain = 64, 2.0
n = 1024
rng = np.random.default_rng(0)
a = rng.integers(-8, 8, (n, n)).astype(np.float32)
b = rng.integers(-8, 8, (n, n)).astype(np.float32)
c = np.empty_like(a)
expected = a @ b
blocks = (16, 64, 128, 256, 512)
for block in blocks:
    ladder.blocked(a, b, c, block)
    assert np.array_equal(c, expected)
sweep = profiling.bench(
    lambda: ladder.reordered(a, b, c),
    against={f"blocked, {s}": (lambda s=s: ladder.blocked(a, b, c, s)) for s in blocks},
    name="reordered",
    blocks=1,
    budget_seconds=8.0,
)
rate = {name: 2 * n**3 / sweep.seconds_of(name).estimate / 1e9 for name in sweep.contenders}
course.bars(list(rate), list(rate.values()), "GFLOP/s", title=f"Block sizes at {n} by {n}")
best = max(rate, key=rate.__getitem__)
gain = max(rate.values()) / rate["reordered"]
print(f"best: {best}; you said {guess_block}")
course.compare(guess_gain, gain, "times the reordered loops")

# %% [markdown]
# Blocks alone gain less than many expect: a modern processor's prefetcher reads rows ahead, and its second cache is large.
# What they make possible is the next step, a tile of C that stays in *registers* (notebook 4).

# %%
naive = profiling.bench(
    lambda: ladder.blocked(a[:512, :512], b[:512, :512].copy(), c[:512, :512].copy()),
    against={"naive": lambda: ladder.naive(a[:512, :512], b[:512, :512], c[:512, :512])},
    name="blocked",
    blocks=2,
    budget_seconds=4.0,
)
over_naive = naive.ratio("naive").estimate
print(f"over the naive loops, at 512: {over_naive:.1f} times")

# %% [markdown]
# ## Exercise: choose a block
#
# Write `block_for(level_bytes, itemsize)`: the largest power of two `s` whose block of B fills at most half of a cache.


# %% tags=["solution"]
def block_for(level_bytes, itemsize):
    """Return the largest power of two whose square block fills at most half of the cache."""
    ### BEGIN SOLUTION
    block = 1
    while itemsize * (2 * block) ** 2 <= level_bytes // 2:
        block *= 2
    return block
    ### END SOLUTION


# %% tags=["check"]
def test_block():
    """Blocks for caches of 32 KiB and 1 MiB."""
    for size, itemsize, expected in (
        (32 << 10, 4, 64),
        (32 << 10, 8, 32),
        (1 << 20, 4, 256),
        (48 << 10, 4, 64),
    ):
        block = block_for(size, itemsize)
        assert block == expected, f"{size // 1024} KiB, {itemsize} bytes: {block}, expected {expected}"


course.check("choose a block", test_block)

# %% [markdown]
# ## What the module claims, and what this machine says

# %%
course.claims(
    [
        (
            "blocking, over naive",
            "2-5x",
            f"{over_naive:.1f}x at 512",
            over_naive >= 2,
            "most of it is the order of the loops",
        ),
        (
            "blocking, over reordered",
            "2-5x",
            f"{gain:.1f}x at {n}",
            gain >= 2,
            "only where rows of B fall out of the caches",
        ),
    ]
)
