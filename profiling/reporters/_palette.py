"""The colours of pages and pictures, each for a light and a dark background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Shade(NamedTuple):
    """One colour on both backgrounds.

    Attributes
    ----------
    light, dark : str
        ``#rrggbb`` on a light and on a dark background.
    """

    light: str
    dark: str


PALETTE: Mapping[str, Shade] = {
    "page": Shade("#fdfdfc", "#15171b"),
    "surface": Shade("#f4f5f4", "#1d2025"),
    "ink": Shade("#1c1f26", "#e6e8ec"),
    "muted": Shade("#586070", "#a3abb9"),
    "line": Shade("#dcdedc", "#353a43"),
    "accent": Shade("#0b5fa5", "#74b9f3"),
    "heat": Shade("#d9480f", "#ff7a48"),
    "series-1": Shade("#0b5fa5", "#74b9f3"),
    "series-2": Shade("#b8500a", "#f2a765"),
    "series-3": Shade("#2a7749", "#72cf99"),
    "series-4": Shade("#764a9f", "#c5a0ea"),
    "series-5": Shade("#b02a3f", "#f28b96"),
    "series-6": Shade("#586070", "#a3abb9"),
}
"""Text colours keep a contrast of at least 4.5 to 1 on the page and on its surfaces."""

SERIES = tuple(name for name in PALETTE if name.startswith("series-"))


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours, as the Web Content Accessibility Guidelines define it.

    Parameters
    ----------
    first, second : str
        ``#rrggbb``.

    Returns
    -------
    float
        From 1 to 21.

    Examples
    --------
    >>> round(contrast("#ffffff", "#000000"), 6)
    21.0
    """
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
