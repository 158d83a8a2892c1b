"""The child that runs kernels under cachegrind; see `profiling.model.cachegrind`.

It is started by its path, and imports as little as it can: under valgrind Python itself is what takes
most of the time. Its one argument is JSON.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import json
import mmap
import sys
import threading
from collections.abc import Mapping
from typing import Any

PLACE = 1 << 22
"""Operands begin at a multiple of it, as in the simulation: their addresses decide which sets they use."""


def main(work: Mapping[str, Any]) -> None:
    """Run kernels once each, on caches that hold nothing of their operands.

    Parameters
    ----------
    work : mapping
        "kernels": names with keyword arguments; "ladder": file of the compiled ladder; "format": "f" or
        "d"; "arrays": for each array its "address", "shape" and "bytes"; "sweep": bytes that empty the
        caches of all else; "packed": whether to run the library's product too.
    """
    arrays = work["arrays"]
    end = max(array["address"] + array["bytes"] for array in arrays)
    memory = mmap.mmap(-1, end + PLACE)
    start = -ctypes.addressof(ctypes.c_char.from_buffer(memory)) % PLACE
    views = [
        memoryview(memory)[start + array["address"] :][: array["bytes"]]
        .cast("B")
        .cast(work["format"], array["shape"])
        for array in arrays
    ]
    for view in views[:-1]:
        bytes_of = view.cast("B")
        bytes_of[:] = bytes(len(bytes_of))
    if work["kernels"]:
        # Loaded by its file: its package would bring in NumPy, which takes seconds under valgrind.
        loader = importlib.machinery.ExtensionFileLoader("ladder", work["ladder"])
        spec = importlib.util.spec_from_loader("ladder", loader)
        assert spec is not None
        ladder = importlib.util.module_from_spec(spec)
        loader.exec_module(ladder)
        for kernel, numbers in work["kernels"].items():
            _sweep(work["sweep"])
            getattr(ladder, kernel)(*views, **numbers)
    if work["packed"]:
        import numpy as np

        from tensorops.backends import run_path

        a, b, c = (np.asarray(view) for view in views)
        run_path("blocked/packed", "matmul", [a[:1], b], c[:1])
        _sweep(work["sweep"])
        run_path("blocked/packed", "matmul", [a, b], c)


def _run(work: Mapping[str, Any]) -> None:
    """Call `main` in a thread, whose stack begins at a page.

    The main thread's stack begins below the environment and the arguments, so that their length would
    decide which sets of the caches it uses.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            main(work)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _sweep(size: int) -> None:
    """Fill memory, so that the caches hold nothing else afterwards."""
    bytearray(b"\1") * size


if __name__ == "__main__":
    _run(json.loads(sys.argv[1]))
