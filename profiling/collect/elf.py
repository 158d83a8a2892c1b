"""The few things of an ELF file that say whether it has line tables, and a reader of these tables.

Reading the tables needs the package pyelftools; finding them does not.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

COMPRESSED = 0x800
NO_BITS = 8


class NotElfError(ValueError):
    """A file is no 64-bit little-endian ELF file."""


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections of a file by their name: offset, size, flags.

    Attributes
    ----------
    path : str
        Of the file.
    places : mapping of str to tuple of int
        Sections that stand in the file.
    """

    path: str
    places: Mapping[str, tuple[int, int, int]]

    def has(self, name: str) -> bool:
        """Tell whether a section is there and not empty.

        Parameters
        ----------
        name : str
            With its dot.

        Returns
        -------
        bool
            False for a section whose contents were split off.
        """
        return self.places.get(name, (0, 0, 0))[1] > 0

    def mentions(self, text: str, *names: str) -> bool:
        """Tell whether any of some sections holds a text, decompressed where it has to be.

        Parameters
        ----------
        text : str
            What to look for.
        *names : str
            Sections; those that are not there are left out.

        Returns
        -------
        bool
            True for a section whose compression is not known: its text may be there.
        """
        for name in names:
            if self.has(name):
                data = self.contents(name)
                if data is None or text.encode() in data:
                    return True
        return False

    def contents(self, name: str) -> bytes | None:
        """Return what is in a section, decompressed where it has to be.

        Parameters
        ----------
        name : str
            With its dot.

        Returns
        -------
        bytes or None
            Empty where there is no such section; None where its compression is not known.
        """
        if not self.has(name):
            return b""
        offset, size, flags = self.places[name]
        with Path(self.path).open("rb") as file:
            file.seek(offset)
            data = file.read(size)
        if not flags & COMPRESSED:
            return data
        return zlib.decompress(data[24:]) if struct.unpack_from("<I", data)[0] == 1 else None


def read_sections(path: str) -> Sections:
    """Read the table of sections of an ELF file.

    Parameters
    ----------
    path : str
        Of a program or a shared library.

    Returns
    -------
    Sections
        Those with contents.

    Raises
    ------
    OSError
        If the file cannot be read.
    NotElfError
        If it is something else, or cut off.
    """
    with Path(path).open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
            raise NotElfError("it is no 64-bit ELF file")
        (table,) = struct.unpack_from("<Q", head, 40)
        each, count, names = struct.unpack_from("<HHH", head, 58)
        size = file.seek(0, 2)
        if each < 64 or names >= count or table + each * count > size:
            raise NotElfError("its table of sections is damaged or missing")
        file.seek(table)
        data = file.read(each * count)
        rows = [struct.unpack_from("<IIQQQQ", data, each * place) for place in range(count)]
        if any(kind != NO_BITS and offset + length > size for _, kind, _, _, offset, length in rows):
            raise NotElfError("it is cut off")
        file.seek(rows[names][4])
        texts = file.read(rows[names][5])
    places = {}
    for name, kind, flags, _, offset, size in rows:
        if kind != NO_BITS:
            title = texts[name : texts.find(b"\0", name)].decode(errors="replace")
            places[title] = (offset, size, flags)
    return Sections(path, places)


def read_locations(module: str, offsets: Sequence[int]) -> list[tuple[str, str, int] | None]:
    """Find the source lines of addresses with pyelftools.

    Parameters
    ----------
    module : str
        Path of a module with line tables.
    offsets : sequence of int
        Addresses within it.

    Returns
    -------
    list of (str, str, int) or None
        Function, file name as recorded and line of each address; None where there is none.
    """
    starts, rows, symbols = _tables(module)
    found: list[tuple[str, str, int] | None] = []
    for offset in offsets:
        place = bisect_right(starts, offset) - 1
        if place < 0 or offset >= rows[place][1] or rows[place][3] == 0:
            found.append(None)
            continue
        _, _, filename, line = rows[place]
        symbol = bisect_right(symbols, offset, key=lambda entry: entry[0]) - 1
        inside = symbol >= 0 and offset < symbols[symbol][1]
        found.append((symbols[symbol][2] if inside else "", filename, line))
    return found


@lru_cache(maxsize=8)
def _tables(
    module: str,
) -> tuple[list[int], list[tuple[int, int, str, int]], list[tuple[int, int, str]]]:
    """Return the starts of all rows, the rows (start, end, file, line), and the functions."""
    from elftools.elf.elffile import ELFFile

    rows: list[tuple[int, int, str, int]] = []
    symbols: list[tuple[int, int, str]] = []
    with Path(module).open("rb") as file:
        elf = ELFFile(file)
        dwarf = elf.get_dwarf_info()
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            if program is None:
                continue
            folder = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
            root = folder.value.decode(errors="surrogateescape") if folder is not None else ""
            before = None
            for entry in program.get_entries():
                state = entry.state
                if state is None:
                    continue
                if before is not None and state.address > before.address:
                    name = _recorded_name(program, before.file, root)
                    rows.append((before.address, state.address, name, before.line))
                before = None if state.end_sequence else state
        table: Any = elf.get_section_by_name(".symtab") or elf.get_section_by_name(".dynsym")
        for symbol in table.iter_symbols() if table is not None else ():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_size"]:
                symbols.append((symbol["st_value"], symbol["st_value"] + symbol["st_size"], symbol.name))
    rows.sort()
    symbols.sort()
    return [row[0] for row in rows], rows, symbols


def _recorded_name(program: Any, number: int, root: str) -> str:
    """Return the path of a file of a line table; the numbers begin at 0 since DWARF 5."""
    first = 0 if program["version"] >= 5 else 1
    files = program["file_entry"]
    if not 0 <= number - first < len(files):
        return ""
    entry = files[number - first]
    folders = program["include_directory"]
    place = entry.dir_index - first
    folder = folders[place].decode(errors="surrogateescape") if 0 <= place < len(folders) else ""
    return str(Path(root, folder, entry.name.decode(errors="surrogateescape")))
