"""The machine that a run was made on, and its measured roof."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tensorops.runtime import cpu

FORCING = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_CBWR",
    "DNNL_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
)
"""Variables that make a rival run other kernels than the ones it would choose for this processor."""

OWN_FORCING = ("TENSOROPS_ISA",)
"""Variables that make this library run other kernels than the ones it would choose."""

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def forced(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that force a rival's kernels, as set now.

    Parameters
    ----------
    environment : mapping, optional
        ``os.environ`` by default.

    Returns
    -------
    dict of str to str
        Empty on an undisturbed machine.

    Examples
    --------
    >>> forced({"OPENBLAS_CORETYPE": "Haswell", "HOME": "/"})
    {'OPENBLAS_CORETYPE': 'Haswell'}
    """
    environment = os.environ if environment is None else environment
    return {name: environment[name] for name in FORCING if environment.get(name)}


def describe() -> dict[str, Any]:
    """Return what a reader of the numbers must know of this machine.

    Returns
    -------
    dict
        JSON-ready: processor, caches in bytes, cores, load, versions, BLAS, forcing variables.

    Examples
    --------
    >>> sorted(describe())[:4]
    ['blas', 'caches', 'cores', 'cpu']
    """
    return {
        "cpu": cpu.model_name(),
        "isa": cpu.selected_isa(),
        "caches": dict(cpu.caches()),
        "cores": cpu.available_cores(),
        "governor": GOVERNOR.read_text(encoding="ascii").strip() if GOVERNOR.is_file() else None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tensorops": _version("tensorops"),
        "blas": blas(),
        "forced": forced(),
        "own": {name: os.environ[name] for name in OWN_FORCING if os.environ.get(name)},
    }


def blas() -> list[dict[str, Any]]:
    """Return the BLAS libraries loaded in this process.

    Returns
    -------
    list of dict
        Name, version, the kernels it chose ("architecture") and its threads.

    Examples
    --------
    >>> all("name" in library for library in blas())
    True
    """
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    return [
        {
            "name": library["internal_api"],
            "version": library["version"],
            "architecture": library.get("architecture"),
            "threads": library["num_threads"],
        }
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]


def one_line(machine: Mapping[str, Any]) -> str:
    """Return a description as one line of text.

    Parameters
    ----------
    machine : mapping
        As `describe`.

    Returns
    -------
    str
        Processor, cores, caches, instruction set, versions, BLAS.

    Examples
    --------
    >>> "NumPy" in one_line(describe())
    True
    """
    caches = machine["caches"]
    sizes = ", ".join(f"{name} {_size(caches[name])}" for name in ("L1d", "L2", "L3") if caches.get(name))
    libraries = " + ".join(
        " ".join(filter(None, [entry["name"], entry["version"], f"({entry['architecture']})"]))
        for entry in machine["blas"]
    )
    cores = f"{machine['cores']} core{'s' * (machine['cores'] != 1)}"
    versions = f"Python {machine['python']}, NumPy {machine['numpy']}"
    return (
        f"{machine['cpu']}, {cores}, {sizes}; kernels {machine['isa']}; {versions}, {libraries or 'no BLAS'}"
    )


def measure_peak(dtype: str) -> float:
    """Measure what one core can do at most: multiply-adds on registers only, no memory.

    Parameters
    ----------
    dtype : str
        ``"float32"`` or ``"float64"``.

    Returns
    -------
    float
        GFLOP/s of one core, with the vectors of the selected instruction set.
    """
    from tensorops.kernels.gemm import family

    return float(family.measure_peak(dtype))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        # A checkout that was built in place and not installed.
        package = sys.modules.get(distribution)
        return getattr(package, "__version__", None)


def _size(count: int) -> str:
    return f"{count / 2**20:g} MiB" if count >= 2**20 else f"{count / 2**10:g} KiB"
