"""``explain``: which path a call takes on this machine, and why not another."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tensorops.backends import usable_paths
from tensorops.backends.base import FLOAT_DTYPES, Call, ComputeBackend, layout_letter
from tensorops.backends.owners import owner_of
from tensorops.dispatch import policy, schema, selection, table
from tensorops.dispatch.precision import asked_for
from tensorops.operations import OPERATIONS
from tensorops.precisions import DEFAULT, error_factor
from tensorops.runtime import openmp

# Columns of the text. Only a file's name may be longer: it is there to be copied.
WIDTH = 100
_PROFILE = "  profile: "
_PRODUCTS = ("matmul", "linear", "linear_backward")
_GRADIENTS = ("linear_backward",)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What runs for a call, and why. ``str()`` gives it as text.

    Attributes
    ----------
    call : Call
        The call asked about.
    representative : tuple of tuple of int
        Operand shapes of the size class that the call belongs to; the choice is made for these.
    choice : Choice
        The path, the reason and the candidates.
    profile : str or None
        The profile file in use; None without one.
    precision : str or None
        The precision that a product is asked for; None of other operations, and of what NumPy computes.

    Examples
    --------
    >>> str(explain("matmul", (64, 784), (784, 128), threads=1)).partition(":")[0]
    'matmul 64x784 @ 784x128 float32, layout CC, 1 thread'
    """

    call: Call
    representative: tuple[tuple[int, ...], ...]
    choice: policy.Choice
    profile: str | None
    precision: str | None = None

    @property
    def error_factor(self) -> float | None:
        """Bound of a product's error, over the sum of the terms' magnitudes; None where there is none."""
        if self.precision is None:
            return None
        eps = float(np.finfo(self.call.dtype).eps)
        rows, depth, columns, _ = OPERATIONS[self.call.op].sizes(self.call.shapes, dict(self.call.params))
        if self.call.op in _GRADIENTS:
            # They are sums over the columns, and over the rows.
            depth = max(rows, columns)
        return error_factor(depth, eps)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as values that JSON knows.

        Returns
        -------
        dict
            "op", "dtype", "shapes", "layout", "threads", "size_class", "path", "reason",
            "chosen_threads", "profile", "precision", "error_factor", "measured" (the nearest measured call's
            shapes, dtype, layout and threads, or None) and "candidates" (see
            `tensorops.dispatch.policy.Candidate`).

        Examples
        --------
        >>> explain("matmul", (64, 784), (784, 128)).to_dict()["shapes"]
        [[64, 784], [784, 128]]
        """
        entry = self.choice.entry
        return {
            "op": self.call.op,
            "dtype": self.call.dtype,
            "shapes": [list(shape) for shape in self.call.shapes],
            "layout": self.call.layout,
            "threads": self.call.threads,
            "size_class": [list(shape) for shape in self.representative],
            "path": self.choice.path,
            "chosen_threads": self.choice.threads,
            "reason": self.choice.reason,
            "profile": self.profile,
            "precision": self.precision,
            "error_factor": self.error_factor,
            "measured": entry
            and {
                "shapes": [list(shape) for shape in entry.shapes],
                "dtype": entry.dtype,
                "layout": entry.layout,
                "threads": entry.threads,
            },
            "candidates": [
                {
                    **asdict(item),
                    "measured_shape": item.measured_shape and [list(shape) for shape in item.measured_shape],
                }
                for item in self.choice.candidates
            ],
        }

    def __str__(self) -> str:
        call, choice = self.call, self.choice
        lines = [
            f"{call.op} {_operands(call.op, call.shapes)} {call.dtype}, layout {call.layout}, "
            f"{_threads(call.threads)}: {choice.path}",
            f"  {choice.reason}",
        ]
        if choice.threads != call.threads:
            lines.append(f"  on {_threads(choice.threads)}: expected to be faster than {call.threads}")
        if self.representative != call.shapes:
            middle = _operands(call.op, self.representative)
            lines.append(f"  size class: decided, and predicted, at its middle {middle}")
        if self.precision is not None:
            lines.append(f"  {self._accuracy()}")
        lines.append(f"{_PROFILE}{self.profile or 'none in use'}")
        if choice.entry is not None:
            entry = choice.entry
            lines.append(
                f"  nearest measured call: {_operands(entry.op, entry.shapes)} {entry.dtype}, "
                f"layout {entry.layout}, {_threads(entry.threads)}; "
                f"{choice.candidates[0].distance:.1f} doublings away"
            )
        return "\n".join(part for line in [*lines, *_candidate_lines(choice)] for part in _folded(line))

    def _accuracy(self) -> str:
        terms = "the terms' magnitudes" if self.call.op in _GRADIENTS else "abs(a) @ abs(b)"
        bound = f"error at most {self.error_factor:.2g} * {terms}"
        if self.precision == DEFAULT:
            return f"precision {self.precision}: {bound}"
        return (
            f"precision {self.precision} asked for, but no matrix unit to use: computed as {DEFAULT}, {bound}"
        )


def explain(
    op: str,
    *operands: Any,
    dtype: str = "float32",
    threads: int | None = None,
    precision: str | None = None,
    **params: object,
) -> Explanation:
    """Tell which path a call takes on this machine, and why.

    Parameters
    ----------
    op : str
        Name of an operation.
    *operands : tuple of int or array_like
        The operands, or just their shapes. A tuple of whole numbers is a shape.
    dtype : str, optional
        The dtype of operands that are given by their shapes alone.
    threads : int, optional
        Threads of the kernels; by default as many as they use now.
    precision : {None, "highest", "high", "medium"}
        Of a product; None as `set_matmul_precision` says.
    **params : object
        The operation's parameters that change the work.

    Returns
    -------
    Explanation
        Print it, or take its parts.

    Raises
    ------
    TypeError
        If an operand is neither an array nor a shape, or `dtype` is not a dtype.
    ValueError
        If the operation or the precision is unknown, the operands do not fit it, or `threads` is below 1.

    Examples
    --------
    >>> explain("matmul", (64, 784), (784, 128)).choice.path in ("blocked/packed", "blocked/small", "numpy")
    True
    """
    if op not in OPERATIONS:
        raise ValueError(f"unknown operation {op!r}; known: {', '.join(OPERATIONS)}")
    if threads is None:
        threads = openmp.get_num_threads()
    elif threads < 1:
        raise ValueError(f"threads={threads}: expected at least 1")
    asked = asked_for(precision, f"explain({op!r})") if op in _PRODUCTS else None
    owner = owner_of(operands)
    if owner is not None:
        return _of_a_part(owner, op, operands, threads, {**params, "precision": precision})
    described = [_describe(operand, np.dtype(dtype)) for operand in operands]
    shapes = tuple(shape for shape, _, _ in described)
    # Raises where the shapes do not fit the operation.
    OPERATIONS[op].sizes(shapes, params)
    call = Call.of(
        op,
        np.result_type(*(kind for _, kind, _ in described)).name,
        shapes,
        "".join(letter for _, _, letter in described),
        params,
        threads,
    )
    in_use = selection.current_profile() is not None
    profile = str(schema.profile_path()) if in_use else None
    foreign = _not_ours(operands, call.dtype)
    if foreign is not None:
        paths = [path for path in usable_paths(call)[0] if path != "numpy"]
        return Explanation(call, shapes, _numpy_alone(call, paths, foreign), profile)
    representative = table.representative(shapes, op, call.params)
    choice = selection.choose_path(replace(call, shapes=representative), real=call)
    return Explanation(call, representative, _with_hotspots(choice, op), profile, asked)


def _of_a_part(
    owner: ComputeBackend, op: str, operands: Sequence[Any], threads: int, params: Mapping[str, Any]
) -> Explanation:
    """Explain a large part of a call on arrays that belong to a backend."""
    whole = [tuple(operand) if isinstance(operand, tuple) else np.shape(operand) for operand in operands]
    OPERATIONS[op].sizes(whole, params)
    dtypes = [np.dtype(operand.dtype) for operand in operands if hasattr(operand, "dtype")]
    shapes = owner.part_of(op, operands)
    found = explain(op, *shapes, dtype=np.result_type(*dtypes).name, threads=threads, **params)
    text = (
        f"{owner.name} computes {_operands(op, whole)} part by part; of a part of {_operands(op, shapes)}: "
        f"{found.choice.reason}"
    )
    return replace(found, choice=replace(found.choice, reason=text))


def _with_hotspots(choice: policy.Choice, op: str) -> policy.Choice:
    """Return the choice with the hotspot of each path where it is known, if not at the nearest call."""
    profile = selection.current_profile()
    missing = [one for one in choice.candidates if one.measured_seconds is not None and one.hotspot is None]
    if profile is None or not missing:
        return choice
    known = [entry for entry in profile.entries if entry.op == op]
    found: dict[str, str] = {}
    for path in {one.path for one in missing}:
        with_line = [entry for entry in known if path in entry.paths and entry.paths[path].hotspot]
        if with_line:
            shapes = next(one.measured_shape for one in missing if one.path == path)
            here = math.log(_elements(shapes or ()))
            entry = min(with_line, key=lambda one: abs(math.log(_elements(one.shapes)) - here))
            found[path] = str(entry.paths[path].hotspot)
    candidates = [replace(one, hotspot=one.hotspot or found.get(one.path)) for one in choice.candidates]
    return replace(choice, candidates=tuple(candidates))


def _elements(shapes: Sequence[Sequence[int]]) -> int:
    return 1 + sum(map(math.prod, shapes))


def _not_ours(operands: Sequence[Any], dtype: str) -> str | None:
    """Return why the boundary hands these operands to NumPy before any path is chosen."""
    for operand in operands:
        if isinstance(operand, np.ndarray) and type(operand) is not np.ndarray:
            return f"{type(operand).__name__} is a subclass of ndarray"
    return None if dtype in FLOAT_DTYPES else f"dtype {dtype} is not {' or '.join(FLOAT_DTYPES)}"


def _numpy_alone(call: Call, others: Sequence[str], why: str) -> policy.Choice:
    choice = policy.choose(call, None, ["numpy"], dict.fromkeys(others, why))
    return replace(choice, reason=f"{why}: NumPy computes it, whatever backend is asked for")


def _describe(operand: Any, dtype: np.dtype[Any]) -> tuple[tuple[int, ...], np.dtype[Any], str]:
    """Return the shape, the dtype and the layout letter of an operand or of a shape."""
    if isinstance(operand, tuple) and all(isinstance(size, int | np.integer) for size in operand):
        return tuple(int(size) for size in operand), dtype, "C"
    array = np.asarray(operand)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"expected an array or a shape such as (64, 784), got {operand!r}")
    return array.shape, array.dtype, layout_letter(array)


def _operands(op: str, shapes: Sequence[Sequence[int]]) -> str:
    between = " @ " if op == "matmul" else ", "
    return between.join("x".join(map(str, shape)) or "scalar" for shape in shapes)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _folded(line: str) -> list[str]:
    """Break a line that is too long between words; what a table's row says is short enough as a rule."""
    if len(line) <= WIDTH or line.startswith(_PROFILE):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(
        line,
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )


