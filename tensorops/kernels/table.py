"""The build table: one row per built micro-kernel module.

Standard library only, because ``setup.py`` loads this file by its path before anything is
built. The loader, the tests, the benchmarks and the documentation read the same rows; a new
kernel variant is a new row here and, where the idea differs, a new source.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

X86_64 = ("x86_64", "amd64", "AMD64")
ARM_64 = ("aarch64", "arm64", "ARM64")

# Flags of every compiled module, of those too that ``tensorops.fuse`` makes at run time.
COMMON_FLAGS = (
    "-g1",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-Wno-unknown-warning-option",
    "-Wno-unused-function",
    "-Wno-maybe-uninitialized",
    "-Wno-psabi",
)

ITEMSIZE = {"float32": 4, "float64": 8}


@dataclass(frozen=True, slots=True)
class KernelRow:
    """One micro-kernel module: an instruction set, a dtype, its compiler flags and its tile.

    Attributes
    ----------
    isa : str
        Name used by ``TENSOROPS_ISA`` and by the loader.
    dtype : str
        ``"float32"`` or ``"float64"``.
    vector_bytes : int
        Width of one vector register in bytes.
    mr : int
        Rows of the register tile.
    nr_vectors : int
        Vector registers across one row of the tile; ``nr = nr_vectors * vector_bytes / itemsize``.
    cflags : tuple of str
        Flags added for this module alone. All other modules are built for the baseline.
    machines : tuple of str
        ``platform.machine()`` values the row can be built on; empty means every one.
    narrow : str
        Instruction set, part of this one, whose shorter vectors fit small products better.
    """

    isa: str
    dtype: str
    vector_bytes: int
    mr: int
    nr_vectors: int
    cflags: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    narrow: str = ""
    source: str = "tensorops/kernels/gemm/ukr.pyx"

    @property
    def name(self) -> str:
        """Name of the kernel, as ``show_config()`` and the tests know it."""
        return f"{PurePosixPath(self.source).stem}_{self.isa}_{self.dtype}"

    @property
    def module(self) -> str:
        """Dotted name of the compiled module."""
        return f"{'.'.join(PurePosixPath(self.source).parent.parts)}.{self.name}"

    @property
    def nr(self) -> int:
        """Columns of the register tile."""
        return self.nr_vectors * self.vector_bytes // ITEMSIZE[self.dtype]


def _rows(
    isa: str,
    vector_bytes: int,
    mr: int,
    nr_vectors: int,
    cflags: tuple[str, ...],
    machines: tuple[str, ...],
    narrow: str = "",
) -> tuple[KernelRow, ...]:
    return tuple(
        KernelRow(isa, dtype, vector_bytes, mr, nr_vectors, cflags, machines, narrow) for dtype in ITEMSIZE
    )


# From the weakest to the strongest: the loader takes the last row that the processor can run.
KERNELS: tuple[KernelRow, ...] = (
    *_rows("portable", 16, 4, 2, (), ()),
    *_rows("v2", 16, 4, 3, ("-march=x86-64-v2",), X86_64),
    *_rows("v3", 32, 6, 2, ("-march=x86-64-v3",), X86_64),
    *_rows("v4", 64, 14, 2, ("-march=x86-64-v4", "-mprefer-vector-width=512"), X86_64, narrow="v3"),
    *_rows("neon", 16, 6, 4, (), ARM_64),
)

ISA_NAMES: tuple[str, ...] = tuple(dict.fromkeys(row.isa for row in KERNELS))


FAMILIES: dict[str, str] = {
    "products": "tensorops/kernels/gemm/ukr.pyx",
    "elementwise": "tensorops/kernels/elementwise/formulas.pyx",
    "attention": "tensorops/kernels/attention/columns.pyx",
    "rows": "tensorops/kernels/rows/rows.pyx",
    "optim": "tensorops/kernels/optim/steps.pyx",
}
"""Sources that are built once per row, by what they compute."""


def family_rows(family: str, machine: str | None = None) -> tuple[KernelRow, ...]:
    """Return the rows of one family's modules that can be compiled on `machine`.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    machine : str, optional
        A ``platform.machine()`` value; this computer's by default.

    Returns
    -------
    tuple of KernelRow
        In the order of the table, weakest instruction set first. Only products read the tile.

    Examples
    --------
    >>> [row.name for row in family_rows("elementwise", "riscv64")]
    ['formulas_portable_float32', 'formulas_portable_float64']
    """
    machine = platform.machine() if machine is None else machine
    return tuple(
        replace(row, source=FAMILIES[family])
        for row in KERNELS
        if not row.machines or machine in row.machines
    )


def all_rows(machine: str | None = None) -> tuple[KernelRow, ...]:
    """Return the rows of every family that can be compiled on `machine`.

    Parameters
    ----------
    machine : str, optional
        A ``platform.machine()`` value; this computer's by default.

    Returns
    -------
    tuple of KernelRow
        One row for each module.

    Examples
    --------
    >>> sorted({row.isa for row in all_rows("aarch64")})
    ['neon', 'portable']
    """
    return tuple(row for family in FAMILIES for row in family_rows(family, machine))
