"""Figures as SVG for a page: its colours and its fonts, ids of its own."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from ..document import Figure
from ._drawing import WIDTH, draw, drawing_style, height
from ._palette import PALETTE
from ._printable import printable

_SVG = "http://www.w3.org/2000/svg"
_LINK = "http://www.w3.org/1999/xlink"
# matplotlib knows colours by number only, so each name has a number that no one else would take.
_NUMBERS = {name: f"#fe{place:02x}01" for place, name in enumerate(PALETTE)}
_NAMES = {number: f"var(--{name})" for name, number in _NUMBERS.items()}
_FONT_FAMILY = re.compile(r"(font-family:|font: [^;'\"]*?[0-9.]+px) [^;]+")


def svg(figure: Figure, identifier: str) -> tuple[str, tuple[str, ...]]:
    """Return a figure as an element for a page.

    Parameters
    ----------
    figure : Figure
        What to draw.
    identifier : str
        Id of the element; those inside begin with it.

    Returns
    -------
    tuple of str and tuple of str
        The SVG, with CSS variables of the palette as colours, and what a reader has to know of it.

    Examples
    --------
    >>> from profiling.document import Axis, Series
    >>> curve = Series("c", "line", (1.0, 2.0), (1.0, 4.0))
    >>> svg(Figure("T", "", Axis("x"), Axis("y"), (curve,), "t"), "f1")[0].startswith("<svg")
    True
    """
    from matplotlib.figure import Figure as Canvas

    buffer = io.BytesIO()
    with drawing_style(_NUMBERS.__getitem__):
        canvas = Canvas((WIDTH, height(figure)), layout="constrained")
        notes = draw(figure, canvas, _NUMBERS.__getitem__)
        canvas.savefig(buffer, format="svg", metadata={"Date": None})
    return _for_page(buffer.getvalue(), identifier, figure.title), notes


def _for_page(drawn: bytes, identifier: str, title: str) -> str:
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    for child in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(child)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            element.set(name, _attribute(name, value, identifier))
        link = element.attrib.pop(f"{{{_LINK}}}href", None)
        if link is not None:
            element.set("href", link)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("id", identifier)
    root.set("role", "img")
    root.set("aria-label", printable(title))
    return ElementTree.tostring(root, encoding="unicode")


def _attribute(name: str, value: str, identifier: str) -> str:
    if name == "id":
        return f"{identifier}-{value}"
    if name.endswith("href"):
        return value.replace("#", f"#{identifier}-", 1)
    if name in ("clip-path", "style", "fill", "stroke"):
        value = value.replace("url(#", f"url(#{identifier}-")
        value = re.sub(r"#fe[0-9a-f]{2}01", lambda found: _NAMES[found[0]], value)
        value = _FONT_FAMILY.sub(r"\1 var(--sans)", value)
    return value
