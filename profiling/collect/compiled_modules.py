"""Which loaded modules were compiled from Cython sources whose lines somebody wants."""

from __future__ import annotations

import importlib.machinery
import os
import re
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from .elf import NotElfError, read_sections
from .native_lines import NativeLine, cython_line, find_source, resolve_addresses, why_unavailable
from .samples import LineKey

TOOLKIT = str(Path(__file__).absolute().parent)
_SOURCE_END = re.compile(rb"\.(?:pyx|pxi|pxd)\0")
# Plain ".so" is also what ordinary libraries end with.
_SUFFIXES = tuple(suffix for suffix in importlib.machinery.EXTENSION_SUFFIXES if suffix.count(".") > 1)


class CompiledLines:
    """Finds the lines of addresses in compiled modules, and tells why it finds none.

    Parameters
    ----------
    is_wanted : callable
        Whether lines of a file are wanted; takes its name.

    Attributes
    ----------
    notes : list of str
        Sentences about modules without lines that were asked for.

    Examples
    --------
    >>> lines = CompiledLines(lambda filename: True)
    >>> lines.may_have("/nowhere/fast.so"), lines.at("/nowhere/fast.so", 4096)
    (False, None)
    >>> lines.notes[0].partition(". ")[0]
    'Lines of compiled code: fast.so has no lines: the file is not there'
    """

    def __init__(self, is_wanted: Callable[[str], bool]) -> None:
        self.notes: list[str] = []
        self._is_wanted = is_wanted
        self._told: set[str] = set()
        self._known: dict[str, bool] = {}

    def may_have(self, module: str) -> bool:
        """Tell whether a module may hold wanted lines, or would if it had been built with them.

        A source that is not beside the module is taken for wanted where the module is.

        Parameters
        ----------
        module : str
            Path of a shared library.

        Returns
        -------
        bool
            False for the counters of this toolkit, which stand between a line and NumPy.
        """
        known = self._known.get(module)
        if known is None:
            known = self._known[module] = self._decide(module)
        return known

    def _decide(self, module: str) -> bool:
        if str(Path(module).parent) == TOOLKIT:
            return False
        names = source_names(module)
        if not names:
            return module.endswith(_SUFFIXES) and bool(self._is_wanted(module)) and is_from_cython(module)
        sources = (find_source(name, module) for name in names)
        return any(self._is_wanted(source if Path(source).is_file() else module) for source in sources)

    def at(self, module: str, offset: int) -> LineKey | None:
        """Return the wanted line of an address.

        Parameters
        ----------
        module : str
            Path of its module.
        offset : int
            The address within it, as its line table has it.

        Returns
        -------
        tuple of (str, str, int, int) or None
            File name, function, first line of the function and line; None where the address is of no
            Cython line, or of one that is not wanted.
        """
        try:
            native = _native_line(module, offset)
            reason = why_unavailable(module) if native is None else None
        except RuntimeError as error:
            native, reason = None, str(error)
        if reason is not None and module not in self._told:
            self._told.add(module)
            self.notes.append(
                f"Lines of compiled code: {reason}. The Python lines that called it stand for them."
            )
        line = cython_line(native)
        if line is None:
            return None
        found = Path(line[0]).is_file()
        return line if self._is_wanted(line[0]) and (found or self._is_wanted(module)) else None


_lookup_seconds = 0.0


def lookup_seconds() -> float:
    """Return the processor time that looking up lines took in child processes of this one.

    It is part of what `os.times` says about children. One that the program itself waited for meanwhile is
    part of it.

    Returns
    -------
    float
        Seconds since the process began.

    Examples
    --------
    >>> lookup_seconds() >= 0.0
    True
    """
    return _lookup_seconds


@lru_cache(maxsize=65536)
def _native_line(module: str, offset: int) -> NativeLine | None:
    global _lookup_seconds
    before = os.times()
    try:
        return resolve_addresses([(module, offset)])[module, offset]
    finally:
        now = os.times()
        for figure in ("children_user", "children_system"):
            _lookup_seconds += getattr(now, figure) - getattr(before, figure)


@lru_cache(maxsize=4096)
def source_names(module: str) -> tuple[str, ...]:
    """Return the names of the Cython sources in a module's line table, without their folders.

    Parameters
    ----------
    module : str
        Path of a shared library.

    Returns
    -------
    tuple of str
        Empty where there is no line table, or none that mentions Cython.
    """
    try:
        sections = read_sections(module)
        if not sections.has(".debug_line"):
            return ()
        texts = (sections.contents(name) or b"" for name in (".debug_line", ".debug_line_str"))
        found = {
            text[text.rfind(b"\0", 0, end.start()) + 1 : end.end() - 1]
            for text in texts
            for end in _SOURCE_END.finditer(text)
        }
    except (OSError, NotElfError, zlib.error):
        return ()
    return tuple(sorted(name.decode(errors="replace") for name in found))


@lru_cache(maxsize=4096)
def is_from_cython(module: str) -> bool:
    """Tell whether a module names Cython sources, which it does for tracebacks.

    Parameters
    ----------
    module : str
        Path of a shared library.

    Returns
    -------
    bool
        False for a file that is no ELF file.
    """
    try:
        return read_sections(module).mentions(".pyx", ".rodata")
    except (OSError, NotElfError):
        return False


def wanted_by_name(is_wanted: Callable[[str], bool], modules: Mapping[str, object]) -> list[str]:
    """Return the imported modules of Cython whose own file is wanted, where loaded code cannot be seen.

    Parameters
    ----------
    is_wanted : callable
        Whether lines of a file are wanted.
    modules : mapping of str to module
        As `sys.modules`.

    Returns
    -------
    list of str
        Their names.

    Examples
    --------
    >>> wanted_by_name(lambda filename: True, {"re": re})
    []
    """
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    return sorted(
        name
        for name, module in list(modules.items())
        if str(getattr(module, "__file__", None)).endswith(suffixes)
        # Every module of Cython has one, for its doctests; others written in C have none.
        and "__test__" in vars(module)
        and is_wanted(str(getattr(module, "__file__", None)))
    )
