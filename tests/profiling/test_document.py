"""Blocks of documents refuse what does not belong together."""

import pytest

from profiling.document import Axis, Column, Document, Figure, Listing, ListingLine, Section, Series

AXIS = Axis("x")
CURVE = Series("a", "line", (1.0, 2.0), (1.0, 2.0))
BARS = Series("b", "bars", (1.0,), labels=("one",))


@pytest.mark.parametrize(
    ("columns", "line", "message"),
    [
        ((Column("share", "bar"),), ListingLine(1, ""), "'share' is of kind 'bar'"),
        ((Column("time"),), ListingLine(7, "", ("1 s", "2")), "line 7 has 2 cells under 1 columns"),
        ((), ListingLine(7, "", heat=1.5), "line 7 has heat 1.5"),
        ((), ListingLine(7, "", heat=float("nan")), "line 7 has heat nan"),
    ],
)
def test_listings(columns, line, message):
    with pytest.raises(ValueError, match=message):
        Listing("f", "f.py", columns, (line,))


def test_lines_with_a_figure_are_the_measured_ones():
    lines = (ListingLine(1, "a"), ListingLine(2, "b", ("", "")), ListingLine(3, "c", ("", "1")))
    assert Listing("f", "f.py", (Column("x"), Column("y")), lines).measured == lines[2:]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("a", "line", (1.0,), ()), "1 values of x and 0 of y"),
        (("a", "points", (1.0,), (1.0,), ("x", "y")), "2 labels for 1 values"),
        (("a", "bars", (1.0,)), "0 labels for 1 values"),
        (("a", "strip", (1.0,), (1.0,)), "strip have no y"),
    ],
)
def test_series(values, message):
    with pytest.raises(ValueError, match=message):
        Series(*values)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ((), "got none"),
        ((CURVE, BARS), "got bars, curve"),
        ((BARS, Series("c", "bars", (1.0,), labels=("two",))), "need the same labels"),
    ],
)
def test_figures(series, message):
    with pytest.raises(ValueError, match=message):
        Figure("T", "", AXIS, AXIS, series, "t")


def test_a_document_knows_its_figures_in_order():
    first, second = (Figure(name, "", AXIS, AXIS, (CURVE,), name) for name in "ab")
    sections = (Section("1", ("Words.", first)), Section("2", (second,)))
    assert Document("T", sections).figures == (first, second)
