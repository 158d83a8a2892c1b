"""Each instruction set of this machine, in a process of its own: which kernel ran, and what it computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorops.kernels.gemm import family
from tensorops.kernels.table import ISA_NAMES, KERNELS, family_rows
from tensorops.runtime import cpu, openmp
from tests.kernels.operands import DTYPES

ROOT = Path(__file__).resolve().parents[2]
UNAVAILABLE = sorted(set(ISA_NAMES) - set(cpu.supported_isas()))


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the source tree with some variables set."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        cwd=ROOT,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("isa", cpu.supported_isas())
def test_every_instruction_set_computes_with_its_own_kernels(isa: str) -> None:
    completed = run("-m", "tests.kernels.matrix", TENSOROPS_ISA=isa)
    assert completed.returncode == 0, completed.stderr
    report = json.loads(completed.stdout)
    rows = {dtype: [row for row in KERNELS if (row.isa, row.dtype) == (isa, dtype)] for dtype in DTYPES}
    assert report["kernels"] == {dtype: rows[dtype][-1].name for dtype in DTYPES}
    assert report["failures"] == []


@pytest.mark.parametrize("isa", cpu.supported_isas())
@pytest.mark.skipif(sys.platform not in {"linux", "darwin"}, reason="needs mprotect")
def test_nothing_beside_the_operands_is_touched(isa: str) -> None:
    completed = run("-m", "tests.kernels.page_edges", TENSOROPS_ISA=isa)
    assert completed.returncode == 0, f"ended with {completed.returncode}: {completed.stderr[-2000:]}"
    assert int(completed.stdout) > 1000


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_of_this_process_is_the_selected_one(dtype: str) -> None:
    asked = os.environ.get("TENSOROPS_ISA") or cpu.supported_isas()[-1]
    assert family.kernel_name(dtype).endswith(f"_{asked}_{dtype}")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TENSOROPS_ISA", "sse9"), ("TENSOROPS_NUM_THREADS", "0"), ("TENSOROPS_NUM_THREADS", "two")],
)
def test_a_wrong_setting_is_an_error_at_import(variable: str, value: str) -> None:
    completed = run("-c", "import tensorops", **{variable: value})
    assert completed.returncode == 1
    last = completed.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError")
    assert variable in last
    assert all(isa in last for isa in cpu.supported_isas()) or variable != "TENSOROPS_ISA"


@pytest.mark.parametrize("isa", UNAVAILABLE)
def test_an_instruction_set_that_is_not_to_be_had_is_an_error(isa: str) -> None:
    completed = run("-c", "import tensorops", TENSOROPS_ISA=isa)
    assert completed.returncode == 1
    last = completed.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError")
    assert isa in last


def test_the_number_of_threads_is_that_of_the_variable() -> None:
    completed = run("-c", "import tensorops; print(tensorops.get_num_threads())", TENSOROPS_NUM_THREADS="3")
    assert completed.stdout.strip() == ("3" if openmp.enabled() else "1")


COUNT = """
import os
import numpy as np
from tensorops.kernels.gemm.batched import matmul_into
tasks = lambda: len(os.listdir("/proc/self/task"))
a, out = np.ones((200, 200), np.float32), np.empty((200, 200), np.float32)
small = np.ones((16, 16), np.float32)
before = tasks()
matmul_into(small, small, np.empty_like(small), "auto", 3)
counts = [tasks() - before]
for threads in (1, 2, 3):
    matmul_into(a, a, out, "auto", threads)
    counts.append(tasks() - before)
print(*counts)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
@pytest.mark.skipif(not openmp.enabled(), reason="a serial build")
def test_as_many_threads_compute_as_the_work_pays_for() -> None:
    completed = run("-c", COUNT)
    assert completed.stdout.split() == ["0", "0", "1", "2"], completed.stderr


def test_every_row_of_the_table_has_one_kernel_of_its_own() -> None:
    assert len({row.name for row in KERNELS}) == len(KERNELS)
    for isa in cpu.supported_isas():
        assert {row.dtype for row in family_rows("products") if row.isa == isa} == set(DTYPES)
