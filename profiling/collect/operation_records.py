"""What an operation counter hands out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OperationCount:
    """The calls of one operation.

    Attributes
    ----------
    name : str
        As in ``tensorops.<name>`` or ``numpy.<name>``; the methods of arrays count under the name of
        the function of the same name.
    library : str
        "tensorops" or "numpy".
    calls : int
        Calls that returned.
    flops : int or None
        Floating-point operations of these calls; None where they are not known.
    bytes : int or None
        Least memory traffic: each array operand read once, each result written once.
    reason : str or None
        Why `flops` or `bytes` is None. An operation has one count for the calls that are known, and one
        for those that are not.

    Examples
    --------
    >>> OperationCount("add", "numpy", calls=2, flops=2000, bytes=48000).intensity
    0.041666666666666664
    """

    name: str
    library: str
    calls: int
    flops: int | None
    bytes: int | None
    reason: str | None = None

    @property
    def intensity(self) -> float | None:
        """FLOPs for each byte; None where one of the two is not known or there are no bytes."""
        return None if self.flops is None or not self.bytes else self.flops / self.bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the count as JSON-ready values.

        Returns
        -------
        dict
            The attributes by their names, and the intensity.

        Examples
        --------
        >>> OperationCount("sort", "numpy", 1, None, 16, "the values decide").to_dict()["flops"] is None
        True
        """
        return {
            "name": self.name,
            "library": self.library,
            "calls": self.calls,
            "flops": self.flops,
            "bytes": self.bytes,
            "intensity": self.intensity,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class LineOperations:
    """What one line of a source file computes, with all that it calls outside the wanted files.

    Attributes
    ----------
    filename : str
        As in ``function.__code__.co_filename``.
    function : str
        Qualified name of the function.
    line : int
        Number of the line.
    calls : int
        Calls of counted operations.
    flops : int
        Floating-point operations of the calls that are known.
    bytes : int
        Bytes of the calls that are known.
    unknown : int
        Calls whose FLOPs are not known.
    """

    filename: str
    function: str
    line: int
    calls: int
    flops: int
    bytes: int
    unknown: int

    def to_dict(self) -> dict[str, Any]:
        """Return the line as JSON-ready values: the attributes by their names."""
        return {name: getattr(self, name) for name in self.__slots__}
