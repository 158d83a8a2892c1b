"""Machines whose results stand on one board: the same processor, cores, compiler and libraries."""

from __future__ import annotations

import hashlib
import json
import platform
from typing import Any

from ..measure import machine
from . import compiler


def describe() -> dict[str, Any]:
    """Return what decides how fast the same kernel is here."""
    found = machine.describe()
    kept = {name: found[name] for name in ("cpu", "cores", "caches", "python", "numpy")}
    libraries = [f"{library['name']} {library['version']}" for library in found["blas"]]
    return {**kept, "blas": libraries, "kernel": platform.release(), **compiler.describe()}


def name(description: dict[str, Any]) -> str:
    """Return the name of a machine class: readable, and different where the description is.

    Parameters
    ----------
    description : dict
        As `describe`.

    Returns
    -------
    str
        Processor, cores and six digits.

    Examples
    --------
    >>> name({"cpu": "A B", "cores": 2})
    'A B, 2 cores, d7e2f0'
    """
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:6]
    return f"{description['cpu']}, {description['cores']} cores, {digest}"
