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
# # 4. The micro-kernel
#
# *45 minutes, a further notebook. Needs: notebook 3. You will be able to: say what packing, a register tile and vectors each
# contribute, compute how many loads a tile saves, and place each version of a product under the roof.*

# %%
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import course
import numpy as np

import profiling
import tensorops
from tensorops.kernels.gemm import family

course.style()
tensorops.set_num_threads(1)

# %% [markdown]
# ## The limit
#
# A core can start a certain number of fused multiply-adds each cycle, on vectors of a certain width. Multiply-adds on registers
# alone, without any memory, measure it:

# %%
peak = family.measure_peak("float32", 0.2)
print(f"{peak:.0f} GFLOP/s on one core, kernel {family.kernel_name('float32')}")

# %% [markdown]
# ## Why a tile of C
#
# The inner loop of the blocked product loads an element of B, loads an element of C, multiplies, adds, and stores C: three
# accesses to memory for one multiply-add. A tile of `MR` by `NR` elements of C that stays in registers needs, for each step of
# `k`, `MR` elements of A and `NR` of B, and makes `MR * NR` multiply-adds. How many multiply-adds for each element
# loaded, with the tile of this machine?

# %%
guess_ratio = 4.0
mr, nr = family.tile_shape("float32")
print(f"MR x NR = {mr} x {nr}")
course.compare(guess_ratio, mr * nr / (mr + nr), "multiply-adds for each element loaded")
tiles = [(1, 1), (2, 2), (4, 4), (4, 8), (6, 16), (8, 8), (14, 32)]
course.bars(
    [f"{rows} x {columns}" for rows, columns in tiles],
    [rows * columns / (rows + columns) for rows, columns in tiles],
    "multiply-adds for each element loaded",
    title="What a tile of C in registers saves",
)

# %% [markdown]
# A tile must fit into the registers: a vector register holds 4, 8 or 16 numbers of float32, and a processor has 16 or 32 of
# them, some of which A and B need.
#
# ## Why packing
#
# The tile reads `MR` rows of A and `NR` columns of B at a time. In a large matrix these lie far from each other, on many pages. So
# blocks are copied first, in exactly the order in which the micro-kernel reads them. Here is that order, in NumPy:


