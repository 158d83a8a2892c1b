"""Only the micro-kernel modules may hold instructions beyond the baseline processor's."""

from __future__ import annotations

import importlib.machinery
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tensorops.kernels.table import X86_64, KernelRow, all_rows
from tests.structure.compiled import baseline_modules

# Modules that hold copies of a loop for several instruction sets and choose among them at run time: such
# a copy's symbol ends in the name of its instruction set.
DISPATCHED = frozenset({"profiling.model.streams"})
# VEX- and EVEX-coded instructions: a wide register, or a mnemonic that starts with v on an xmm register.
BEYOND_BASELINE = re.compile(r"%[yz]mm\d|\sv[a-z0-9]+\s+[^#<]*%xmm\d")

pytestmark = [
    pytest.mark.skipif(platform.machine() not in X86_64, reason="reads x86-64 instructions"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump (binutils) is not installed"),
]


def offending_lines(module: str) -> list[str]:
    """Return the first disassembled lines of a compiled module that a baseline processor cannot run."""
    spec = importlib.machinery.PathFinder.find_spec(module, _folder(module))
    assert spec is not None and spec.origin is not None, f"{module} is not built"
    listing = subprocess.run(
        ["objdump", "--disassemble", "--no-show-raw-insn", spec.origin],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found, own = [], False
    for line in listing.splitlines():
        symbol = re.match(r"[0-9a-f]+ <(\w+)[^>]*>:", line)
        if symbol:
            own = module in DISPATCHED and symbol[1].endswith(("_v3", "_v4"))
        elif not own and BEYOND_BASELINE.search(line):
            found.append(line.strip())
    return found[:5]


def _folder(module: str) -> list[str]:
    import tensorops

    root = Path(tensorops.__file__).parents[1]
    return [str(root.joinpath(*module.split(".")[:-1]))]


@pytest.mark.parametrize("module", baseline_modules())
def test_baseline_module_runs_on_every_processor(module: str) -> None:
    assert offending_lines(module) == []


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.name)
def test_kernel_module_uses_its_own_instructions(row: KernelRow) -> None:
    assert bool(offending_lines(row.module)) is (row.isa in {"v3", "v4"})
