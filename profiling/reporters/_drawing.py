"""Draw the figures of documents with matplotlib, in colours given by name."""

from __future__ import annotations

import itertools
import math
import statistics
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..document import Axis, Figure, Series, three_digits
from ._palette import SERIES
from ._printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.figure import SubFigure

WIDTH = 8.0
"""Inches; a page scales it."""
LONGEST_LABEL = 44
MOST_DOTS = 300
MARKERS = "osD^vP"
NEAR_A_POINT = tuple((right, above) for above in (0, -11, 11, -22, 22) for right in (True, False))
"""Where a label may stand: to the right of its point or not, and how many points of type above it."""
SQUARE_MAP = 6.0
"""Height of a figure with cells, which wants to be about as high as wide."""

CELL_ALPHA = 0.45
"""Cells lie under points of the same colour."""

DASHES = ("-", "--", "-.", ":")


def height(figure: Figure) -> float:
    """Return the height that a figure needs.

    Parameters
    ----------
    figure : Figure
        What will be drawn.

    Returns
    -------
    float
        Inches, at a width of 8.

    Examples
    --------
    >>> height(Figure("T", "", Axis("x"), Axis("y"), (Series("a", "line", (1.0,), (2.0,)),), "t"))
    4.4
    """
    kind = figure.series[0].kind
    if kind == "bars":
        rows = len(figure.series[0].x) * (0.5 + 0.5 * len(figure.series))
    elif kind == "strip":
        rows = 1.5 * len(figure.series)
    else:
        return 4.4 if kind != "cells" else SQUARE_MAP
    return 1.0 + 0.3 * max(rows, 2)


