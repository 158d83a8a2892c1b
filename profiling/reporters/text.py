"""Documents as plain text, for a terminal or a mail."""

from __future__ import annotations

import os
import textwrap
from typing import TextIO

from ..document import Block, Change, Column, Document, Figure, Listing, Table
from . import Reporter
from ._layout import Paint, plain, table_lines
from ._printable import printable

INDENT = "  "
LONGEST_PARAGRAPH_LINE = 110
HOT_MARK = ">"
HOT = 0.5
STYLES = {
    "title": "bold",
    "section": "bold cyan",
    "head": "dim",
    "bar": "cyan",
    "hottest": "bold red",
    "hot": "red",
    "warm": "yellow",
    "removed": "red",
    "added": "green",
}
"""In the terminal's own sixteen colours, which suit its background, light or dark."""


class TextReporter(Reporter):
    """Renders a document as plain text of a given width.

    Parameters
    ----------
    paint : callable
        Adds colour, as `terminal_paint` does; without it the text is plain.
    """

    def __init__(self, paint: Paint = plain) -> None:
        self._paint = paint

    def render(self, document: Document, width: int) -> str:
        """Return the document as text.

        Parameters
        ----------
        document : Document
            What to render.
        width : int
            Characters of a line.

        Returns
        -------
        str
            Lines without trailing spaces.

        Examples
        --------
        >>> from profiling.document import Section
        >>> print(TextReporter().render(Document("Title", (Section("1. Part", ("Words.",)),)), 80))
        Title
        <BLANKLINE>
        1. Part
          Words.
        """
        lines = self._painted(_paragraph(document.title, width), "title")
        inner = width - len(INDENT)
        for section in document.sections:
            lines += ["", *self._painted(_paragraph(section.title, width), "section")]
            before: Block | None = None
            for block in section.blocks:
                if isinstance(block, Listing | Change) and before is not None:
                    lines.append("")
                elif isinstance(block, Table | Listing) and isinstance(before, Table | Listing):
                    lines.append("")
                lines += [INDENT + line if line else "" for line in self._block(block, inner)]
                before = block
        return "\n".join(lines)

    def _block(self, block: Block, width: int) -> list[str]:
        if isinstance(block, Table):
            return table_lines(block, width, self._paint)
        if isinstance(block, Listing):
            return self._listing(block, width)
        if isinstance(block, Change):
            return self._change(block, width)
        if isinstance(block, Figure):
            block = f"Figure: {block.title}. To see it: --html FILE or --png FILE."
        return _paragraph(block, min(width, LONGEST_PARAGRAPH_LINE))

    def _listing(self, listing: Listing, width: int) -> list[str]:
        lines = self._painted(_paragraph(f"{listing.title}, {listing.filename}", width), "title")
        measured = listing.measured
        if measured:
            columns = (Column("", "left"), Column("line"), *listing.columns, Column("source", "wrap"))
            sources = textwrap.dedent("\n".join(printable(line.source) for line in measured)).split("\n")
            rows = tuple(
                (HOT_MARK if (line.heat or 0) >= HOT else "", str(line.number), *line.cells, source)
                for line, source in zip(measured, sources, strict=True)
            )
            styles = [_heat_style(line.heat) for line in measured]
            lines += table_lines(Table(columns, rows), width, self._paint, styles)
        else:
            lines.append("(no line was measured)")
        return lines + _paragraph(listing.note, min(width, LONGEST_PARAGRAPH_LINE))

    def _change(self, change: Change, width: int) -> list[str]:
        lines = self._painted(_paragraph(change.title, width), "title")
        for mark, style, code in (("-", "removed", change.before), ("+", "added", change.after)):
            for line in code.splitlines():
                lines += self._painted(_code_lines(f"{mark} {printable(line)}", width), style)
        return lines + _paragraph(change.note, min(width, LONGEST_PARAGRAPH_LINE))

    def _painted(self, lines: list[str], style: str) -> list[str]:
        return [self._paint(line, style) for line in lines]


def terminal_paint(stream: TextIO) -> Paint:
    """Return what colours text for a stream.

    Parameters
    ----------
    stream : text file
        Where the text will go.

    Returns
    -------
    callable
        One that adds colour where the stream is a terminal that knows colours and NO_COLOR is not
        set; else one that adds nothing.

    Examples
    --------
    >>> import io
    >>> terminal_paint(io.StringIO())("x", "hot")
    'x'
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown"):
        return plain
    from rich.color import ColorSystem
    from rich.style import Style

    styles = {name: Style.parse(text) for name, text in STYLES.items()}

    def paint(text: str, style: str) -> str:
        return styles[style].render(text, color_system=ColorSystem.STANDARD) if style and text else text

    return paint


def _heat_style(heat: float | None) -> str:
    for limit, style in ((0.8, "hottest"), (HOT, "hot"), (0.1, "warm")):
        if heat is not None and heat >= limit:
            return style
    return ""


def _code_lines(text: str, width: int) -> list[str]:
    """Break a line of code; what follows stands further to the right than its beginning."""
    indent = " " * (len(text) - len(text[1:].lstrip()) + 4)
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=indent[: width // 2],
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _paragraph(text: str, width: int) -> list[str]:
    # A path is never broken: it is there to be copied.
    text = " ".join(printable(part) for part in text.split())
    # A long path stays whole, to be copied; what holds escapes is none.
    return textwrap.wrap(text, width, break_long_words="\\" in text, break_on_hyphens=False)
