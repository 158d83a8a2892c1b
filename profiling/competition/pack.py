"""A problem: what to compute, on which sizes, how to check it, and what to be faster than.

A pack is a folder: ``problem.py`` with ``PROBLEM = Problem(...)``, ``baseline.py``, ``starter.py``,
``starter.pyx`` and ``must_fail/``, submissions that the judge must not accept.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sizes = tuple[int, ...]
BUILT_IN = Path(__file__).parent / "problems"
FLOOR = 1e-3
MUST_FAIL = "must_fail"


@dataclass(frozen=True, slots=True)
class Band:
    """A family of sizes; each judging draws its own from it.

    Attributes
    ----------
    name : str
        What results call it.
    ranges : tuple of (int, int)
        Lowest and highest of each size, inclusive.
    scale : float
        Magnitude of the values.
    """

    name: str
    ranges: tuple[tuple[int, int], ...]
    scale: float = 1.0

    def draw(self, rng: np.random.Generator) -> Sizes:
        """Return sizes of this band."""
        return tuple(int(rng.integers(low, high + 1)) for low, high in self.ranges)


def row_scale(expected: Array, *operands: Array) -> Array:
    """Return what an error is measured against: the value itself, but at least a thousandth of its row's."""
    magnitude = np.abs(expected)
    if not magnitude.size:
        return magnitude
    scale: Array = np.maximum(magnitude, FLOOR * magnitude.max(axis=-1, keepdims=True)) + 1e-300
    return scale


def product_scale(a: Array, b: Array) -> Array:
    """Return the largest values that the sums of a product of matrices can have.

    Parameters
    ----------
    a, b : ndarray of shape (rows, steps) and (steps, columns)
        The factors.

    Returns
    -------
    ndarray of shape (rows, columns)
        The lengths of its row and its column multiplied.
    """
    rows = np.sqrt(np.square(a, dtype=np.float64).sum(axis=1))
    columns = np.sqrt(np.square(b, dtype=np.float64).sum(axis=0))
    scale: Array = rows[:, None] * columns[None, :] + 1e-300
    return scale


@dataclass(frozen=True, slots=True)
class Problem:
    """The contents of ``problem.py``.

    Attributes
    ----------
    title, call, text : str
        One line, the signature of ``kernel``, and the description.
    sizes : tuple of str
        What the numbers of a band mean.
    timed : tuple of Band
        The cases that count. Narrow, so that judgings compare, and drawn anew each time, so that no
        size can be known before. One call of the baseline takes about half a millisecond or more.
    checked : tuple of Band
        Further cases that only have to be right: edges, magnitudes.
    make : callable
        ``make(rng, sizes, scale)`` returns the operands.
    oracle : callable
        ``oracle(*operands)`` returns the result in float64.
    out_shape : callable
        ``out_shape(sizes)``.
    tolerance : float
        Largest error over `error_scale`, four to eight times the baseline's own.
    flops, bytes : callable
        ``flops(sizes)``; least traffic in bytes.
    error_scale : callable
        ``error_scale(expected, *operands)``, of the result's shape.
    operation : str
        The library's operation that computes the same, where there is one.
    dtype : str
        Of operands and result.
    """

    title: str
    call: str
    text: str
    sizes: tuple[str, ...]
    timed: tuple[Band, ...]
    checked: tuple[Band, ...]
    make: Callable[[np.random.Generator, Sizes, float], tuple[Array, ...]]
    oracle: Callable[..., Array]
    out_shape: Callable[[Sizes], Sizes]
    tolerance: float
    flops: Callable[[Sizes], float]
    bytes: Callable[[Sizes], float]
    error_scale: Callable[..., Array] = row_scale
    operation: str = ""
    dtype: str = "float32"

    def error(self, out: Array, expected: Array, *operands: Array) -> float:
        """Return the largest error of a result in units of the error scale; infinite if it is not finite."""
        if not out.size:
            return 0.0
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.abs(out.astype(np.float64) - expected) / self.error_scale(expected, *operands)
        worst = float(scaled.max())
        return worst if math.isfinite(worst) else math.inf