@contextmanager
def drawing_style(colour: Callable[[str], str]) -> Iterator[None]:
    """Set up matplotlib for the figures drawn and saved inside.

    Parameters
    ----------
    colour : callable
        From a name of the palette to ``#rrggbb``.

    Yields
    ------
    None
        Once.
    """
    import matplotlib

    ink, muted, line = colour("ink"), colour("muted"), colour("line")
    settings: Any = {
        "axes.axisbelow": True,
        "axes.edgecolor": line,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": muted,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.facecolor": "none",
        "font.size": 10.5,
        "grid.color": line,
        "grid.linewidth": 0.6,
        "legend.edgecolor": "none",
        "legend.facecolor": colour("page"),
        "legend.framealpha": 0.8,
        "svg.fonttype": "none",
        "text.color": ink,
        # A dollar sign in a name is a dollar sign.
        "text.parse_math": False,
        "xtick.color": muted,
        "ytick.color": muted,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The page's own font has the letters that matplotlib's lacks.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def draw(figure: Figure, target: Canvas | SubFigure, colour: Callable[[str], str]) -> tuple[str, ...]:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure
        What to draw; its title and caption are the page's to show.
    target : matplotlib.figure.Figure or matplotlib.figure.SubFigure
        An empty picture, or a part of one, made inside `drawing_style`.
    colour : callable
        From a name of the palette to ``#rrggbb``.

    Returns
    -------
    tuple of str
        What a reader has to know: values that are left out.
    """
    axes = target.subplots()
    notes: list[str] = []
    kept = [_drawable(series, figure, notes) for series in figure.series]
    kind = figure.series[0].kind
    has_rows = kind in ("bars", "strip")
    axes.set_xlabel(_short(figure.x.label))
    axes.set_ylabel(_short(figure.y.label))
    if figure.x.log:
        axes.set_xscale("log")
    if figure.y.log and not has_rows:
        axes.set_yscale("log")
    if not any(series.x for series in kept):
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", va="center")
        axes.set(xticks=[], yticks=[])
    elif kind == "bars":
        _draw_bars(axes, kept, colour)
    elif kind == "strip":
        _draw_strips(axes, kept, colour, notes)
    else:
        _draw_curves(axes, kept, colour, target.dpi / 72)
    _format_ticks(axes, figure, has_rows)
    return tuple(notes)


def _drawable(series: Series, figure: Figure, notes: list[str]) -> Series:
    """Return the series without the values that have no place on the axes."""
    others = series.y or (1.0,) * len(series.x)
    places = [
        place
        for place, (x, y) in enumerate(zip(series.x, others, strict=True))
        if _has_place(x, figure.x) and (not series.y or _has_place(y, figure.y))
    ]
    left_out = len(series.x) - len(places)
    if left_out:
        of = f" of {printable(series.name)}" if series.name else ""
        notes.append(f"{left_out} value{'s' * (left_out != 1)}{of} cannot be drawn on these axes.")

    def pick(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[place] for place in places) if values else ()

    if series.kind == "bars":
        # Its bar is missing; its name stays.
        kept = set(places)
        return Series(
            series.name,
            "bars",
            tuple(x if place in kept else math.nan for place, x in enumerate(series.x)),
            labels=series.labels,
        )
    return Series(series.name, series.kind, pick(series.x), pick(series.y), pick(series.labels))


def _has_place(value: float, axis: Axis) -> bool:
    return math.isfinite(value) and abs(value) < 1e150 and (value > 1e-150 or not axis.log)


def _draw_curves(axes: Axes, kept: Sequence[Series], colour: Callable[[str], str], scale: float) -> None:
    handles, names = [], []
    for place, series in enumerate(kept):
        # Areas and what is drawn on them count for themselves: the first points have the first area's colour.
        number = place if series.kind == "cells" else place - sum(one.kind == "cells" for one in kept[:place])
        shade = colour(SERIES[number % len(SERIES)])
        if series.kind == "cells":
            handle = _draw_cells(axes, series, kept, shade)
        elif series.kind == "line":
            style = DASHES[number % len(DASHES)]
            handle = axes.plot(series.x, series.y, color=shade, linestyle=style, linewidth=1.8)[0]
        else:
            marker = MARKERS[number % len(MARKERS)]
            handle = axes.plot(series.x, series.y, color=shade, marker=marker, linestyle="", markersize=6)[0]
        if series.name:
            handles.append(handle)
            names.append(_legend_name(series.name))
    filled = any(series.kind == "cells" for series in kept)
    axes.margins(0.0 if filled else 0.08)
    if filled:
        # Nowhere inside is free.
        axes.legend(handles, names, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    elif len(handles) > 1:
        axes.legend(handles, names, loc="best")
    _name_points(axes, kept, colour, scale)


def _draw_cells(axes: Axes, series: Series, kept: Sequence[Series], shade: str) -> Any:
    """Fill squares half way to their neighbours; return what stands for them in the legend."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    grid = [other for other in kept if other.kind == "cells"]
    across = _edges([x for other in grid for x in other.x], axes.get_xscale() == "log")
    along = _edges([y for other in grid for y in other.y], axes.get_yscale() == "log")
    corners = []
    for x, y in zip(series.x, series.y, strict=True):
        (left, right), (low, high) = across[x], along[y]
        corners.append(((left, low), (right, low), (right, high), (left, high)))
    cells = PolyCollection(corners, facecolors=shade, edgecolors="none", alpha=CELL_ALPHA, zorder=0.5)
    axes.add_collection(cells)
    return Patch(facecolor=shade, alpha=CELL_ALPHA)


def _edges(values: Sequence[float], log: bool) -> dict[float, tuple[float, float]]:
    """Return from where to where the cell round each value of one axis reaches."""
    ordered = sorted(set(values))
    at = [math.log(value) if log else value for value in ordered]
    halves = [(after - before) / 2 for before, after in itertools.pairwise(at)]
    ends = (halves[0], halves[-1]) if halves else (0.5, 0.5)
    below, above = [ends[0], *halves], [*halves, ends[1]]
    back = math.exp if log else float
    return {
        value: (back(middle - low), back(middle + high))
        for value, middle, low, high in zip(ordered, at, below, above, strict=True)
    }


def _name_points(axes: Axes, kept: Sequence[Series], colour: Callable[[str], str], scale: float) -> None:
    """Write labels beside their points, each where it covers no other label and no point if possible."""
    from matplotlib.transforms import Bbox

    shades = [colour(SERIES[number % len(SERIES)]) for number in range(len(kept))]
    named = [
        (place, label, shade)
        for series, shade in zip(kept, shades, strict=True)
        for place, label in zip(zip(series.x, series.y, strict=True), series.labels, strict=False)
    ]
    if not named:
        return
    # Limits are worked out when they are asked for. The layout is not known before the labels are, and
    # makes the axes larger than they are now.
    axes.get_xlim()
    axes.get_ylim()
    to_pixels = axes.transData.transform
    points = [
        to_pixels((x, y))
        for series in kept
        if series.kind == "points"
        for x, y in zip(series.x, series.y, strict=True)
    ]
    taken = [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for (x, y), label, shade in named:
        text = _short(label)
        wide, high = 6 * len(text) * scale, 11 * scale
        across, up = to_pixels((x, y))
        boxes = []
        for right, above in NEAR_A_POINT:
            left = across + (7 if right else -7) * scale - (0 if right else wide)
            low = up + above * scale - high / 2
            boxes.append(Bbox.from_extents(left, low, left + wide, low + high))
        covered = [sum(box.overlaps(other) for other in taken) for box in boxes]
        best = covered.index(min(covered))
        taken.append(boxes[best])
        right, above = NEAR_A_POINT[best]
        axes.annotate(
            text,
            (x, y),
            xytext=(7 if right else -7, above),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            fontsize=9,
            color=shade,
            # A line behind it would cross it out.
            bbox={"facecolor": colour("page"), "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )


def _draw_bars(axes: Axes, kept: Sequence[Series], colour: Callable[[str], str]) -> None:
    rows = len(kept[0].labels)
    thick = 0.72 / len(kept)
    finite = [x for series in kept for x in series.x if math.isfinite(x)]
    if axes.get_xscale() == "log" and finite:
        axes.set_xlim(min(finite) / 3, max(finite) * 4)
    handles = []
    for number, series in enumerate(kept):
        places = [row + (number - (len(kept) - 1) / 2) * thick for row in range(rows)]
        shade = colour(SERIES[number % len(SERIES)])
        bars = axes.barh(places, series.x, height=0.86 * thick, color=shade)
        for place, x in zip(places, series.x, strict=True):
            if math.isfinite(x):
                axes.annotate(
                    three_digits(x) if abs(x) < 1e7 else f"{x:.3g}",
                    (x, place),
                    xytext=(5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9,
                )
        handles.append(bars)
    if axes.get_xscale() != "log":
        axes.margins(x=0.12)
    _name_rows(axes, [_short(label) for label in kept[0].labels])
    if len(kept) > 1:
        axes.legend(handles, [_legend_name(series.name) for series in kept], loc="best")


def _draw_strips(axes: Axes, kept: Sequence[Series], colour: Callable[[str], str], notes: list[str]) -> None:
    for row, series in enumerate(kept):
        shown = _thinned(series.x)
        if len(shown) < len(series.x):
            notes.append(
                f"{printable(series.name)}: {len(shown)} of {len(series.x)} values are drawn, evenly by "
                "rank, the smallest and the largest among them."
            )
        shade = colour(SERIES[row % len(SERIES)])
        # A fixed pattern keeps equal values apart and pictures of equal data equal.
        spread = [row + 0.22 * (((place * 7) % 11) / 5 - 1) for place in range(len(shown))]
        axes.plot(shown, spread, marker="o", linestyle="", markersize=3.5, alpha=0.55, color=shade, mew=0)
        if series.x:
            middle = statistics.median(series.x)
            axes.plot([middle, middle], [row - 0.36, row + 0.36], color=colour("ink"), linewidth=1.6)
    _name_rows(axes, [_short(series.name) for series in kept])


def _thinned(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    if len(ordered) <= MOST_DOTS:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(place * last / (MOST_DOTS - 1))] for place in range(MOST_DOTS)]


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _format_ticks(axes: Axes, figure: Figure, has_rows: bool) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis, described in ((axes.xaxis, figure.x), (axes.yaxis, figure.y)):
        if described.log and not (has_rows and described is figure.y):
            # matplotlib's own is mathematical notation, which a page cannot set in its font.
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


def _short(text: str) -> str:
    return textwrap.shorten(printable(text), LONGEST_LABEL, placeholder=" ...") if text else ""


def _legend_name(name: str) -> str:
    # matplotlib hides names that begin with an underscore.
    return f" {_short(name)}" if name.startswith("_") else _short(name)
