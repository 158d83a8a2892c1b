"""Which modules the build makes, read from the sources and the build table as ``setup.py`` reads them.

``python -m tests.structure.compiled`` prints the modules whose stubs ``mypy.stubtest`` checks.
"""

from __future__ import annotations

from pathlib import Path

from tensorops.kernels.table import FAMILIES, all_rows

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tensorops", "profiling")
SUBMISSIONS = ROOT / "profiling" / "competition" / "problems"
# Sources of the modules that are built once per row, with the row's instructions: importing one that
# this processor cannot run would end the process, so only the loader imports them.
ROW_SOURCES = frozenset(ROOT / source for source in FAMILIES.values())


def cython_files() -> list[Path]:
    """Return every ``.pyx``, ``.pxd`` and ``.pxi`` file of the packages."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.p*"))
    found = (path for path in files if path.suffix in {".pyx", ".pxd", ".pxi"})
    # Starters and the like are no modules of the package: they are compiled when they are judged.
    return sorted(path for path in found if not path.is_relative_to(SUBMISSIONS))


def baseline_sources() -> list[Path]:
    """Return the ``.pyx`` files that become a module of the same name, built for the baseline."""
    return [path for path in cython_files() if path.suffix == ".pyx" and path not in ROW_SOURCES]


def module_name(source: Path) -> str:
    """Return the dotted name of the module that `source` becomes."""
    return ".".join(source.relative_to(ROOT).with_suffix("").parts)


def baseline_modules() -> list[str]:
    """Return the names of the modules built for the baseline processor."""
    return [module_name(source) for source in baseline_sources()]


def row_modules() -> list[str]:
    """Return the names of the micro-kernel modules that are built on this machine."""
    return [row.module for row in all_rows()]


if __name__ == "__main__":
    print("\n".join(baseline_modules()))
