"""The micro-kernel keeps its tile in registers: read from what the compiler made of it."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib.util import find_spec

import pytest

from tensorops.kernels.table import KernelRow, family_rows

OBJDUMP = shutil.which("objdump")
pytestmark = [
    pytest.mark.skipif(OBJDUMP is None, reason="objdump is not installed"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the instructions of x86-64"),
]
STRIP = re.compile(r"<[^>]*_strip_packed>:\n(.*?)\n\n", re.DOTALL)
READ_BACK = re.compile(r"\bv?mov[au]p[sd]\s+-?(?:0x)?[0-9a-f]*\(%r[bs]p\),%[xyz]mm")


@pytest.mark.parametrize("row", family_rows("products"), ids=lambda row: row.name)
def test_a_tile_is_not_read_back_from_the_stack(row: KernelRow) -> None:
    spec = find_spec(row.module)
    assert spec is not None and spec.origin is not None and OBJDUMP is not None
    command = [OBJDUMP, "-d", "--no-show-raw-insn", spec.origin]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout + "\n\n"
    (code,) = STRIP.findall(text)
    assert len(re.findall(r"\bv?mulp|\bvfmadd", code)) >= row.mr * row.nr_vectors
    # The ends of rows may wait there, where a function writes them.
    assert len(READ_BACK.findall(code)) <= row.mr * row.nr_vectors
