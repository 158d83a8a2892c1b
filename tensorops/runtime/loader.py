"""Choose one instruction set's modules and import those alone.

Their code, module initialisation included, uses the instruction set they are built for, so the
processor is asked before the import.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

from tensorops.runtime import cpu


class Row(Protocol):
    """What the loader needs to know of a row of the build table."""

    @property
    def isa(self) -> str:
        """Instruction set the module is built for."""

    @property
    def dtype(self) -> str:
        """Dtype it computes in."""

    @property
    def module(self) -> str:
        """Dotted name to import."""


def import_kernels(rows: Sequence[Row], dtype: str, isa: str | None = None) -> ModuleType:
    """Import the module of an instruction set for one dtype.

    Parameters
    ----------
    rows : sequence of Row
        Rows of the build table, weakest instruction set first.
    dtype : str
        ``"float32"`` or ``"float64"``.
    isa : str, optional
        An instruction set that the processor has; the selected one by default.

    Returns
    -------
    module
        It holds ``capsule``, the table of its functions.

    Raises
    ------
    ValueError
        If ``TENSOROPS_ISA`` names an instruction set that is unknown or not to be had here.
    ImportError
        If the module was not built; the message names the build command.
    """
    isa = cpu.selected_isa() if isa is None else isa
    chosen = [row for row in rows if row.dtype == dtype and row.isa == isa]
    if not chosen:
        raise ImportError(f"tensorops has no {dtype} kernels for the instruction set {isa!r}")
    try:
        return importlib.import_module(chosen[-1].module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{chosen[-1].module} is not built. Build the compiled modules with\n"
            "    python setup.py build_ext --inplace\n"
            "in the source tree, or install the package with: python -m pip install -e ."
        ) from error
