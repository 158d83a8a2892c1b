"""Prove an installed tensorops away from its source: ``python smoke.py SOURCE_TREE [--serial]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

import profiling
import tensorops
from tensorops.runtime import openmp

# Of a source tree that was built in place.
BUILT = {".so", ".pyd", ".c", ".html", ".pyc"}


def data_files(folder: Path) -> set[str]:
    """Return the files of a package that no build makes, by their paths in it."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in BUILT)
    return {path.relative_to(folder).as_posix() for path in found}


def main() -> None:
    """Run each public layer once and stop at the first thing that is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the source tree that must not be the one imported")
    parser.add_argument("--serial", action="store_true", help="expect a build without OpenMP")
    arguments = parser.parse_args()

    where = Path(tensorops.__file__).resolve()
    if where.is_relative_to(arguments.source.resolve()):
        sys.exit(f"imported the source tree, not the installed package: {where}")
    if arguments.serial and openmp.enabled():
        sys.exit("built with TENSOROPS_OPENMP=0, and OpenMP is enabled all the same")

    # What is read and not imported is easily left out of a wheel.
    for package in (tensorops, profiling):
        needed = data_files(arguments.source / package.__name__)
        missing = needed - data_files(Path(package.__file__).parent)
        if missing:
            sys.exit(f"the installed package {package.__name__} lacks {', '.join(sorted(missing))}")
    if (
        "softmax"
        not in subprocess.run(
            [sys.executable, "-m", "profiling", "compete", "list"], capture_output=True, text=True, check=True
        ).stdout
    ):
        sys.exit("the installed package does not know its problems")

    # Small integers: every product and partial sum is exact, so the result must be NumPy's to the bit.
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for shapes in (((5, 7), (7, 3)), ((130, 257), (257, 66)), ((3, 40, 20), (20, 50))):
            a, b = (rng.integers(-8, 8, shape).astype(dtype) for shape in shapes)
            with tensorops.use_backend("blocked"):
                result = tensorops.matmul(a, b)
            np.testing.assert_array_equal(result, np.matmul(a, b))

    tensorops.show_config()
    # The report looks for the .pyx sources and their traced twins beside the installed modules.
    report = ["report", "matmul", "--size", "128", "--no-save"]
    subprocess.run([sys.executable, "-m", "profiling", *report], check=True)
    print(f"smoke test passed: {where.parent}")


if __name__ == "__main__":
    main()
