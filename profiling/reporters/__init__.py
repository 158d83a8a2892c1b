"""One output format per file, found by listing this folder.

``<format>.py`` holds ``<Format>Reporter``, a `Reporter`. Every format but ``text`` becomes an option
``--<format> FILE`` of every verb.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from abc import ABC, abstractmethod
from typing import ClassVar

from ..document import Document


class Reporter(ABC):
    """A format for documents.

    Attributes
    ----------
    help_text : str
        What ``--help`` says of the option.
    packages : tuple of str
        What has to be installed.
    extra : str
        The extra that installs it.
    needs_figures : bool
        Whether a document without a figure cannot be shown.
    """

    help_text: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    needs_figures: ClassVar[bool] = False

    @abstractmethod
    def render(self, document: Document, width: int) -> str | bytes:
        """Return the document in the reporter's format; a text ends without a newline."""

    def why_unavailable(self) -> str | None:
        """Return what has to be installed first, or None where nothing is missing.

        Returns
        -------
        str or None
            The packages and the command that installs them.

        Examples
        --------
        >>> get_reporter("json").why_unavailable()
        """
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if not missing:
            return None
        verb = "is" if len(missing) == 1 else "are"
        command = f"pip install 'tensorops[{self.extra}]'"
        return f"{' and '.join(missing)} {verb} not installed; install with: {command}"


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