# %%
def pack_a(block, mr):
    """Return panels of `mr` rows, column after column, padded with zeros."""
    rows, depth = block.shape
    padded = np.zeros((-(-rows // mr) * mr, depth), block.dtype)
    padded[:rows] = block
    return padded.reshape(-1, mr, depth).transpose(0, 2, 1).copy()


small = np.arange(10.0).reshape(5, 2)
print(small)
print(pack_a(small, 2))

# %% [markdown]
# ## The five loops, in slow motion
#
# The whole algorithm (Goto and van de Geijn, 2008) in NumPy, each micro-kernel a small product. It is slow, as every step goes
# through the interpreter; but it makes the same steps as the compiled one.


# %% tags=["solution"]
def packed_matmul(a, b, mc=64, kc=32, nc=64, mr=8, nr=8):
    """Multiply by blocks, panels and tiles; sizes need not be multiples of them."""
    m, depth = a.shape
    n = b.shape[1]
    c = np.zeros((m, n), a.dtype)
    for jc in range(0, n, nc):
        for pc in range(0, depth, kc):
            ### BEGIN SOLUTION
            b_panels = pack_a(b[pc : pc + kc, jc : jc + nc].T, nr)
            for ic in range(0, m, mc):
                a_panels = pack_a(a[ic : ic + mc, pc : pc + kc], mr)
                for j, b_panel in enumerate(b_panels):
                    for i, a_panel in enumerate(a_panels):
                        tile = a_panel.T @ b_panel
                        target = c[
                            ic + i * mr : min(ic + (i + 1) * mr, ic + mc, m),
                            jc + j * nr : min(jc + (j + 1) * nr, jc + nc, n),
                        ]
                        target += tile[: target.shape[0], : target.shape[1]]
            ### END SOLUTION
    return c


# %% tags=["check"]
def test_packed():
    """Sizes that are multiples of nothing."""
    rng = np.random.default_rng(0)
    for m, k, n in ((8, 8, 8), (65, 33, 70), (3, 100, 5)):
        a, b = rng.integers(-4, 5, (m, k)).astype(float), rng.integers(-4, 5, (k, n)).astype(float)
        assert np.array_equal(packed_matmul(a, b), a @ b), f"wrong at {m}x{k}x{n}"


course.check("the five loops", test_packed)

# %% [markdown]
# ## Block sizes
#
# `KC` decides how long a tile stays in registers and how much of the first cache a panel takes. The library chooses it from
# the caches; here we sweep it. Which will be best?

# %%
chosen = family.block_sizes_in_use("float32")
guess_kc = 256
rng = np.random.default_rng(0)
a, b = (rng.integers(-8, 8, (768, 768)).astype(np.float32) for _ in range(2))
out, expected = np.empty_like(a), a @ b
rates = {}
for kc in (16, 32, 64, 128, 256, 512, 768):
    family.set_block_sizes("float32", chosen[0], kc, chosen[2])
    tensorops.matmul(a, b, out=out, backend="blocked")
    assert np.array_equal(out, expected)
    took = profiling.bench(
        lambda: tensorops.matmul(a, b, out=out, backend="blocked"),
        name="blocked",
        blocks=2,
        budget_seconds=0.5,
    ).seconds.estimate
    rates[kc] = 2 * 768**3 / took / 1e9
family.set_block_sizes("float32", *chosen)
course.lines(
    {"768 by 768": (list(rates), list(rates.values()))},
    "KC",
    "GFLOP/s",
    title=f"The depth of a block (the library chose {chosen[1]})",
    roof=("peak", peak),
    log="x",
)
print(f"best KC {max(rates, key=rates.__getitem__)}; you said {guess_kc}")

# %% [markdown]
# ## Every rung, with its share of the peak
#
# The ladder from Python loops to all cores, after the table in Leiserson et al., "There's plenty of room at the Top" (Science,
# 2020). The command is `python -m profiling ladder`; here at one small size.

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "ladder.json")
    subprocess.run(
        [sys.executable, "-m", "profiling", "ladder", "--size", "256", "--json", str(file)],
        check=True,
        capture_output=True,
        cwd=Path.cwd().parent,
    )
    ladder = json.loads(file.read_text(encoding="utf-8"))
rungs = ladder["sizes"]["256"]
for rung in rungs:
    mark = "*" if rung["extrapolated"] else " "
    print(
        f"{rung['version']:22}{mark}{1e3 * rung['seconds'][0]:12.2f} ms {rung['gflops']:9.3f} GFLOP/s {100 * rung['share_of_peak']:7.2f} %"
    )
print("* measured smaller and scaled up by the number of operations")
course.bars(
    [rung["version"] for rung in rungs],
    [rung["gflops"] for rung in rungs],
    "GFLOP/s (logarithmic)",
    title="The ladder at 256",
    log=True,
    roof=("peak", ladder["peak_gflops"]),
)

# %% [markdown]
# ## What the module claims, and what this machine says

# %%
by_name = {rung["version"]: rung for rung in rungs}
whole = by_name["optimised"]["absolute_speedup"][0]
over_blocked = by_name["optimised"]["relative_speedup"][0]
course.claims(
    [
        (
            "from loops to the optimised kernel",
            "10-100x",
            f"{whole:.0f}x on one core",
            whole >= 10,
            "over Python loops, at 256",
        ),
        (
            "tile, packing and vectors",
            "2-5x",
            f"{over_blocked:.1f}x",
            over_blocked >= 2,
            "over blocks alone, at 256",
        ),
    ]
)
