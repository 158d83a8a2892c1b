"""What was seen of names: looked up for a place of the source, and made into arrays like those seen."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

LARGEST_BYTES = 256 << 20
SEED = 7


@dataclass(frozen=True, slots=True)
class Seen:
    """What a place held.

    Attributes
    ----------
    array : ndarray or None
        Shape, strides and dtype of an array; it has no memory of its own and must not be read.
    values : tuple
        Some elements of the array.
    number : float or None
        The number that it held instead.
    type_name : str
        The number's type.
    """

    array: NDArray[Any] | None = None
    values: tuple[Any, ...] = ()
    number: float | None = None
    type_name: str = ""

    @property
    def is_real(self) -> bool:
        """Whether it is an array of float32 or float64 with at least one dimension."""
        return self.array is not None and self.array.ndim > 0 and self.array.dtype.char in "fd"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values, for `made`."""
        if self.array is None:
            return {"number": self.number, "type": self.type_name}
        return {
            "dtype": self.array.dtype.str,
            "shape": list(self.array.shape),
            "strides": list(self.array.strides),
            "values": list(self.values),
        }

    @property
    def text(self) -> str:
        """Shape and dtype for people.

        Examples
        --------
        >>> Seen(number=3, type_name="int").text
        '3'
        """
        if self.array is None:
            return f"{self.number:g}" if self.number is not None else "-"
        shape = "x".join(map(str, self.array.shape)) or "one element"
        return f"{shape} {self.array.dtype.name}"


@dataclass(frozen=True, slots=True)
class Moment:
    """What the names of a function held when it was seen at a line.

    Attributes
    ----------
    line : int
        The line.
    count : int
        How often it was seen so.
    names : mapping of str to dict
        As ``profiling.collect.names.described``.
    """

    line: int
    count: int
    names: Mapping[str, Any]

    def at(self, text: str) -> Seen | None:
        """Return what a place held.

        Parameters
        ----------
        text : str
            A place, such as ``self.layers[0].w.T``.

        Returns
        -------
        Seen or None
            None where that was not seen.

        Examples
        --------
        >>> moment = Moment(1, 1, {"n": {"number": 3, "type": "int"}})
        >>> moment.at("n").number, moment.at("m")
        (3, None)
        """
        try:
            return self._look(ast.parse(text, mode="eval").body)
        except (IndexError, KeyError, TypeError, ValueError, SyntaxError, AttributeError):
            return None

    def _look(self, node: ast.expr) -> Seen | None:
        found = self._find(node)
        return found if isinstance(found, Seen) or found is None else _seen(found)

    def _find(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self.names[node.id]
        if isinstance(node, ast.Attribute):
            owner = self._find(node.value)
            held = owner if isinstance(owner, Seen) else _seen(owner)
            if held is None:
                return owner["attributes"][node.attr]
            if node.attr == "T" and held.array is not None:
                return Seen(held.array.T, held.values)
            return None
        if isinstance(node, ast.Subscript):
            owner = self._find(node.value)
            held = owner if isinstance(owner, Seen) else _seen(owner)
            index = self._index(node.slice)
            if held is None:
                return owner["items"][repr(index)]
            if held.array is None:
                return None
            parts = index if isinstance(index, tuple) else (index,)
            # Never an element: it would be read.
            if sum(type(part) is int for part in parts) < held.array.ndim:
                return Seen(held.array[index], held.values)
        return None

    def _index(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Tuple):
            return tuple(self._index(part) for part in node.elts)
        if isinstance(node, ast.Slice):
            return slice(*(part and self._index(part) for part in (node.lower, node.upper, node.step)))
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        numbers = {name: _index_value(self.names[name]) for name in names}
        # Names are whole numbers or texts, and all that is done to them is arithmetic.
        return eval(compile(ast.Expression(node), "<index>", "eval"), {"__builtins__": {}}, numbers)


def _index_value(description: Mapping[str, Any]) -> int | str:
    value = description["text"] if "text" in description else description["number"]
    if type(value) is not int and type(value) is not str:
        raise TypeError("neither a whole number nor a text")
    return value


def _seen(description: Any) -> Seen | None:
    if not isinstance(description, Mapping):
        return None
    if "number" in description:
        return Seen(number=description["number"], type_name=description["type"])
    if "dtype" not in description:
        return None
    base = np.empty(1, description["dtype"])
    array = as_strided(base, description["shape"], description["strides"])
    return Seen(array, tuple(description["values"]))


def moments_of(entries: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """Return what was seen of one function, the most frequent first.

    Parameters
    ----------
    entries : iterable of mapping
        As ``profiling.collect.names.NameWatch.to_dict`` lists them.

    Returns
    -------
    list of Moment
        Sorted by count.
    """
    found = [Moment(entry["line"], entry["count"], entry["names"]) for entry in entries]
    return sorted(found, key=lambda moment: -moment.count)


def made(description: Mapping[str, Any], generator: np.random.Generator) -> Any:
    """Return a value like the one that was seen.

    Parameters
    ----------
    description : mapping
        As `Seen.to_dict`.
    generator : numpy.random.Generator
        Draws the elements from those that were seen.

    Returns
    -------
    ndarray or float
        Of the same shape, dtype and strides.

    Raises
    ------
    MemoryError
        If it would be larger than a fourth of a GiB.

    Examples
    --------
    >>> seen = {"dtype": "<f4", "shape": [2, 3], "strides": [4, 8], "values": [0.5]}
    >>> array = made(seen, np.random.default_rng(0))
    >>> array.shape, array.strides, array[0, 0]
    ((2, 3), (4, 8), np.float32(0.5))
    """
    if "number" in description:
        kind = getattr(np, description["type"], None)
        return kind(description["number"]) if isinstance(kind, type) else description["number"]
    dtype = np.dtype(description["dtype"])
    shape: Sequence[int] = description["shape"]
    strides: Sequence[int] = description["strides"]
    values = np.array(description["values"] or [0], dtype)
    span = 1 + sum(
        (size - 1) * abs(stride) // dtype.itemsize for size, stride in zip(shape, strides, strict=True)
    )
    if span * dtype.itemsize > LARGEST_BYTES:
        raise MemoryError(f"an array of {span * dtype.itemsize:,} bytes is too large to be tried out")
    if 0 in shape or any(stride % dtype.itemsize for stride in strides):
        return np.empty(shape, dtype)
    base = generator.choice(values, max(span, 1))
    array = as_strided(base, shape, [abs(stride) for stride in strides])
    return array[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in strides)]
