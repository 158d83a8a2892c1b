"""Every row of the whitelist as a kernel of its own, all in one module: compiling is what costs time."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from tensorops.fuse.building import load
from tensorops.fuse.calling import Kernel
from tensorops.fuse.generate import module_text
from tensorops.fuse.whitelist import ARITHMETIC, CHOICES, COMPARISONS, FUNCTIONS, LOGIC, Operation, callables

Array = np.ndarray[Any, Any]
ROWS: dict[str, Operation] = {
    row.name: row for row in (*ARITHMETIC, *COMPARISONS, *LOGIC, *CHOICES, *FUNCTIONS)
}
ACTIVATIONS: dict[str, Operation] = {
    row.name: row for row in callables().values() if row.rule == "activation" and row.name not in ROWS
}

KERNEL = """
cdef void kernel_{name}(
    Py_ssize_t n, const char *const *data, char *out, const double *scalars,
) noexcept nogil:
    cdef real_t *result = <real_t *> out
    cdef vector_t x0, x1, x2, last
    cdef Py_ssize_t i = 0
    while i < n:
        x0 = x1 = x2 = ZERO
{loads}
        last = {result}
        memcpy(result + i, &last, min(<Py_ssize_t> LANES, n - i) * sizeof(real_t))
        i += LANES


capsule_{name} = PyCapsule_New(<void *> &kernel_{name}, b"tensorops.fuse.kernel", NULL)
"""


def text() -> str:
    """Return a module with a kernel for each row."""
    parts = []
    for name, row in {**ROWS, **ACTIVATIONS}.items():
        operands = [
            f"x{k}" if letter == "v" else f"~EQUAL(x{k}, ZERO)" for k, letter in enumerate(row.operands)
        ]
        value = row.formula.format(*operands)
        loads = "\n".join(
            f"        x{k} = rest_of(<const real_t *> data[{k}] + i, min(<Py_ssize_t> LANES, n - i))"
            for k in range(len(operands))
        )
        result = f"BLEND({value}, SPLAT(1), ZERO)" if row.result == "m" else value
        parts.append(KERNEL.format(name=name, loads=loads, result=result))
    return module_text("".join(parts))


@cache
def kernel(name: str, dtype: str) -> Kernel:
    """Return the kernel of one row."""
    row = {**ROWS, **ACTIVATIONS}[name]
    module = load(text(), dtype)
    capsule = SimpleNamespace(capsule=getattr(module, f"capsule_{name}"))
    return Kernel(capsule, np.dtype(dtype), len(row.operands), 1 << 15)


def evaluate(name: str, *operands: Array) -> Array:
    """Return what a row's formula makes of some arrays of one dtype."""
    arrays = [np.ascontiguousarray(array) for array in np.broadcast_arrays(*operands)]
    out = np.empty_like(arrays[0])
    kernel(name, arrays[0].dtype.name).run(arrays, [], out)
    return out
