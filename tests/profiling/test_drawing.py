"""Figures as matplotlib draws them, and as one picture."""

import math
import struct

import pytest

from profiling.document import Axis, Document, Figure, Section, Series
from profiling.reporters import get_reporter
from profiling.reporters._drawing import MOST_DOTS, draw, drawing_style, height
from profiling.reporters._palette import PALETTE

pytest.importorskip("matplotlib")

POINTS = {
    "1024x768x3072": (192, 38.8),
    "1024": (171, 43.3),
    "2048": (341, 43.8),
    "100000x16x16": (4, 46),
    "8x1024x4096": (3.96, 52.5),
    "64": (10.7, 60.9),
    "64x784x128": (20.2, 84.7),
    "256": (42.7, 91.5),
    "512": (85.3, 88.3),
}


def colour(name):
    return PALETTE[name].light


@pytest.fixture
def canvas():
    from matplotlib.figure import Figure as Canvas

    with drawing_style(colour):
        yield Canvas((8, 4.4), layout="constrained")


def figure(*series, x=None, y=None, name="f"):
    return Figure("Title", "", x or Axis("x"), y or Axis("y"), series, name)


def test_labels_cover_neither_each_other_nor_a_point(canvas):
    x, y = zip(*POINTS.values(), strict=True)
    curve = Series("roof", "line", (0.1, 1.0, 1000.0), (11.0, 114.0, 114.0))
    points = Series("matmul", "points", x, y, tuple(POINTS))
    assert draw(figure(curve, points, x=Axis("x", log=True), y=Axis("y", log=True)), canvas, colour) == ()
    canvas.draw_without_rendering()
    axes = canvas.axes[0]
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert set(boxes) == set(POINTS)
    for name, box in boxes.items():
        assert not any(box.overlaps(other) for label, other in boxes.items() if label != name)
        assert not any(box.contains(*axes.transData.transform(point)) for point in POINTS.values())


def test_bars_have_their_lengths_names_and_numbers(canvas):
    series = [
        Series(name, "bars", lengths, labels=("naive", "blocked"))
        for name, lengths in (("float32", (1.0, 40.5)), ("float64", (0.5, math.inf)))
    ]
    notes = draw(figure(*series), canvas, colour)
    assert notes == ("1 value of float64 cannot be drawn on these axes.",)
    axes = canvas.axes[0]
    widths = [bar.get_width() for container in axes.containers for bar in container]
    assert widths[:3] == [1.0, 40.5, 0.5]
    assert math.isnan(widths[3])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["naive", "blocked"]
    assert [text.get_text() for text in axes.texts] == ["1.00", "40.5", "0.500"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["float32", "float64"]


def test_strips_show_the_extremes_and_mark_the_median(canvas):
    values = tuple(float(value) for value in range(1001))
    notes = draw(
        figure(Series("many", "strip", values), Series("few", "strip", (3.0, 1.0, 2.0))), canvas, colour
    )
    assert len(notes) == 1
    assert f"many: {MOST_DOTS} of 1001 values are drawn" in notes[0]
    dots, median, few, few_median = (list(line.get_xdata()) for line in canvas.axes[0].lines)
    assert (dots[0], dots[-1], len(dots)) == (0.0, 1000.0, MOST_DOTS)
    assert (median, few, few_median) == ([500.0, 500.0], [1.0, 2.0, 3.0], [2.0, 2.0])


def test_names_are_shown_as_they_are(canvas):
    curves = [Series(name, "line", (1.0, 2.0), (1.0, 2.0)) for name in ("_hidden", "$x_2$")]
    draw(figure(*curves, x=Axis("$t$")), canvas, colour)
    canvas.draw_without_rendering()
    axes = canvas.axes[0]
    assert [text.get_text().strip() for text in axes.get_legend().get_texts()] == ["_hidden", "$x_2$"]
    assert not any(text.get_parse_math() for text in (axes.xaxis.label, *axes.get_legend().get_texts()))


def test_values_that_have_no_place_are_counted(canvas):
    curve = Series("c", "line", (1.0, -1.0, 2.0, math.nan), (1.0, 1.0, math.inf, 1.0))
    assert draw(figure(curve, x=Axis("x", log=True)), canvas, colour) == (
        "3 values of c cannot be drawn on these axes.",
    )


def test_a_figure_without_values_says_so(canvas):
    draw(figure(Series("empty", "strip", ())), canvas, colour)
    assert [text.get_text() for text in canvas.axes[0].texts] == ["no values"]


def test_the_picture_holds_all_figures():
    curve, strip = figure(Series("c", "line", (1.0,), (1.0,))), figure(Series("s", "strip", (1.0,)), name="g")
    sizes = []
    for figures in ((curve,), (curve, strip)):
        document = Document("T", (Section("S", figures),))
        picture = get_reporter("png").render(document, 100)
        sizes.append(struct.unpack(">II", picture[16:24]))
    (width, one), (same_width, both) = sizes
    assert width == same_width == 1200
    assert both - one == pytest.approx(150 * (height(strip) + 0.5), abs=2)
    with pytest.raises(ValueError, match="no figure"):
        get_reporter("png").render(Document("T", ()), 100)


def test_matplotlib_is_left_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    get_reporter("png").render(Document("T", (Section("S", (figure(Series("s", "strip", (1.0,))),)),)), 100)
    assert dict(matplotlib.rcParams) == before
