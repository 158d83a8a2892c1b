"""One output format per file, found by listing this folder.

``<format>.py`` holds ``<Format>Reporter`` with ``render(document, width) -> str``. Every format but
``text`` becomes an option ``--<format> FILE`` of every verb.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol

from ..document import Document


class Reporter(Protocol):
    """What a reporter offers."""

    def render(self, document: Document, width: int) -> str:
        """Return the document in the reporter's format, without a trailing newline."""


def formats() -> tuple[str, ...]:
    """Return the names of the formats, in alphabetical order.

    Returns
    -------
    tuple of str
        The file names in this folder that do not begin with an underscore.

    Examples
    --------
    >>> {"json", "text"} <= set(formats())
    True
    """
    found = pkgutil.iter_modules(__path__)
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def get_reporter(name: str) -> Reporter:
    """Return the reporter of a format.

    Parameters
    ----------
    name : str
        One of `formats`.

    Returns
    -------
    Reporter
        Ready to render.

    Raises
    ------
    ValueError
        For an unknown format.

    Examples
    --------
    >>> type(get_reporter("text")).__name__
    'TextReporter'
    """
    if name not in formats():
        raise ValueError(f"unknown format {name!r}; known: {', '.join(formats())}")
    module = importlib.import_module(f"{__name__}.{name}")
    reporter: Reporter = getattr(module, f"{name.capitalize()}Reporter")()
    return reporter
