"""Cython-accelerated tensor operations, a dispatcher that uses what it measured, and its evidence.

``import tensorops`` loads NumPy and the compiled kernels; it starts no thread and reads no file of
the user's.
"""

from __future__ import annotations

try:
    from tensorops.boundary.products import matmul
    from tensorops.runtime import cpu as _cpu
    from tensorops.runtime.openmp import get_num_threads, set_num_threads
except ModuleNotFoundError as _error:
    if (_error.name or "").startswith("tensorops."):
        raise ImportError(
            f"the compiled module {_error.name} is missing. Build it in the source tree with\n"
            "    python setup.py build_ext --inplace\n"
            "or install the package: python -m pip install -e ."
        ) from _error
    raise

from tensorops.backends import backends, register_backend
from tensorops.configuration import show_config
from tensorops.dispatch.explanation import explain
from tensorops.dispatch.selection import use_backend

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "backends",
    "explain",
    "get_num_threads",
    "matmul",
    "register_backend",
    "set_num_threads",
    "show_config",
    "use_backend",
]

# A wrong setting is an error now, before anything is computed with another one.
_cpu.selected_isa()
_cpu.requested_threads()
