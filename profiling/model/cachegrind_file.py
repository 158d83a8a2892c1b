"""What cachegrind writes: counts by source file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LineCounts:
    """What cachegrind counted on one line.

    Attributes
    ----------
    accesses : int
        Data reads and writes of the machine's instructions: a vector is one access.
    first_misses : int
        Misses of the first level.
    last_misses : int
        Misses of the last level.
    """

    accesses: int
    first_misses: int
    last_misses: int

    def plus(self, other: LineCounts) -> LineCounts:
        """Return the sum of both."""
        return LineCounts(
            self.accesses + other.accesses,
            self.first_misses + other.first_misses,
            self.last_misses + other.last_misses,
        )

    def to_dict(self) -> dict[str, int]:
        """Return the counts as JSON-ready values."""
        return {
            "accesses": self.accesses,
            "first_misses": self.first_misses,
            "last_misses": self.last_misses,
        }


Counts = Mapping[tuple[str, int], LineCounts]
"""By file, as the compiler was told its name, and line."""


class CachegrindError(RuntimeError):
    """The child process failed; the message says how."""


def parse(lines: Iterable[str]) -> dict[tuple[str, int], LineCounts]:
    """Return the counts of a file that cachegrind wrote.

    Parameters
    ----------
    lines : iterable of str
        Lines of the file.

    Returns
    -------
    dict
        Counts by file and line; line 0 is code without line information.

    Raises
    ------
    CachegrindError
        If the file names no events, or not those of a simulation of caches.

    Examples
    --------
    >>> text = ["events: Ir Dr D1mr DLmr Dw D1mw DLmw", "fl=a.pyx", "fn=f", "3 9 4 2 1 1 0 0"]
    >>> parse(text)
    {('a.pyx', 3): LineCounts(accesses=5, first_misses=2, last_misses=1)}
    """
    events: dict[str, int] = {}
    found: dict[tuple[str, int], LineCounts] = {}
    filename = ""
    for line in lines:
        if line.startswith("events:"):
            events = {name: place for place, name in enumerate(line.split()[1:], start=1)}
        elif line.startswith("fl="):
            filename = line[3:]
        elif line[:1].isdecimal():
            # Counts at the end that are all zero may be left out.
            values = [int(word) for word in line.split()]
            values += [0] * (len(events) + 1 - len(values))
            try:
                reads, writes = (
                    LineCounts(*(values[events[name]] for name in names))
                    for names in (("Dr", "D1mr", "DLmr"), ("Dw", "D1mw", "DLmw"))
                )
            except (KeyError, IndexError):
                raise CachegrindError(
                    f"this file has no counts of caches; its events: {list(events)}"
                ) from None
            key = (filename, values[0])
            both = reads.plus(writes)
            found[key] = found[key].plus(both) if key in found else both
    if not events:
        raise CachegrindError("this is no file of cachegrind: it names no events")
    return found


def lines_of(counts: Counts, path: Path, lines: range | None = None) -> dict[int, LineCounts]:
    """Return the counts of one source file.

    Parameters
    ----------
    counts : mapping
        As `parse`.
    path : Path
        The file. The compiler was told its name relative to another folder, so the last folder and the
        name decide.
    lines : range, optional
        Only these lines; by default those that the file has: the code that Cython adds by itself carries
        numbers beyond the file's end.

    Returns
    -------
    dict of int to LineCounts
        By line.

    Examples
    --------
    >>> one = LineCounts(5, 2, 1)
    >>> lines_of({("src/a.pyx", 3): one, ("src/a.pyx", 999): one}, Path("/x/src/a.pyx"), range(1, 10))
    {3: LineCounts(accesses=5, first_misses=2, last_misses=1)}
    """
    if lines is None:
        lines = range(1, len(path.read_text(encoding="utf-8", errors="replace").splitlines()) + 1)
    tail = Path(*path.parts[-2:]).as_posix()
    return {
        line: counted
        for (filename, line), counted in sorted(counts.items())
        if line in lines and re.search(rf"(^|/){re.escape(tail)}$", filename)
    }
