"""From a ``.pyx`` file to a module, in a box of its own, by our own compiler line."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from . import verdict
from .sandbox import Sandbox, bubblewrap_command, command, environment
from .verdict import Fault

SECONDS = 90
MEMORY = 4 << 30
KEPT_OUTPUT = 8 * 1024
MOST_MODULE = 32 << 20
FLAGS = (
    "-O3",
    "-fPIC",
    "-shared",
    "-pthread",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    "-w",
)


@functools.lru_cache(maxsize=1)
def c_compiler() -> str:
    """Return the path of the C compiler.

    Raises
    ------
    Fault
        JUDGE_ERROR where there is none: it is not the submission's fault.
    """
    configured = (sysconfig.get_config_var("CC") or "cc").split()[0]
    for name in (configured, "gcc", "cc", "clang"):
        found = shutil.which(name)
        if found:
            return found
    raise Fault(verdict.JUDGE_ERROR, "this machine has no C compiler")


@functools.lru_cache(maxsize=1)
def flags() -> tuple[str, ...]:
    """Return the flags of every submission: tuned for this processor, with OpenMP where it works."""
    native = "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"
    trial = [c_compiler(), "-fopenmp", "-x", "c", "-", "-o", os.devnull]
    program = b"#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
    done = subprocess.run(trial, input=program, capture_output=True, check=False)
    return (*FLAGS, native, *(["-fopenmp"] if done.returncode == 0 else []))


def why_unavailable() -> str | None:
    """Return why no ``.pyx`` file can be compiled here, or None."""
    if importlib.util.find_spec("Cython") is None:
        return "Cython is not installed here; install it with: pip install 'tensorops[compete]'"
    try:
        c_compiler()
    except Fault as fault:
        return fault.reason
    return None


def describe() -> dict[str, str]:
    """Return what compiled modules depend on, for the record; nothing where none can be made."""
    if why_unavailable():
        return {"cython": "none", "compiler": "none", "flags": ""}
    import Cython

    version = subprocess.run([c_compiler(), "--version"], capture_output=True, text=True, check=False).stdout
    return {
        "cython": Cython.__version__,
        "compiler": (version.splitlines() or [""])[0],
        "flags": " ".join(flags()),
    }


def compile_source(source: Path, name: str, sandbox: Sandbox) -> Path:
    """Compile a submission.

    Parameters
    ----------
    source : Path
        The ``.pyx`` file, alone in a folder that may be written.
    name : str
        Name of the module.
    sandbox : Sandbox
        From ``sandbox.probe()``.

    Returns
    -------
    Path
        The module, beside the source.

    Raises
    ------
    Fault
        COMPILE_ERROR with the end of the messages; JUDGE_ERROR without a compiler or without Cython.
    """
    unavailable = why_unavailable()
    if unavailable:
        raise Fault(verdict.JUDGE_ERROR, unavailable)
    import Cython

    folder = source.parent
    module = folder / f"{name}.so"
    c_file = folder / f"{name}.c"
    include = [sysconfig.get_path("include"), np.get_include()]
    compile_line = [
        c_compiler(),
        *flags(),
        "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION",
        *(f"-I{path}" for path in include),
        str(c_file),
        "-o",
        str(module),
        "-lm",
    ]
    tools = [sys.base_prefix, sys.prefix, str(Path(c_compiler()).resolve().parent.parent)]
    configuration: dict[str, Any] = {
        "confined": sandbox.confined,
        # Bubblewrap has made some already.
        "namespaces": sandbox.namespaces and not sandbox.bubblewrap,
        "folder": str(folder),
        "source": str(source),
        "name": name,
        "c_file": str(c_file),
        "compile": compile_line,
        "site": str(Path(Cython.__file__).resolve().parent.parent),
        "tools": [path for path in tools if path != "/"],
        "seconds": SECONDS,
        "memory": MEMORY,
    }
    line = command("translate", configuration)
    if sandbox.bubblewrap:
        line = [*bubblewrap_command(sandbox.bubblewrap, str(folder)), *line]
    messages, code = _run(line, environment(1, str(folder)), folder)
    if code is None:
        raise Fault(verdict.COMPILE_ERROR, f"compiling took longer than {SECONDS} s", stderr=messages)
    if code or not module.is_file() or module.is_symlink():
        raise Fault(verdict.COMPILE_ERROR, _first_error(messages, code), stderr=messages)
    if module.stat().st_size > MOST_MODULE:
        raise Fault(verdict.COMPILE_ERROR, f"the module is larger than {MOST_MODULE >> 20} MiB")
    return module


def _run(line: list[str], variables: dict[str, str], folder: Path) -> tuple[str, int | None]:
    """Return the end of the messages and the exit code, None where it took too long."""
    printed = folder / "messages.txt"
    with printed.open("wb") as file:
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=folder,
            start_new_session=True,
        )
        code: int | None
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Whatever it has started: nothing in the box can leave the group.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with printed.open("rb") as file:
        file.seek(max(0, printed.stat().st_size - KEPT_OUTPUT))
        text = file.read().decode("utf-8", "replace")
    return text.replace(f"{folder}/", ""), code


def _first_error(messages: str, code: int) -> str:
    lines = [line.strip() for line in messages.splitlines()]
    told = [line for line in lines if line.startswith("kernel.pyx:")]
    told += [line for line in lines if "error" in line.lower() and not line.startswith("Error compiling")]
    return told[0] if told else f"the compiler ended with exit code {code}"
