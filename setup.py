"""Build the extension modules; all metadata stands in ``pyproject.toml``.

Every ``.pyx`` under ``tensorops/`` and ``profiling/`` becomes a module of the same name, built for
the baseline processor. The micro-kernel source is the exception: it is built once per row of
``tensorops/kernels/table.py``, with that row's tile and compiler flags.

Environment: ``TENSOROPS_OPENMP=0`` builds serial kernels, ``TENSOROPS_REQUIRE_OPENMP=1`` fails where
OpenMP is missing, ``TENSOROPS_DEBUG=1`` adds bounds checks, ``TENSOROPS_ANNOTATE=1`` writes Cython's HTML.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
DEBUG = os.environ.get("TENSOROPS_DEBUG") == "1"
WORKERS = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "cdivision": True,
    "show_performance_hints": False,
}
PACKAGES = ("tensorops", "profiling")
TABLE = "tensorops/kernels/table.py"
OPENMP_USER = "tensorops/runtime/openmp.pyx"
SUBMISSIONS = "profiling/competition/problems/"
# What asks for metadata or a list of files needs no kernel.
METADATA = ("egg_info", "dist_info", "sdist")
# Modules whose lines line_profiler counts: built a second time, with tracing, under _traced/.
TRACED = ("tensorops/kernels/ladder.pyx",)


def load_table():
    """Load the build table by its path: the package cannot be imported before it is built."""
    path = ROOT / TABLE
    spec = importlib.util.spec_from_file_location("tensorops_build_table", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


COMMON_FLAGS = load_table().COMMON_FLAGS


def require_compiler() -> list[str]:
    """Return the C compiler's command, or stop with a message that says how to get one."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    words = command.split()
    if shutil.which(words[0]) is None:
        raise SystemExit(
            f"tensorops: no C compiler: {words[0]!r} was not found.\n"
            "Its kernels are compiled on this machine. Install one and run the command again:\n"
            "  Debian, Ubuntu:  apt-get install build-essential\n"
            "  Fedora:          dnf install gcc\n"
            "  macOS:           xcode-select --install\n"
            "Another compiler is chosen with CC=/path/to/cc."
        )
    return words


def openmp_flags() -> list[str]:
    """Return the OpenMP flag if a program compiles and links with it here, else nothing."""
    compiler = require_compiler()
    required = os.environ.get("TENSOROPS_REQUIRE_OPENMP") == "1"
    if os.environ.get("TENSOROPS_OPENMP") == "0":
        if required:
            raise SystemExit("tensorops: TENSOROPS_OPENMP=0 contradicts TENSOROPS_REQUIRE_OPENMP=1.")
        return []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
        probe = subprocess.run(
            [*compiler, "-fopenmp", str(source), "-o", str(Path(folder, "probe"))],
            capture_output=True,
            text=True,
            check=False,
        )
    if probe.returncode == 0:
        return ["-fopenmp"]
    message = f"OpenMP is not usable with {compiler[0]!r}: {probe.stderr.strip()[-300:]}"
    if required:
        raise SystemExit(f"tensorops: {message}")
    print(f"tensorops: {message}\ntensorops: building serial kernels", file=sys.stderr)
    return []


def extension(name: str, source: str, *, optimise="-O3", flags=(), macros=(), depends=()) -> Extension:
    """Return one module with the common flags and the NumPy headers."""
    return Extension(
        name,
        [source],
        include_dirs=[numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), *macros],
        extra_compile_args=["-O1" if DEBUG else optimise, *COMMON_FLAGS, *flags],
        extra_link_args=[flag for flag in flags if flag == "-fopenmp"],
        depends=list(depends),
    )


def translate(modules: list[Extension], folder: Path, **directives) -> list[Extension]:
    """Translate modules to C under `folder`; two builds of one source never share a C file."""
    return cythonize(
        modules,
        build_dir=str(folder),
        compiler_directives={**DIRECTIVES, **directives},
        annotate=os.environ.get("TENSOROPS_ANNOTATE") == "1",
        emit_linenums=True,
        nthreads=WORKERS if len(modules) > 1 else 0,
        quiet=True,
    )


def translate_rows(rows, build: Path) -> list[str]:
    """Translate each row's source and return the C files; forked processes share the rows out.

    cythonize() works in parallel only on modules of different sources, and a pool would have to
    import this file, which pip runs without a module. What the children wrote is up to date here.
    """
    jobs = [([Extension(row.module, [row.source])], build / row.name) for row in rows]
    children = []
    if hasattr(os, "fork"):
        context = multiprocessing.get_context("fork")
        for first in range(1, min(WORKERS, len(jobs))):
            share = jobs[first::WORKERS]
            children.append(context.Process(target=lambda share=share: [translate(*job) for job in share]))
    for child in children:
        child.start()
    for job in jobs[::WORKERS]:
        translate(*job)
    for child in children:
        child.join()
    return [translate(*job)[0].sources[0] for job in jobs]


def row_macros(row) -> list[tuple[str, str]]:
    """Return what a row's source is told about the row."""
    return [
        ("REAL", {"float32": "float", "float64": "double"}[row.dtype]),
        ("MR", str(row.mr)),
        ("NR_VECTORS", str(row.nr_vectors)),
        ("VECTOR_BYTES", str(row.vector_bytes)),
        ("KERNEL_NAME", f'"{row.name}"'),
        # Tiles become constants only where they are inlined.
        ("CYTHON_INLINE", "inline __attribute__((always_inline, unused))"),
    ]


def extensions() -> list[Extension]:
    """Return every module, translated to C."""
    table = load_table()
    build = Path("build/cython")
    openmp = openmp_flags()
    plain, traced, built = [], [], []
    for path in sorted(path for package in PACKAGES for path in Path(package).rglob("*.pyx")):
        source = path.as_posix()
        # Submissions of the competition are compiled when they are judged.
        if source in table.FAMILIES.values() or source.startswith(SUBMISSIONS):
            continue
        name = source.removesuffix(".pyx").replace("/", ".")
        plain.append(
            extension(
                name,
                source,
                # Modules without loops over data gain nothing from more than -O2 but time to build.
                optimise="-O3" if name.startswith("tensorops.kernels.") else "-O2",
                flags=openmp if source == OPENMP_USER else (),
            )
        )
        if source in TRACED:
            traced.append((f"tensorops._traced.{path.stem}", source))
    built += translate(plain, build / "plain")
    # cythonize() remembers a source's macros from one call to the next: below it gets none to remember.
    for name, source in traced:
        (translated,) = translate([Extension(name, [source])], build / "traced", linetrace=True)
        macros = [("CYTHON_TRACE_NOGIL", "1")]
        built.append(extension(name, translated.sources[0], optimise="-O1", macros=macros))
    rows = table.all_rows()
    c_files = translate_rows(rows, build)
    for row, c_file in zip(rows, c_files, strict=True):
        included = sorted(path.as_posix() for path in Path(row.source).parent.glob("*.px[id]"))
        depends = [TABLE, *included]
        built.append(extension(row.module, c_file, flags=row.cflags, macros=row_macros(row), depends=depends))
    return built


class ParallelBuild(build_ext):
    """``build_ext`` that uses every core by default."""

    def finalize_options(self) -> None:
        """Fill in the number of compiler processes."""
        super().finalize_options()
        self.parallel = self.parallel or WORKERS


if __name__ == "__main__":
    os.chdir(ROOT)
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    modules = [] if command in METADATA else extensions()
    setup(ext_modules=modules, cmdclass={"build_ext": ParallelBuild})
