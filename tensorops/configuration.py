"""``show_config``: what this build, this machine and the environment make of the library."""

from __future__ import annotations

import importlib
import os
from typing import Any, Literal, overload

from tensorops.backends import backends
from tensorops.backends.base import FLOAT_DTYPES
from tensorops.dispatch import schema, selection
from tensorops.kernels import table
from tensorops.kernels.gemm.blocking import block_sizes
from tensorops.runtime import cpu, openmp

# Every variable that means something; another one with the prefix is most likely a slip of the pen.
VARIABLES = (
    "TENSOROPS_OPENMP",
    "TENSOROPS_REQUIRE_OPENMP",
    "TENSOROPS_DEBUG",
    "TENSOROPS_ANNOTATE",
    "TENSOROPS_ISA",
    "TENSOROPS_NUM_THREADS",
    "TENSOROPS_BACKEND",
    "TENSOROPS_PROFILE",
    "TENSOROPS_DETERMINISTIC",
    "TENSOROPS_CACHE_DIR",
    "TENSOROPS_COMPETITION",
)


@overload
def show_config(mode: Literal["text"] = ...) -> None: ...
@overload
def show_config(mode: Literal["dict"]) -> dict[str, Any]: ...


def show_config(mode: str = "text") -> dict[str, Any] | None:
    """Show which processor, kernels, threads, profile and backends are in use, and why.

    Parameters
    ----------
    mode : {"text", "dict"}, optional
        Whether to print the configuration or to return it.

    Returns
    -------
    dict or None
        With ``mode="dict"``: "version", "cpu", "isa" (name, why, supported), "kernels" (by dtype:
        name and block sizes in elements), "caches" (bytes), "cores", "threads", "openmp", "blas",
        "profile" (path and number of entries in use), "backends" (None or why not available),
        "backend" (the one asked for) and "environment" (the ``TENSOROPS_*`` variables that are
        set).

    Raises
    ------
    ValueError
        If `mode` is another one, or a variable of the environment has a value that is not allowed.

    Examples
    --------
    >>> sorted(show_config("dict")["kernels"])
    ['float32', 'float64']
    """
    if mode not in ("text", "dict"):
        raise ValueError(f"show_config: unknown mode {mode!r}; known: 'text', 'dict'")
    configuration = _collect()
    if mode == "dict":
        return configuration
    print(_render(configuration))
    return None


def _collect() -> dict[str, Any]:
    profile, path = selection.current_profile(), schema.profile_path()
    machine = schema.fingerprint()
    forced = bool(os.environ.get("TENSOROPS_ISA"))
    return {
        # The version stands in the package itself, which imports this module.
        "version": str(importlib.import_module("tensorops").__version__),
        "cpu": cpu.model_name(),
        "isa": {
            "name": cpu.selected_isa(),
            "why": "TENSOROPS_ISA asks for it" if forced else "the strongest that this machine supports",
            "supported": list(cpu.supported_isas()),
        },
        "kernels": {dtype: _kernel(dtype) for dtype in FLOAT_DTYPES},
        "caches": cpu.caches(),
        "cores": cpu.available_cores(),
        "threads": openmp.get_num_threads(),
        "openmp": openmp.enabled(),
        "blas": machine["blas"],
        "profile": {
            "path": None if path is None else str(path),
            "entries": None if profile is None else len(profile.entries),
        },
        "backends": backends(),
        "backend": selection.active_backend(),
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith("TENSOROPS_")
        },
    }


def _kernel(dtype: str) -> dict[str, Any]:
    """Return the kernel of the selected instruction set and its blocks, as the loops use them."""
    isa, caches = cpu.selected_isa(), cpu.caches()
    (row,) = (row for row in table.KERNELS if (row.isa, row.dtype) == (isa, dtype))
    blocks = block_sizes(row.mr, row.nr, table.ITEMSIZE[dtype], caches["L1d"], caches["L2"])
    return {
        "name": row.name,
        "mr": row.mr,
        "nr": row.nr,
        "mc": blocks.mc,
        "kc": blocks.kc,
        "nc": blocks.nc,
    }


def _render(configuration: dict[str, Any]) -> str:
    isa, caches, blas = (configuration[key] for key in ("isa", "caches", "blas"))
    lines = [
        ("tensorops", configuration["version"]),
        ("processor", configuration["cpu"]),
        ("instructions", f"{isa['name']}: {isa['why']} ({', '.join(isa['supported'])})"),
    ]
    for dtype, kernel in configuration["kernels"].items():
        sizes = ", ".join(f"{name.upper()} {kernel[name]}" for name in ("mr", "nr", "mc", "kc", "nc"))
        lines.append((dtype, f"{kernel['name']}: {sizes}"))
    lines += [
        ("caches", ", ".join(f"{name} {_size(caches[name])}" for name in ("L1d", "L2", "L3", "line"))),
        ("threads", f"{configuration['threads']} of {configuration['cores']} cores{_openmp(configuration)}"),
        ("NumPy's BLAS", f"{blas['name']} {blas['version']}{_forced(blas)}"),
        ("profile", _profile(configuration["profile"])),
    ]
    for name, reason in configuration["backends"].items():
        state = "available" if reason is None else f"not available: {reason}"
        asked = ", asked for" if name == configuration["backend"] else ""
        lines.append((f"backend {name}", state + asked))
    for name, value in configuration["environment"].items():
        lines.append((name, value if name in VARIABLES else f"{value} (no such variable, ignored)"))
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:<{width}}  {text}" for label, text in lines)


def _size(count: int) -> str:
    for unit, scale in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= scale:
            return f"{count / scale:g} {unit}"
    return f"{count} B" if count else "none"


def _openmp(configuration: dict[str, Any]) -> str:
    return ", OpenMP" if configuration["openmp"] else ", built without OpenMP: the kernels run serially"


def _forced(blas: dict[str, Any]) -> str:
    return f", kernels forced to {blas['forced']}" if blas["forced"] else ""


def _profile(profile: dict[str, Any]) -> str:
    if profile["path"] is None:
        return "switched off by TENSOROPS_PROFILE=none"
    if profile["entries"] is None:
        return f"none in use; it would be {profile['path']}"
    return f"{profile['entries']} measured calls in {profile['path']}"
