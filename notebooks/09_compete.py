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
# # 9. Compete
#
# *40 minutes. Needs: notebooks 2, 3 and 5. You will be able to: write a kernel in Cython, check it with the same judge that ranks a
# class, read its verdict, and climb a board.*
#
# The problem: softmax of each row, float32, any number of rows and columns. The judge runs a submission in a process of its own, in
# a sandbox, on hidden shapes with secret seeds, and checks every result that it times.

# %%
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import course

course.style()
folder = Path(tempfile.mkdtemp())
# A competition of its own, so that nothing of this notebook reaches yours.
os.environ["TENSOROPS_COMPETITION"] = str(folder / "competition")


def compete(*words):
    """Run a verb of the competition and print what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "profiling", "compete", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path.cwd().parent,
    )
    print(done.stdout + done.stderr)
    return done.returncode


compete("problem", "softmax")

# %% [markdown]
# ## A first submission
#
# The obvious one, in NumPy. Will the judge accept it? Remember what `exp` of a large number is.

# %%
naive = folder / "naive.py"
naive.write_text(
    """import numpy as np

def kernel(x, out):
    e = np.exp(x)
    np.divide(e, e.sum(axis=1, keepdims=True), out=out)
"""
)
compete("check", str(naive), "--problem", "softmax", "--quick")

# %% [markdown]
# ## A kernel in Cython
#
# One row at a time, while it is in the first cache: the maximum, the exponentials with their sum, the division. Subtracting the
# maximum keeps `exp` in range and changes nothing else.


# %% tags=["solution"]
text = """
from libc.math cimport expf

def kernel(const float[:, ::1] x, float[:, ::1] out):
    cdef Py_ssize_t rows = x.shape[0]
    cdef Py_ssize_t columns = x.shape[1]
    cdef Py_ssize_t i, j
    cdef float most, total
    with nogil:
        for i in range(rows):
"""
### BEGIN SOLUTION
text += """
            most = x[i, 0]
            for j in range(1, columns):
                most = x[i, j] if x[i, j] > most else most
            total = 0
            for j in range(columns):
                out[i, j] = expf(x[i, j] - most)
                total += out[i, j]
            total = 1 / total
            for j in range(columns):
                out[i, j] *= total
"""
### END SOLUTION
mine = folder / "mine.pyx"
mine.write_text(text)

# %% [markdown]
# `check` judges without storing anything, and adds where the time goes and where the next gain lies.


# %% tags=["check"]
import json

verdict_file = folder / "verdict.json"


def test_mine():
    """The judge accepts the kernel."""
    done = compete("check", str(mine), "--problem", "softmax", "--quick", "--json", str(verdict_file))
    assert done == 0, "read the verdict above: it names phase, case and reason"


course.check("a kernel in Cython", test_mine)

# %% [markdown]
# Was it faster than the baseline, which is NumPy's? The obvious loops may well be slower: NumPy's `exp` works on vectors, `expf` is a
# call for each number. Being compiled is not being fast.

# %%
guess_score = 2.0
score = json.loads(verdict_file.read_text())["score"] if verdict_file.exists() else None
if score is not None:
    course.compare(guess_score, score, "times the baseline")

# %% [markdown]
# ## The board
#
# `submit` stores a submission and judges it; the board ranks by the geometric mean of the speed-ups over the pinned baseline, with an
# interval. Two whose difference is within the noise of the machine share a place.

# %%
compete("submit", str(mine), "--problem", "softmax", "--as", "me")
compete("work", "--once", "--quick")
compete("board", "softmax")

# %% [markdown]
# ## Where to climb from here
#
# * A polynomial of your own instead of `expf` lets the compiler use vectors (notebook 5 shows what that gains).
# * Three passes over a row in cache cost little; over a row that is larger than the cache they do not. Two are enough.
# * Above a certain size threads help; the track of one thread says nothing about that.
#
# ## What the module claims, and what this machine says

# %%
if score is not None:
    course.claims(
        [
            (
                "a compiled kernel of one's own",
                "10-100x",
                f"{score:.2f}x of NumPy",
                score >= 10,
                "over Python loops; NumPy's own loops are compiled and use vectors",
            )
        ]
    )
