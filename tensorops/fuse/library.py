"""The vector functions that a kernel's text needs, cut out of the library's own files.

A kernel includes some of some dozen functions; Cython would spend seconds on the rest.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FILES = ("fused/vectors.pxi", "elementwise/activations.pxi", "fused/mathematics.pxi")
KERNELS = Path(__file__).parents[1] / "kernels"
_START = re.compile(r"^(?=cdef )", re.MULTILINE)
_FUNCTION = re.compile(r"cdef inline \w+ (\w+)\(")
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")


@cache
def _parts() -> list[tuple[str, str]]:
    """Return the files' parts in order: the name of a function, or nothing, and the text."""
    parts = []
    for name in FILES:
        text = (KERNELS / name).read_text(encoding="ascii")
        for part in _START.split(text):
            function = _FUNCTION.match(part)
            parts.append((function[1] if function else "", part.rstrip()))
    return parts


def functions_for(text: str) -> str:
    """Return the declarations, and the functions that a text calls, one way or another.

    Parameters
    ----------
    text : str
        Cython.

    Returns
    -------
    str
        What has to stand before it.

    Examples
    --------
    >>> "vector_t sine(" in functions_for("sine(x0)"), "vector_t sine(" in functions_for("cosine(x0)")
    (True, False)
    """
    needed = set(_WORD.findall(text))
    # What a function calls stands before it.
    chosen = []
    for name, part in reversed(_parts()):
        if not name or name in needed:
            chosen.append(part)
            if name:
                needed |= set(_WORD.findall(part))
    return "\n\n\n".join(reversed(chosen)) + "\n\n\n"