@dataclass(frozen=True, slots=True)
class Pack:
    """A problem with its folder.

    Attributes
    ----------
    name : str
        Of the folder.
    folder : Path
        Where it stands.
    problem : Problem
        What ``problem.py`` defines.
    version : str
        Changes with the problem or its baseline: results of two versions are never compared.
    """

    name: str
    folder: Path
    problem: Problem
    version: str

    def file(self, name: str) -> Path:
        """Return the path of a file of the pack."""
        return self.folder / name

    @property
    def must_fail(self) -> list[Path]:
        """The submissions that must not be accepted."""
        return sorted(path for path in self.file(MUST_FAIL).glob("*.py*") if path.suffix in (".py", ".pyx"))

    def largest(self) -> tuple[int, int]:
        """Return the most bytes of operands and of a result that a case can have."""
        inputs, outputs = 0, 0
        rng = np.random.default_rng(0)
        size = np.dtype(self.problem.dtype).itemsize
        for band in (*self.problem.timed, *self.problem.checked):
            sizes = tuple(high for _, high in band.ranges)
            operands = self.problem.make(rng, sizes, band.scale)
            inputs = max(inputs, sum(operand.nbytes for operand in operands))
            outputs = max(outputs, math.prod(self.problem.out_shape(sizes)) * size)
        return inputs, outputs


class PackError(ValueError):
    """A pack that cannot be used; the message says why."""


def folders(home: Path | None = None) -> list[Path]:
    """Return the folders in which packs are looked for: the built-in ones and ``HOME/problems``."""
    return [BUILT_IN] if home is None else [home / "problems", BUILT_IN]


def names(home: Path | None = None) -> list[str]:
    """Return the names of all packs.

    Parameters
    ----------
    home : Path, optional
        Folder of a competition, whose own packs come first.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> "softmax" in names()
    True
    """
    found = {path.parent.name for folder in folders(home) for path in folder.glob("*/problem.py")}
    return sorted(found)


def load(name: str, home: Path | None = None) -> Pack:
    """Load one pack.

    Parameters
    ----------
    name : str
        One of `names`.
    home : Path, optional
        Folder of a competition.

    Returns
    -------
    Pack
        Not yet validated: ``profiling.competition.validate`` runs its baseline and its must-fail set.

    Raises
    ------
    PackError
        For an unknown name and for a pack that lacks something.

    Examples
    --------
    >>> load("softmax").problem.call
    'kernel(x, out)'
    """
    for folder in folders(home):
        if name in names(home) and (folder / name / "problem.py").is_file():
            return _load(folder / name)
    raise PackError(f"unknown problem {name!r}; known: {', '.join(names(home))}")


@functools.lru_cache(maxsize=64)
def _load(folder: Path) -> Pack:
    missing = [
        name
        for name in ("problem.py", "baseline.py", "starter.py", "starter.pyx")
        if not (folder / name).is_file()
    ]
    if missing:
        raise PackError(f"{folder}: {', '.join(missing)} is missing")
    spec = importlib.util.spec_from_file_location(f"tensorops_problem_{folder.name}", folder / "problem.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        problem = module.PROBLEM
    except Exception as error:
        raise PackError(f"{folder / 'problem.py'}: {type(error).__name__}: {error}") from error
    if not isinstance(problem, Problem):
        raise PackError(f"{folder / 'problem.py'}: PROBLEM must be a Problem, got {type(problem).__name__}")
    wrong = [
        band.name for band in (*problem.timed, *problem.checked) if len(band.ranges) != len(problem.sizes)
    ]
    if wrong or not problem.timed:
        raise PackError(f"{folder}: timed cases with {len(problem.sizes)} sizes are expected, see {wrong}")
    pinned = b"".join((folder / name).read_bytes() for name in ("problem.py", "baseline.py"))
    pack = Pack(folder.name, folder, problem, hashlib.sha256(pinned).hexdigest()[:12])
    if not pack.must_fail:
        raise PackError(f"{folder}: {MUST_FAIL}/ is empty: without it nobody knows that the checks can fail")
    return pack
