"""The toolkit that measures `tensorops` and explains what it measured.

``python -m profiling.report matmul`` is where to begin; ``python -m profiling --help`` lists the verbs.
Public functions are loaded when they are first asked for: ``import profiling`` itself imports nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark import BenchResult, BenchSeries, bench
    from .collect.allocations import count_allocations
    from .collect.operation_records import OperationCount
    from .collect.operations import count_operations
    from .collect.recording import Recording, record
    from .magics import load_ipython_extension, unload_ipython_extension
    from .tuning import TuneReport, autotune, tune_recorded

_HOMES = {
    "OperationCount": "collect.operation_records",
    "BenchResult": "benchmark",
    "BenchSeries": "benchmark",
    "Recording": "collect.recording",
    "TuneReport": "tuning",
    "autotune": "tuning",
    "bench": "benchmark",
    "count_allocations": "collect.allocations",
    "count_operations": "collect.operations",
    "load_ipython_extension": "magics",
    "record": "collect.recording",
    "tune_recorded": "tuning",
    "unload_ipython_extension": "magics",
}

__all__ = [
    "BenchResult",
    "BenchSeries",
    "OperationCount",
    "Recording",
    "TuneReport",
    "autotune",
    "bench",
    "count_allocations",
    "count_operations",
    "load_ipython_extension",
    "record",
    "tune_recorded",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the names of the module, those not loaded yet included."""
    return sorted({*globals(), *_HOMES})
