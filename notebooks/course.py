"""What the notebooks share: figures, predictions, checks of exercises, and the closing tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt

COLOURS = ("#3b7dd8", "#d9822b", "#3a9d5d", "#b04a8f", "#7a7a7a")
_INK = "#7f7f7f"
"""Readable on white and on black, as the figures have no background of their own."""


def style() -> None:
    """Set what every figure of the course has: no background, ink for light and dark pages."""
    plt.rcParams.update(
        {
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "figure.figsize": (7.5, 3.8),
            "figure.dpi": 110,
            "axes.edgecolor": _INK,
            "axes.labelcolor": _INK,
            "axes.titlecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "text.color": _INK,
            "axes.grid": True,
            "grid.color": _INK,
            "grid.alpha": 0.25,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "axes.prop_cycle": plt.cycler(color=COLOURS),
        }
    )


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    unit: str,
    *,
    title: str,
    log: bool = False,
    roof: tuple[str, float] | None = None,
) -> None:
    """Draw horizontal bars with their values, and the roof they cannot pass.

    Parameters
    ----------
    labels : sequence of str
        Names, from the top.
    values : sequence of float
        Lengths.
    unit : str
        Of the values.
    title : str
        What is seen.
    log : bool
        Whether the axis is logarithmic.
    roof : tuple of str and float, optional
        Name and value of a limit.
    """
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(labels) + 1.3))
    axes.barh(range(len(labels)), values, color=COLOURS[0])
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    if log:
        axes.set_xscale("log")
    for place, value in enumerate(values):
        axes.annotate(f" {value:.3g}", (value, place), va="center")
    if roof is not None:
        axes.axvline(roof[1], color=COLOURS[1], linestyle="--")
        axes.annotate(f"{roof[0]} {roof[1]:.3g}", (roof[1], -0.6), color=COLOURS[1], ha="right")
    axes.set_xlabel(unit)
    axes.set_title(title)
    axes.grid(axis="y", visible=False)
    figure.tight_layout()
    plt.show()


def lines(
    series: dict[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    *,
    title: str,
    marks: dict[str, float] | None = None,
    roof: tuple[str, float] | None = None,
    log: str = "",
) -> None:
    """Draw lines over one axis, with vertical marks and a roof.

    Parameters
    ----------
    series : dict of str to pair of sequences
        Values of x and y by name.
    x, y : str
        Quantity and unit of the axes.
    title : str
        What is seen.
    marks : dict of str to float, optional
        Places on the x axis that have a name, such as the sizes of the caches.
    roof : tuple of str and float, optional
        Name and height of a limit.
    log : str
        "x", "y" or "xy": which axes are logarithmic.
    """
    figure, axes = plt.subplots()
    for name, (values, heights) in series.items():
        axes.plot(values, heights, marker="o", markersize=3, label=name)
    if "x" in log:
        axes.set_xscale("log", base=2)
    if "y" in log:
        axes.set_yscale("log")
    for name, place in (marks or {}).items():
        axes.axvline(place, color=_INK, linestyle=":")
        axes.annotate(f" {name}", (place, 1), xycoords=("data", "axes fraction"), va="top")
    if roof is not None:
        axes.axhline(roof[1], color=COLOURS[1], linestyle="--")
        axes.annotate(
            f"{roof[0]} {roof[1]:.3g}", (1, roof[1]), xycoords=("axes fraction", "data"), ha="right"
        )
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    if len(series) > 1:
        axes.legend()
    figure.tight_layout()
    plt.show()


def compare(guess: float, measured: float, unit: str = "") -> None:
    """Print a prediction beside what was measured.

    Parameters
    ----------
    guess : float
        What was expected before the cell ran.
    measured : float
        What it gave.
    unit : str
        Of both.
    """
    unit = f" {unit}" if unit else ""
    factor = max(guess, measured) / max(min(guess, measured), 1e-300)
    verdict = "a good guess" if factor < 1.5 else f"off by a factor of {factor:.1f}: why?"
    print(f"predicted {guess:.3g}{unit}, measured {measured:.3g}{unit}: {verdict}")


def check(name: str, test: Callable[[], Any]) -> None:
    """Run the test of an exercise and say how it went.

    Parameters
    ----------
    name : str
        Of the exercise.
    test : callable
        Raises AssertionError, with a message, where the answer is wrong.
    """
    try:
        test()
    except NotImplementedError:
        print(f"{name}: still to be done")
        if os.environ.get("COURSE_STRICT"):
            raise
    except AssertionError as wrong:
        print(f"{name}: not yet: {wrong}")
        raise
    else:
        print(f"{name}: done")


def claims(rows: Sequence[tuple[str, str, str, bool, str]]) -> None:
    """Print the closing table: what the module claims, what this machine gave, and when it holds.

    Parameters
    ----------
    rows : sequence of tuple
        Claim, its figure, the measured figure, whether it holds here, and the condition.
    """
    head = ("claim", "claimed", "measured here", "holds", "on which condition")
    table = [head] + [
        (claim, said, found, "yes" if holds else "no", when) for claim, said, found, holds, when in rows
    ]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for row in table:
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True))
        print(f"{cells}  {row[4]}")
