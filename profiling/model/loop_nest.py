"""The memory accesses of a function in a ``.pyx`` file, read from its own source.

A kernel of plain loops over typed memoryviews says itself what it accesses, line by line. This module
reads such a function, follows its loops and index arithmetic, and makes a program for
`profiling.model.lru`. There is no second copy of the kernel that could drift from the first: who edits
the kernel edits the program.

Understood are ``cdef`` declarations, ``with nogil``, loops over ranges, index variables, sums and
multiples of them, and ``min``; values of the arrays are never needed. Anything else is refused with
its line, not guessed.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from .accesses import ArrayLayout, LoopNestError, Program
from .loop_follower import FunctionSource, LoopFollower

_INTEGERS = frozenset(
    "Py_ssize_t ssize_t size_t int long short unsigned char int32_t int64_t uint32_t uint64_t bint".split()
)
_FROM_LOOP = re.compile(r"for\s+(\w+)\s+from\s+(.+?)\s*<=\s*\1\s*<\s*(.+?)(?:\s+by\s+(.+?))?\s*:")


class LoopNest:
    """One function of a ``.pyx`` file, read for its accesses.

    Parameters
    ----------
    path : Path
        The file.
    function : str
        Name of a function at its top level.

    Raises
    ------
    LoopNestError
        If the file has no such function, or it is more than the loops that can be followed.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from tensorops.kernels import ladder
    >>> LoopNest(Path(ladder.__file__).parent / "ladder.pyx", "naive").arrays
    ('a', 'b', 'c')
    """

    def __init__(self, path: Path, function: str) -> None:
        self.path = path
        self.function = function
        self.source = path.read_text(encoding="utf-8").splitlines()
        self.first_line, self.last_line, body_line = _find(path, self.source, function)
        header = " ".join(self.source[self.first_line - 1 : body_line - 1])
        self.array_axes: dict[str, int] = {}
        self.defaults: dict[str, int | None] = {}
        self._read_parameters(header)
        lines = [_as_python(line) for line in self.source[body_line - 1 : self.last_line]]
        text = "\n" * (body_line - 1) + textwrap.dedent("\n".join(lines))
        try:
            self.body = ast.parse(text).body
        except SyntaxError as error:
            raise LoopNestError(
                f"{path.name}:{error.lineno}: not a loop over arrays that can be followed: "
                f"{self.source[(error.lineno or body_line) - 1].strip()!r}"
            ) from None

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the array parameters, in order."""
        return tuple(self.array_axes)

    def program(self, layouts: Mapping[str, ArrayLayout], **numbers: int) -> Program:
        """Return the accesses for arrays that lie in given places.

        Parameters
        ----------
        layouts : mapping of str to ArrayLayout
            One per array parameter.
        **numbers : int
            Values of whole-number parameters that are not left at their defaults.

        Returns
        -------
        Program
            What the simulator runs.

        Raises
        ------
        LoopNestError
            If a statement cannot be followed, an argument is missing, or the function raises for these.

        Examples
        --------
        >>> from profiling.model.accesses import arrange
        >>> from tensorops.kernels import ladder
        >>> nest = LoopNest(Path(ladder.__file__).parent / "ladder.pyx", "naive")
        >>> layouts = arrange({name: (8, 8) for name in nest.arrays}, itemsize=4)
        >>> [access.text for access in nest.program(layouts).accesses]
        ['a[i, p]', 'b[p, j]', 'c[i, j]']
        """
        for name, axes in self.array_axes.items():
            if name not in layouts or len(layouts[name].shape) != axes:
                raise LoopNestError(f"{self.function}: array {name!r} of {axes} axes is expected")
        values = {name: numbers.get(name, default) for name, default in self.defaults.items()}
        missing = [name for name, value in values.items() if value is None]
        if missing or set(numbers) - set(values):
            wrong = missing or sorted(set(numbers) - set(values))
            raise LoopNestError(f"{self.function}: missing or unknown arguments: {', '.join(wrong)}")
        known = {name: value for name, value in values.items() if value is not None}
        function = FunctionSource(self.path, self.source, self.body, self._integers())
        return LoopFollower(function, layouts, known).follow()

    def _integers(self) -> frozenset[str]:
        """Return the names that are declared as whole numbers."""
        names = set(self.defaults)
        for line in self.source[self.first_line - 1 : self.last_line]:
            found = re.match(r"\s*cdef\s+([\w ]+?)\s+(\w+(?:\s*(?:=.*|,\s*\w+))*)\s*$", line)
            if found and set(found[1].split()) & _INTEGERS:
                names |= {part.split("=")[0].strip() for part in found[2].split(",")}
        return frozenset(names)

    def _read_parameters(self, header: str) -> None:
        inside = header[header.index("(") + 1 : header.rindex(")")]
        for parameter in re.split(r",(?![^\[]*\])", inside):
            words = parameter.strip()
            if not words or words in ("*", "/"):
                continue
            found = re.fullmatch(r"(.*?)(\w+)\s*(?:=\s*(.+))?", words)
            if found is None:
                raise LoopNestError(f"{self.path.name}:{self.first_line}: cannot read parameter {words!r}")
            kind, name, default = found.groups()
            if "[" in kind:
                self.array_axes[name] = kind[kind.index("[") :].count(":", 0) - kind.count("::1")
            elif set(kind.split()) & _INTEGERS:
                self.defaults[name] = int(default) if default and default.lstrip("-").isdecimal() else None


def _find(path: Path, source: Sequence[str], function: str) -> tuple[int, int, int]:
    """Return the first and last line of a function, and the first line of its body, from 1."""
    start = re.compile(rf"(?:def|cpdef)\s[^(]*\b{re.escape(function)}\s*\(")
    first = next((number for number, line in enumerate(source) if start.match(line)), None)
    if first is None:
        raise LoopNestError(f"{path.name} has no function {function!r}")
    body = first
    while body < len(source) and not re.search(r"\)\s*[^()]*:\s*(#.*)?$", source[body]):
        body += 1
    last = body + 1
    while last < len(source) and (not source[last].strip() or source[last][0].isspace()):
        last += 1
    while last > body + 1 and not source[last - 1].strip():
        last -= 1
    return first + 1, last, body + 2


def _as_python(line: str) -> str:
    """Return one line of Cython as a line of Python that means the same to the follower."""
    indent = line[: len(line) - len(line.lstrip())]
    text = line.strip()
    if text.startswith("cdef "):
        declared = re.fullmatch(r"cdef\s+(?:const\s+)?([\w ]+?)\s+(\w+)\s*=\s*(.+)", text)
        if declared is None:
            return indent + "pass"
        kind, name, value = declared.groups()
        return f"{indent}{name} = {value}" if set(kind.split()) & _INTEGERS else indent + "pass"
    found = _FROM_LOOP.match(text)
    if found:
        name, low, high, step = found.groups()
        return f"{indent}for {name} in range({low}, {high}, {step or 1}):{text[found.end() :]}"
    return line
