"""What cannot be fused, and where in the user's source it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a source file.

    Attributes
    ----------
    filename : str
        The file.
    line : int
        Counted from 1.
    column : int
        Counted from 1.
    text : str
        The line itself.

    Examples
    --------
    >>> print(Place("model.py", 3, 5, "    for i in x:").pointed())
      model.py, line 3, column 5
        for i in x:
        ^
    """

    filename: str
    line: int
    column: int
    text: str

    def pointed(self) -> str:
        """Return the line with a caret under the column.

        Returns
        -------
        str
            Three lines: where it is, the text, the caret.
        """
        bare = self.text.lstrip()
        caret = " " * max(0, self.column - 1 - (len(self.text) - len(bare)))
        return f"  {self.filename}, line {self.line}, column {self.column}\n    {bare.rstrip()}\n    {caret}^"


class FuseError(ValueError):
    """A function, or a call of it, that cannot be fused.

    Parameters
    ----------
    reason : str
        What stands against it, and what to write instead.
    place : Place, optional
        Where in the source it is.

    Attributes
    ----------
    reason : str
        As given.
    place : Place or None
        As given.

    Examples
    --------
    >>> print(FuseError("loops cannot be fused", Place("model.py", 3, 5, "    for i in x:")))
    loops cannot be fused
      model.py, line 3, column 5
        for i in x:
        ^
    """

    def __init__(self, reason: str, place: Place | None = None) -> None:
        super().__init__(reason if place is None else f"{reason}\n{place.pointed()}")
        self.reason = reason
        self.place = place

    def __reduce__(self) -> tuple[type[FuseError], tuple[str, Place | None]]:
        return FuseError, (self.reason, self.place)


class UnknownName(FuseError):
    """A name without a value, which it may have by the time of the first call."""


class FuseWarning(UserWarning):
    """NumPy computes what was to be fused; the message says why."""
