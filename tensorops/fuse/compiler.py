"""Cython and the C compiler, called for one module at a time; neither is touched for a cached one."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from tensorops.fuse.errors import FuseError
from tensorops.kernels.table import COMMON_FLAGS, KernelRow, family_rows
from tensorops.runtime import cpu

SECONDS = 120
# Line tables would name a file that is gone, and the kernel is vectors already: the second level suffices.
LEFT_OUT = ("-g1",)


def row_of(dtype: str) -> KernelRow:
    """Return the instruction set in use, as the build table describes it.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The kernel's type.

    Returns
    -------
    KernelRow
        Its flags and vector width.

    Examples
    --------
    >>> row_of("float32").dtype
    'float32'
    """
    isa = cpu.selected_isa()
    return [row for row in family_rows("elementwise") if row.dtype == dtype and row.isa == isa][-1]


def command() -> list[str]:
    """Return the C compiler's command, without starting it.

    Returns
    -------
    list of str
        From the variable CC, or the one that Python itself was compiled with.

    Raises
    ------
    FuseError
        If there is none.
    """
    words = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    if sys.platform == "win32":
        raise FuseError("expressions are not compiled on Windows")
    if shutil.which(words[0]) is None:
        raise FuseError(f"there is no C compiler: {words[0]!r} was not found")
    return words


def identity() -> str:
    """Return what tells one compiler from another: its files, their sizes and times.

    Returns
    -------
    str
        It changes when the compiler is replaced.
    """
    parts = []
    for word in command():
        found = shutil.which(word)
        if found is None:
            parts.append(word)
        else:
            status = Path(found).stat()
            parts.append(f"{Path(found).resolve()} {status.st_size} {status.st_mtime_ns}")
    return "; ".join(parts)


def options(row: KernelRow) -> list[str]:
    """Return the compiler's options for one row of the build table.

    Parameters
    ----------
    row : KernelRow
        Instruction set and type.

    Returns
    -------
    list of str
        As ``setup.py`` gives them to the kernels, and what makes a module of a C file.
    """
    real = {"float32": "float", "float64": "double"}[row.dtype]
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    return [
        *shared,
        "-fPIC",
        "-O2",
        *[flag for flag in COMMON_FLAGS if flag not in LEFT_OUT],
        *row.cflags,
        f"-DREAL={real}",
        f"-DVECTOR_BYTES={row.vector_bytes}",
        "-DCYTHON_INLINE=inline __attribute__((always_inline, unused))",
    ]


def compile_module(name: str, text: str, row: KernelRow, folder: Path) -> Path:
    """Translate and compile a module.

    Parameters
    ----------
    name : str
        The module's name.
    text : str
        Its Cython text.
    row : KernelRow
        Instruction set and type.
    folder : Path
        An empty folder to work in.

    Returns
    -------
    Path
        The compiled file, in the folder.

    Raises
    ------
    FuseError
        If Cython is not installed, or the text does not compile.
    OSError
        If the folder cannot be written.
    """
    if importlib.util.find_spec("Cython") is None:
        raise FuseError("Cython is not installed: python -m pip install 'tensorops[fuse]'")
    # A kernel from the cache needs it no more than Cython.
    import subprocess

    source = folder / f"{name}.pyx"
    source.write_text(text, encoding="ascii")
    c_file, target = folder / f"{name}.c", folder / f"{name}.so"
    _translate(source, c_file)
    words = [
        *command(),
        *options(row),
        f"-I{sysconfig.get_path('include')}",
        str(c_file),
        "-o",
        str(target),
        "-lm",
    ]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        raise FuseError(f"the C compiler did not end within {SECONDS} s") from None
    if done.returncode != 0:
        if _full(folder):
            raise OSError(f"no space is left in {folder}")
        raise FuseError(f"the C compiler failed: {done.stderr.strip()[-500:]}")
    return target


def _translate(source: Path, c_file: Path) -> None:
    cython = importlib.import_module("Cython.Compiler.Main")
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(heard):
        result = cython.compile(
            str(source),
            cython.CompilationOptions(
                output_file=str(c_file),
                language_level=3,
                emit_linenums=False,
                compiler_directives={
                    "binding": False,
                    "embedsignature": False,
                    "show_performance_hints": False,
                },
            ),
        )
    if result.num_errors or not c_file.exists():
        raise FuseError(f"Cython refused the kernel: {heard.getvalue().strip()[-500:]}")


def _full(folder: Path) -> bool:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize < 1 << 20
