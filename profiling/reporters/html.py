"""Documents as one self-contained page that needs no network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import tensorops

from ..document import Block, Change, Document, Figure, Listing, Table
from . import Reporter
from ._palette import PALETTE
from ._printable import printable
from ._rows import shown_source, sort_value, stretches
from ._svg import svg

FOLDER = Path(__file__).with_name("_page")


class HtmlReporter(Reporter):
    """Renders a document as a page: listings with heat colours, sortable tables, figures, light and dark."""

    help_text = "also write a self-contained page to FILE (needs the extra 'html')"
    packages = ("jinja2", "matplotlib")
    extra = "html"

    def render(self, document: Document, width: int) -> str:
        """Return the page.

        Parameters
        ----------
        document : Document
            What to render.
        width : int
            Not used: the page fits its window.

        Returns
        -------
        str
            HTML with its style, script and pictures inside.

        Examples
        --------
        >>> from profiling.document import Section
        >>> page = HtmlReporter().render(Document("a < b", (Section("1. Part", ("Words.",)),)), 80)
        >>> "<h1>a &lt; b</h1>" in page
        True
        """
        import jinja2
        from markupsafe import Markup

        def finalize(value: Any) -> Any:
            return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            autoescape=True,
            finalize=finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.globals["zip"] = zip
        environment.filters.update(
            kind=_kind,
            sort_value=sort_value,
            stretches=stretches,
            source=_source,
            numbers=lambda part: Markup("\n").join(str(line.number) for line in part.lines),
            sources=lambda part: Markup("\n").join(_source(line.source) for line in part.lines),
        )
        names = {id(figure): f"figure-{number}" for number, figure in enumerate(document.figures, 1)}

        def drawn(figure: Figure) -> tuple[Markup, tuple[str, ...]]:
            element, notes = svg(figure, names[id(figure)])
            return Markup(element), notes

        script = (FOLDER / "script.js").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        page = environment.get_template("page.jinja").render(
            document=document,
            drawn=drawn,
            palette=PALETTE,
            style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=digest,
            version=tensorops.__version__,
        )
        return page.strip()


def _kind(block: Block) -> str:
    for kind, name in ((Table, "table"), (Listing, "listing"), (Change, "change"), (Figure, "figure")):
        if isinstance(block, kind):
            return name
    return "paragraph"


def _source(text: str) -> str:
    return printable(shown_source(text))
