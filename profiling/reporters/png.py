"""The figures of documents as one picture, for a paper or a chat."""

from __future__ import annotations

import io
import textwrap

from ..document import Document
from . import Reporter
from ._drawing import WIDTH, draw, drawing_style, height
from ._palette import PALETTE
from ._printable import printable

DOTS_PER_INCH = 150
TITLE_INCHES = 0.5
CAPTION_CHARACTERS = 110


class PngReporter(Reporter):
    """Renders the figures of a document as one picture, stacked, on a light background."""

    help_text = "also draw the figures to FILE, as one PNG picture (needs the extra 'html')"
    packages = ("matplotlib",)
    extra = "html"
    needs_figures = True

    def render(self, document: Document, width: int) -> bytes:
        r"""Return the picture.

        Parameters
        ----------
        document : Document
            What to draw.
        width : int
            Not used: the picture is 1200 pixels wide.

        Returns
        -------
        bytes
            A PNG file.

        Raises
        ------
        ValueError
            If the document has no figure.

        Examples
        --------
        >>> from profiling.document import Axis, Figure, Section, Series
        >>> curve = Series("c", "line", (1.0, 2.0), (1.0, 4.0))
        >>> figure = Figure("T", "", Axis("x"), Axis("y"), (curve,), "t")
        >>> PngReporter().render(Document("T", (Section("S", (figure,)),)), 80)[1:4]
        b'PNG'
        """
        from matplotlib.figure import Figure as Canvas
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        if not document.figures:
            raise ValueError("the document has no figure")

        def colour(name: str) -> str:
            return PALETTE[name].light

        with drawing_style(colour):
            heights = [height(figure) + TITLE_INCHES for figure in document.figures]
            layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
            canvas = Canvas((WIDTH, sum(heights)), layout=layout, facecolor=colour("page"))
            parts = canvas.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
            for figure, part in zip(document.figures, parts, strict=True):
                part.set_facecolor(colour("page"))
                notes = draw(figure, part, colour)
                title = textwrap.shorten(printable(figure.title), 80, placeholder=" ...")
                part.suptitle(title, x=0.02, ha="left", fontweight="bold")
                if notes:
                    part.supxlabel(textwrap.fill(" ".join(notes), CAPTION_CHARACTERS), fontsize=8)
            buffer = io.BytesIO()
            canvas.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
        return buffer.getvalue()