def _candidate_lines(choice: policy.Choice) -> list[str]:
    """Return a table of the candidates, the chosen one first."""
    known = [item for item in choice.candidates if item.predicted_seconds is not None]
    table_rows = [_COLUMNS, *(_cells(item) for item in known)] if known else []
    widths = [max(len(row[column]) for row in table_rows) for column in range(len(_COLUMNS))] if known else []
    name_width = max(len(item.path) for item in choice.candidates)
    lines = []
    if known:
        head = "  ".join(text.rjust(width) for text, width in zip(_COLUMNS, widths, strict=True))
        lines.append(f"    {'path':<{name_width}}  {head}".rstrip())
    for item in choice.candidates:
        mark = ">" if item.path == choice.path else "-"
        if item.excluded_reason is not None:
            said = f"excluded: {item.excluded_reason}"
        elif item.predicted_seconds is None:
            said = "not measured"
        else:
            cells = zip(_cells(item), widths, strict=True)
            said = "  ".join(text.rjust(width) for text, width in cells)
        lines.append(f"  {mark} {item.path:<{name_width}}  {said}".rstrip())
    return lines


_COLUMNS = ("expected", "interval", "threads", "measured", "buffers", "bytes", "hotspot")


def _cells(item: policy.Candidate) -> tuple[str, ...]:
    """Return what is known of a measured candidate, one text for each of `_COLUMNS`."""
    times = [item.predicted_seconds, item.low, item.high, item.measured_seconds]
    expected, low, high, measured = ("-" if time is None else policy.format_seconds(time) for time in times)
    return (
        expected,
        f"{low} to {high}",
        str(item.threads),
        measured,
        str(item.allocations),
        str(item.bytes),
        item.hotspot or "-",
    )
