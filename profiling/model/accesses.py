"""The accesses of a kernel: where arrays lie, which places of the source touch them, in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PAGE = 4096


class LoopNestError(ValueError):
    """A function whose accesses cannot be followed; the message names the line and the reason."""


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """Where an array lies in the simulated memory.

    Attributes
    ----------
    address : int
        Of its first element, in bytes.
    shape : tuple of int
        Elements along each axis.
    strides : tuple of int
        Bytes from one element to the next along each axis.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """A place of the source that reads or writes an element.

    Attributes
    ----------
    line : int
        Line of the file.
    text : str
        As the source has it, such as ``b[p, j]``.
    array : str
        Name of the array.
    is_write : bool
        Whether the element is written.
    stride : int
        Bytes from one access to the next in the innermost loop around it; 0 where they are the same.
    """

    line: int
    text: str
    array: str
    is_write: bool
    stride: int


@dataclass(frozen=True, slots=True)
class Program:
    """What `profiling.model.lru.Simulator.run` takes, and what its slots mean.

    Attributes
    ----------
    operations, forms : tuple of tuple of int
        As the simulator takes them.
    accesses : tuple of Access
        One per slot.
    """

    operations: tuple[tuple[int, ...], ...]
    forms: tuple[tuple[int, ...], ...]
    accesses: tuple[Access, ...]


def arrange(
    shapes: Mapping[str, Sequence[int]], itemsize: int, alignment: int = PAGE
) -> dict[str, ArrayLayout]:
    """Return C-ordered arrays that lie one after the other.

    Parameters
    ----------
    shapes : mapping of str to sequence of int
        Shape of each array.
    itemsize : int
        Bytes of an element.
    alignment : int
        Each array begins at a multiple of it; the first at `alignment` itself.

    Returns
    -------
    dict of str to ArrayLayout
        In the order of `shapes`.

    Examples
    --------
    >>> arrange({"a": (2, 3), "b": (4,)}, itemsize=4)["b"]
    ArrayLayout(address=8192, shape=(4,), strides=(4,))
    """
    layouts = {}
    address = alignment
    for name, shape in shapes.items():
        sizes = tuple(int(size) for size in shape)
        strides = tuple(itemsize * math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))
        layouts[name] = ArrayLayout(address, sizes, strides)
        address += -(-itemsize * math.prod(sizes) // alignment) * alignment
    return layouts
