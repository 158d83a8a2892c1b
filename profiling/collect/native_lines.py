"""Source lines of native addresses, from the line tables that compilers write into modules.

A Cython module has the lines of its ``.pyx`` and ``.pxi`` files if it was translated with
``emit_linenums=True`` and compiled with ``-g1`` (or more). ``addr2line`` of binutils reads the tables,
or the package pyelftools where that is installed and ``addr2line`` is not.

``addr2line`` 2.40 gives the C file's name to the first few rows of a table in DWARF 5 format; that is the
function which the compiler put first, in a Cython module mostly a helper.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from .elf import NotElfError, read_sections
from .samples import LineKey, LineTime, Sample

PYX_SUFFIXES = (".pyx", ".pxi", ".pxd")
SECONDS = 120
"""How long ``addr2line`` may take for one module."""

Location: TypeAlias = tuple[str, str, int]
"""Function, file name as recorded, line."""


@dataclass(frozen=True, slots=True)
class NativeLine:
    """The source line of a native address.

    Attributes
    ----------
    filename : str
        Path of the source; as recorded in the module where it is not found on this machine.
    line : int
        Number of the line, from 1.
    function : str
        Name of the C function, with what inlining made of it; "" where it is unknown.
    """

    filename: str
    line: int
    function: str


def why_unavailable(module: str) -> str | None:
    """Tell why lines of a native module cannot be had, or return None.

    Parameters
    ----------
    module : str
        Path of the module, as in `Sample.module`.

    Returns
    -------
    str or None
        A sentence for people.

    Examples
    --------
    >>> why_unavailable("/nowhere/fast.so")
    'fast.so has no lines: the file is not there'
    """
    name = Path(module).name
    if not Path(module).is_file():
        return f"{name} has no lines: the file is not there"
    try:
        sections = read_sections(module)
    except (OSError, NotElfError) as error:
        return f"{name} has no lines: {error}"
    # Cython keeps the names of its sources for tracebacks.
    from_cython = sections.mentions(".pyx", ".rodata")
    advice = "build with emit_linenums=True and -g1"
    if not sections.has(".debug_line"):
        if from_cython:
            return f"{name} was built without line information, or stripped: {advice}"
        return f"{name} was built without line information, or stripped"
    tables = (".debug_line", ".debug_line_str", ".debug_str")
    if from_cython and not any(sections.mentions(suffix, *tables) for suffix in PYX_SUFFIXES):
        return f"{name} knows the lines of its generated C file only: {advice}"
    if _reader() is None:
        return f"{name} has lines, but nothing here can read them: install binutils (addr2line) or pyelftools"
    return None


def resolve(samples: Iterable[Sample]) -> dict[tuple[str, int], NativeLine | None]:
    """Find the source line of each native address in samples.

    Parameters
    ----------
    samples : iterable of Sample
        Those within the interpreter itself (``module`` is None) are left out.

    Returns
    -------
    dict
        By (module, offset); None where the module has no line for it: `why_unavailable` says why.

    Raises
    ------
    RuntimeError
        If ``addr2line`` fails on a module.
    """
    return resolve_addresses(
        (sample.module, sample.offset) for sample in samples if sample.module is not None
    )


def resolve_addresses(addresses: Iterable[tuple[str, int]]) -> dict[tuple[str, int], NativeLine | None]:
    """Find the source line of each native address.

    Parameters
    ----------
    addresses : iterable of (str, int)
        Path of a module, and an address within it as its line table has it.

    Returns
    -------
    dict
        By address; None where the module has no line for it: `why_unavailable` says why.

    Raises
    ------
    RuntimeError
        If ``addr2line`` fails on a module.

    Examples
    --------
    >>> resolve_addresses([("/nowhere/fast.so", 4096)])
    {('/nowhere/fast.so', 4096): None}
    """
    offsets: dict[str, set[int]] = {}
    for module, offset in addresses:
        offsets.setdefault(module, set()).add(offset)
    lines: dict[tuple[str, int], NativeLine | None] = {}
    for module, wanted in offsets.items():
        ordered = sorted(wanted)
        reader = None if why_unavailable(module) is not None else _reader()
        found = [None] * len(ordered) if reader is None else reader(module, ordered)
        for offset, location in zip(ordered, found, strict=True):
            if location is None:
                lines[module, offset] = None
            else:
                function, recorded, line = location
                lines[module, offset] = NativeLine(find_source(recorded, module), line, function)
    return lines


def pyx_line_times(
    samples: Iterable[Sample], lines: Mapping[tuple[str, int], NativeLine | None] | None = None
) -> dict[LineKey, LineTime]:
    """Give the time of each running sample to the ``.pyx``, ``.pxi`` or ``.pxd`` line it was on.

    Parameters
    ----------
    samples : iterable of Sample
        Of any threads, with Python frames or without.
    lines : mapping, optional
        What `resolve` gave for these samples; else it is called.

    Returns
    -------
    dict
        By file name, function, first line of the function and line; the hottest line first. A loop's
        head and body share their time: the compiler merges them.
    """
    kept = [sample for sample in samples if sample.running and sample.module is not None]
    if lines is None:
        lines = resolve(kept)
    times: dict[LineKey, LineTime] = {}
    for sample in kept:
        assert sample.module is not None
        key = cython_line(lines.get((sample.module, sample.offset)))
        if key is not None:
            times.setdefault(key, LineTime()).add(sample)
    return dict(sorted(times.items(), key=lambda item: (-item[1].seconds, item[0])))


def cython_line(native: NativeLine | None) -> LineKey | None:
    """Return the line of a Cython source that a native line is, with the function around it.

    Parameters
    ----------
    native : NativeLine or None
        As `resolve` found it.

    Returns
    -------
    tuple of (str, str, int, int) or None
        File name, function, first line of the function and line; None for a line of anything else.

    Examples
    --------
    >>> cython_line(NativeLine("/nowhere/fast.pyx", 7, "__pyx_f_4fast_inner"))
    ('/nowhere/fast.pyx', 'inner', 0, 7)
    >>> cython_line(NativeLine("/nowhere/fast.c", 7, "inner")) is None
    True
    """
    if native is None or not native.filename.endswith(PYX_SUFFIXES):
        return None
    starts = _functions(native.filename)
    if starts is None:
        return native.filename, plain_name(native.function), 0, native.line
    if native.line > starts.length:
        # The C compiler counts on into Cython's own helpers, which stand behind the last line.
        return None
    function, first_line = starts.enclosing(native.line)
    return native.filename, function or plain_name(native.function), first_line, native.line


def plain_name(mangled: str) -> str:
    """Return the name a function has in its ``.pyx`` file, from Cython's name for it in C.

    Parameters
    ----------
    mangled : str
        As in the module's symbol table.

    Returns
    -------
    str
        Its own name; `mangled` where Cython did not make it.

    Examples
    --------
    >>> plain_name("__pyx_fuse_0__pyx_pf_9tensorops_7kernels_6ladder_8naive.isra.0")
    'naive'
    >>> plain_name("__pyx_f_9tensorops_7kernels_6ladder_check"), plain_name("main")
    ('check', 'main')
    """
    match = re.search(r"__pyx_(?:pw|pf|f|fuse_\d+)_(\d.*)", mangled.split(".")[0])
    if match is None:
        return mangled
    rest = match[1]
    while (part := re.match(r"(\d+)(\w*)", rest)) and part[2][int(part[1]) : int(part[1]) + 1] == "_":
        # A name behind its length and before an underscore is a module's or a class's.
        rest = part[2][int(part[1]) + 1 :]
    return re.sub(r"^\d+", "", rest) or mangled


@lru_cache(maxsize=512)
def find_source(recorded: str, module: str) -> str:
    """Find a source file that stands beside the module it was built into.

    The path in a line table is that of the machine and folder where the module was built. An
    installed package has its sources beside the modules, so the longest end of the recorded path that
    exists under one of the module's packages is taken.

    Parameters
    ----------
    recorded : str
        Path in the line table.
    module : str
        Path of the module.

    Returns
    -------
    str
        Path of the file; `recorded` where nothing fits.
    """
    parts = [part for part in Path(recorded).parts if part not in ("/", "..", ".")]
    folder = Path(module).parent
    folders = [folder]
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
        folders.append(folder)
    for length in range(len(parts), 0, -1):
        for folder in folders:
            candidate = folder.joinpath(*parts[-length:])
            if candidate.is_file():
                return str(candidate)
    return recorded


@dataclass(frozen=True, slots=True)
class _Functions:
    """Where the functions of a Cython source begin: line, indentation, name."""

    length: int
    starts: tuple[tuple[int, int, str], ...]

    def enclosing(self, line: int) -> tuple[str, int]:
        """Return the name and the first line of the function around a line; ("", 0) outside of all."""
        place = bisect_right(self.starts, line, key=lambda start: start[0]) - 1
        return (self.starts[place][2], self.starts[place][0]) if place >= 0 else ("", 0)


_HEAD = re.compile(
    r"^(?P<indent>[ \t]*)(?:async\s+def|def|cpdef|cdef)\s[^#=]*?(?P<name>\w+)\s*(?:\[[^\]]*\])?\([^#]*$"
)


@lru_cache(maxsize=64)
def _functions(filename: str) -> _Functions | None:
    try:
        text = Path(filename).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    starts = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        match = _HEAD.match(line)
        if match:
            starts.append((number, len(match["indent"]), match["name"]))
    return _Functions(len(lines), tuple(starts))


_Reader: TypeAlias = Callable[[str, Sequence[int]], list[Location | None]]


def _reader() -> _Reader | None:
    """Return what can read line tables here."""
    import shutil

    if shutil.which("addr2line") is not None:
        return _with_addr2line
    try:
        import elftools  # noqa: F401
    except ImportError:
        return None
    from .elf import read_locations

    return read_locations


def _with_addr2line(module: str, offsets: Sequence[int]) -> list[Location | None]:
    """Ask ``addr2line`` for all addresses of a module at once."""
    import subprocess

    command = ["addr2line", "-a", "-i", "-f", "-C", "-e", module]
    try:
        done = subprocess.run(
            command,
            input="".join(f"{offset:#x}\n" for offset in offsets),
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"addr2line failed on {module}: {error}") from error
    if done.returncode != 0:
        raise RuntimeError(f"addr2line failed on {module}: {done.stderr.strip()[-300:]}")
    found: list[Location | None] = []
    chain: list[Location] = []
    lines = iter(done.stdout.splitlines())
    for line in lines:
        if line.startswith("0x"):
            if found:
                found[-1] = _choose(chain)
            found.append(None)
            chain = []
            continue
        filename, _, number = next(lines, "??:0").partition(" (discriminator")[0].rpartition(":")
        if number.isdigit() and int(number) > 0 and filename != "??":
            chain.append(("" if line == "??" else line, filename, int(number)))
    if found:
        found[-1] = _choose(chain)
    if len(found) != len(offsets):
        raise RuntimeError(f"addr2line answered {len(found)} of {len(offsets)} addresses of {module}")
    return found


def _choose(chain: Sequence[Location]) -> Location | None:
    """Return the innermost place that somebody wrote: Cython's helpers are inlined into it."""
    own = [place for place in chain if not place[0].startswith("__Pyx")]
    return own[0] if own else chain[0] if chain else None
