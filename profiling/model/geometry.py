"""The caches as a model needs them: size, ways, line and sets of each level, whole and not per core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tensorops.runtime import cpu, host

DEFAULT_WAYS = {"L1": 8, "L2": 8, "L3": 16}
"""Where the system does not tell them: the ways of most processors of the last decade."""

LEVEL_NAMES = ("L1", "L2", "L3")
LARGEST_CACHE = 1 << 30
"""A cache beyond this many bytes is a slip of the pen, or a machine that claims too much."""


@dataclass(frozen=True, slots=True)
class CacheLevel:
    """One level of the data caches.

    Attributes
    ----------
    name : str
        "L1", "L2" or "L3".
    size : int
        Bytes.
    ways : int
        Lines of a set.
    line : int
        Bytes of a line, a power of two.
    shared_by : int
        Processors (hardware threads) that share it.
    origin : str
        "system", or what else it comes from: "default ways", "option".

    Raises
    ------
    ValueError
        If the size is not a whole number of sets, or a number is not possible.

    Examples
    --------
    >>> CacheLevel("L1", 32 * 1024, 8, 64).sets
    64
    """

    name: str
    size: int
    ways: int
    line: int
    shared_by: int = 1
    origin: str = "system"

    def __post_init__(self) -> None:
        """Check that sets, ways and lines make up the size."""
        if self.line < 1 or self.line & (self.line - 1):
            raise ValueError(f"{self.name}: a line of {self.line} bytes is not a power of two")
        if self.ways < 1 or self.size < self.ways * self.line or self.size % (self.ways * self.line):
            raise ValueError(
                f"{self.name}: {self.size} bytes are not a whole number of sets of "
                f"{self.ways} ways with lines of {self.line} bytes"
            )
        if self.size > LARGEST_CACHE:
            raise ValueError(f"{self.name}: {self.size} bytes; at most {LARGEST_CACHE} are simulated")

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.size // (self.ways * self.line)

    @property
    def text(self) -> str:
        """The level as an option takes it, such as ``32K/8/64``.

        Examples
        --------
        >>> CacheLevel("L3", 32 << 20, 16, 64).text
        '32M/16/64'
        """
        for unit, letter in ((1 << 20, "M"), (1 << 10, "K")):
            if self.size % unit == 0:
                return f"{self.size // unit}{letter}/{self.ways}/{self.line}"
        return f"{self.size}/{self.ways}/{self.line}"

    def to_dict(self) -> dict[str, int | str]:
        """Return the level as JSON-ready values."""
        return {
            "name": self.name,
            "size": self.size,
            "ways": self.ways,
            "line": self.line,
            "sets": self.sets,
            "shared_by": self.shared_by,
            "origin": self.origin,
        }


def parse_level(name: str, text: str, like: CacheLevel | None = None) -> CacheLevel:
    """Return a level from an option's text.

    Parameters
    ----------
    name : str
        "L1", "L2" or "L3".
    text : str
        ``SIZE/WAYS/LINE``, or a part of it from the left: ``32K/8/64``, ``32K/8``, ``32K``.
    like : CacheLevel, optional
        Where ways and line are taken from if the text leaves them out.

    Returns
    -------
    CacheLevel
        With the origin "option".

    Raises
    ------
    ValueError
        If the text is not of this form, or the numbers do not fit each other.

    Examples
    --------
    >>> parse_level("L1", "48K/12/64").sets
    64
    """
    parts = text.split("/")
    try:
        if len(parts) > 3:
            raise ValueError("too many parts")
        size = host.parse_size(parts[0])
        ways = int(parts[1]) if len(parts) > 1 else (like.ways if like else DEFAULT_WAYS[name])
        line = int(parts[2]) if len(parts) > 2 else (like.line if like else 64)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not SIZE/WAYS/LINE, such as 32K/8/64") from None
    return CacheLevel(name, size, ways, line, origin="option")


def machine_levels(folder: Path = host.SYSTEM_CPUS) -> tuple[CacheLevel, ...]:
    """Return the data caches of this machine, from the one nearest to the core.

    Parameters
    ----------
    folder : Path, optional
        The folder with one ``cpuN`` per processor, on Linux.

    Returns
    -------
    tuple of CacheLevel
        What the system describes. Where it tells sizes only, `DEFAULT_WAYS` stand in; a level that it
        does not know is left out.

    Examples
    --------
    >>> [level.name for level in machine_levels()][:1]
    ['L1']
    """
    found = _linux_levels(folder)
    if "L1" in found:
        return tuple(found[name] for name in LEVEL_NAMES if name in found)
    # Another system, or a container that hides its processors: the sizes that the library works with.
    known = cpu.caches()
    levels = []
    for name, key in zip(LEVEL_NAMES, ("L1d", "L2", "L3"), strict=True):
        if known[key]:
            way = DEFAULT_WAYS[name] * known["line"]
            size = max(way, known[key] // way * way)
            levels.append(CacheLevel(name, size, DEFAULT_WAYS[name], known["line"], origin="default ways"))
    return tuple(levels)


def _linux_levels(folder: Path) -> dict[str, CacheLevel]:
    found: dict[str, CacheLevel] = {}
    processors = (path for path in folder.glob("cpu[0-9]*") if path.name[3:].isdecimal())
    for processor in sorted(processors, key=lambda path: int(path.name[3:]))[:1]:
        for index in sorted(processor.glob("cache/index*")):
            text = {item: _read(index / item) for item in ("level", "type", "size", "shared_cpu_list")}
            name = f"L{text['level']}"
            if text["type"] not in ("Data", "Unified") or name not in LEVEL_NAMES:
                continue
            try:
                size = host.parse_size(text["size"])
                line = int(_read(index / "coherency_line_size") or 64)
                ways = int(_read(index / "ways_of_associativity") or 0)
                shared = host.count_cpus(text["shared_cpu_list"] or "0")
                # Some virtual machines say 0 ways, which stands for "unknown" or "fully associative".
                origin = "system" if ways else "default ways"
                found[name] = CacheLevel(name, size, ways or DEFAULT_WAYS[name], line, shared, origin)
            except ValueError:
                continue
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
