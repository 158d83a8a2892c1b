"""From a plan and its dtypes to a kernel that can be called, by way of the cache on disk."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import shutil
import sys
import sysconfig
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tensorops.fuse import compiler, store
from tensorops.fuse.calling import Kernel
from tensorops.fuse.errors import FuseError, FuseWarning
from tensorops.fuse.generate import kernel_body, module_text
from tensorops.fuse.planning import Plan
from tensorops.fuse.types import Types

_lock = threading.RLock()
_modules: dict[str, ModuleType] = {}


@dataclass(frozen=True, slots=True)
class Built:
    """A kernel, and what it was made from.

    Attributes
    ----------
    kernel : Kernel
        What computes.
    types : Types
        The dtypes.
    dtype : dtype
        Of the elements, or of their reduction.
    text : str
        The module's text.
    """

    kernel: Kernel
    types: Types
    dtype: np.dtype[Any]
    text: str


def text_of(plan: Plan, types: Types) -> str:
    """Return the text of a plan's kernel.

    Parameters
    ----------
    plan : Plan
        What is computed.
    types : Types
        In which dtypes.

    Returns
    -------
    str
        Cython.
    """
    return module_text(kernel_body(plan.graph, types, plan.arrays, plan.numbers, plan.order, plan.root))


def build(plan: Plan, types: Types) -> Built:
    """Return a plan's kernel: from memory, from disk, or compiled now.

    Parameters
    ----------
    plan : Plan
        What is computed.
    types : Types
        In which dtypes.

    Returns
    -------
    Built
        The kernel.

    Raises
    ------
    FuseError
        If it cannot be compiled.
    """
    text = text_of(plan, types)
    module = load(text, types.real.name)
    kernel = Kernel(module, types.real, len(plan.arrays), plan.grain)
    return Built(kernel, types, plan.result_dtype(types.element), text)


def load(text: str, dtype: str) -> ModuleType:
    """Return the module of a text, compiled if it is not at hand.

    Parameters
    ----------
    text : str
        Cython, with what ``kernels/fused/vectors.pxi`` declares.
    dtype : {"float32", "float64"}
        What ``REAL`` stands for in it.

    Returns
    -------
    module
        Imported.

    Raises
    ------
    FuseError
        If it cannot be compiled.
    """
    row = compiler.row_of(dtype)
    key = hashlib.sha256(
        "\0".join(
            [
                text,
                compiler.identity(),
                " ".join(compiler.options(row)),
                sys.modules["tensorops"].__version__,
                sysconfig.get_config_var("EXT_SUFFIX") or "",
            ]
        ).encode()
    ).hexdigest()[:40]
    name = f"fused_{key}"
    with _lock:
        if key not in _modules:
            found = store.obtain(key, lambda folder: compiler.compile_module(name, text, row, folder))
            try:
                _modules[key] = _import(name, found.path)
            finally:
                if found.temporary is not None:
                    shutil.rmtree(found.temporary, ignore_errors=True)
            if found.complaint:
                warnings.warn(
                    f"tensorops: a compiled expression could not be kept for the next run: {found.complaint}",
                    FuseWarning,
                    stacklevel=2,
                )
        return _modules[key]


def _import(name: str, path: Path) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, str(path), loader=loader)
    assert spec is not None
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise FuseError(f"the compiled expression cannot be loaded: {error}") from None
    return module
