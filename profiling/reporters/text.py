"""Documents as plain text, for a terminal or a mail."""

from __future__ import annotations

import textwrap

from ..document import Document, Table
from ._layout import table_lines

INDENT = "  "
LONGEST_PARAGRAPH_LINE = 110


class TextReporter:
    """Renders a document as plain text of a given width."""

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
        lines = [document.title]
        inner = width - len(INDENT)
        for section in document.sections:
            lines += ["", *textwrap.wrap(section.title, width)]
            for number, block in enumerate(section.blocks):
                if isinstance(block, Table):
                    body = table_lines(block, inner)
                else:
                    body = _paragraph(block, min(inner, LONGEST_PARAGRAPH_LINE))
                after_table = number > 0 and isinstance(section.blocks[number - 1], Table)
                if isinstance(block, Table) and number > 0 and after_table:
                    lines.append("")
                lines += [INDENT + line for line in body]
        return "\n".join(lines)


def _paragraph(text: str, width: int) -> list[str]:
    # A path is never broken: it is there to be copied.
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
