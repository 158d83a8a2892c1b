"""Documents as text and JSON, and any document in every format."""

import io
import json
import math
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiling.document import (
    Axis,
    Change,
    Column,
    Document,
    Figure,
    Listing,
    ListingLine,
    Section,
    Series,
    Table,
    bytes_text,
    three_digits,
    time_text,
)
from profiling.reporters import formats, get_reporter
from profiling.reporters._layout import plain, table_lines
from profiling.reporters._palette import PALETTE, contrast
from profiling.reporters.text import TextReporter, terminal_paint

TABLE = Table(
    (
        Column("name", "left"),
        Column("time"),
        Column("share", "bar", optional=2),
        Column("remark", "left", optional=1),
        Column("why", "wrap"),
    ),
    (
        ("naive", "365 ms", 0.01, "measured", "each step of the inner loop lands on another cache line"),
        ("optimised", "3.5 ms", 0.5, "measured", "packed"),
    ),
)


def heads(width):
    return table_lines(TABLE, width)[0].split()


def test_optional_columns_go_where_the_page_is_narrow():
    assert heads(120) == ["name", "time", "share", "remark", "why"]
    assert heads(60) == ["name", "time", "remark", "why"]
    assert heads(48) == ["name", "time", "why"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_page(width):
    lines = table_lines(TABLE, width)
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    # Wrapping loses no word.
    words = " ".join(lines).split()
    assert all(word in words for word in TABLE.rows[0][-1].split())


def test_bars_have_the_length_of_their_share():
    table = Table((Column("share", "bar"),), ((0.0,), (0.5,), (1.0,), (7.0,)))
    assert [len(line) for line in table_lines(table, 24)[1:]] == [0, 12, 24, 24]


def test_heads_are_broken_before_a_column_is_left_out():
    table = Table((Column("seconds per hit"), Column("much longer head", optional=1)), (("1", "2"),))
    assert table_lines(table, 40) == [
        "seconds per hit  much longer head",
        "              1                 2",
    ]
    assert table_lines(table, 20) == [
        "seconds  much longer",
        "per hit         head",
        "      1            2",
    ]


def test_texts_are_broken_and_numbers_are_not():
    table = Table((Column("name", "left"), Column("count")), (("one two three four", "1,234,567,890"),))
    lines = table_lines(table, 27)
    assert max(map(len, lines)) <= 27
    assert "1,234,567,890" in "\n".join(lines)
    assert "1,234,567,890" in "\n".join(table_lines(table, 5))


def test_a_table_without_rows_or_with_an_empty_column_is_told():
    assert table_lines(Table((Column("name"),), ()), 40) == ["name", "(no rows)"]
    assert table_lines(Table((Column("", "left"), Column("a")), (("", "1"),)), 40) == ["  a", "  1"]


def test_a_ragged_table_is_refused():
    with pytest.raises(ValueError, match="2 cells under 1 columns"):
        Table((Column("a"),), (("1", "2"),))


LISTING = Listing(
    "f",
    "a.py",
    (Column("time"), Column("hits")),
    (
        ListingLine(1, "    def f(x):"),
        ListingLine(2, "        for y in x:", ("1 ms", ""), 0.2),
        ListingLine(3, "\tg(y)", ("", "")),
        ListingLine(4, "            h(y)", ("5 ms", "12"), 1.0),
    ),
    "By sampling.",
)


def test_a_listing_shows_the_lines_with_figures_and_marks_the_hot_ones():
    document = Document("Title", (Section("Part", (LISTING,)),))
    assert get_reporter("text").render(document, 80).splitlines()[3:] == [
        "  f, a.py",
        "     line  time  hits  source",
        "        2  1 ms        for y in x:",
        "  >     4  5 ms    12      h(y)",
        "  By sampling.",
    ]
    nothing = Listing("f", "a.py", (), (ListingLine(1, "pass"),))
    text = get_reporter("text").render(Document("Title", (Section("Part", (nothing,)),)), 80)
    assert "(no line was measured)" in text


def test_a_change_shows_both_forms_and_breaks_long_lines():
    after = f"@fuse\ndef f(x):\n    return {' + '.join(['x'] * 30)}"
    change = Change("a.py:3: f", "y = x\nz = y", after, "A note.")
    lines = get_reporter("text").render(Document("Title", (Section("Part", (change,)),)), 80).splitlines()
    assert lines[3:9] == ["  a.py:3: f", "  - y = x", "  - z = y", "  + @fuse", "  + def f(x):", lines[8]]
    assert lines[8].startswith("  +     return x + x")
    assert lines[9].startswith("            + x") or lines[9].startswith("            x")
    assert lines[-1] == "  A note."
    assert max(map(len, lines)) <= 80


def test_a_figure_in_text_says_how_to_see_it():
    figure = Figure("Samples", "", Axis("s"), Axis(""), (Series("a", "strip", (1.0,)),), "samples")
    text = get_reporter("text").render(Document("Title", (Section("Part", (figure,)),)), 80)
    assert text.endswith("Figure: Samples. To see it: --html FILE or --png FILE.")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colour_changes_no_character_and_stays_on_terminals(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    document = Document("Title", (Section("Part", (LISTING, TABLE, "Words.")),))
    coloured = TextReporter(terminal_paint(Terminal())).render(document, 80)
    without = TextReporter().render(document, 80)
    assert "\x1b[1;31m" in coloured
    assert "\x1b" not in without
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == without
    assert terminal_paint(io.StringIO()) is plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal_paint(Terminal()) is plain


@pytest.mark.parametrize("background", ["page", "surface"])
@pytest.mark.parametrize("name", ["ink", "muted", "accent"])
def test_text_stands_out_on_both_backgrounds(name, background):
    for text, behind in zip(PALETTE[name], PALETTE[background], strict=True):
        assert contrast(text, behind) >= 4.5


@pytest.mark.parametrize("place", [0, 1])
def test_text_stands_out_on_the_hottest_line(place):
    heat, page, ink = (PALETTE[name][place] for name in ("heat", "page", "ink"))
    mixed = [round(0.3 * int(heat[i : i + 2], 16) + 0.7 * int(page[i : i + 2], 16)) for i in (1, 3, 5)]
    assert contrast(ink, "#" + "".join(f"{value:02x}" for value in mixed)) >= 7


def test_a_document_as_text_and_as_json():
    document = Document("Title", (Section("1. Part", (TABLE, "Some words.")),), {"schema": 1, "raw": [0.5]})
    text = get_reporter("text").render(document, 80)
    assert text.startswith("Title\n\n1. Part\n  name")
    assert text.endswith("Some words.")
    assert json.loads(get_reporter("json").render(document, 80)) == {"schema": 1, "raw": [0.5]}


def test_json_has_null_for_what_is_no_number():
    data = {"a": float("nan"), "b": [float("inf"), (1.5, -float("inf"))], "c": {"d": True}}
    text = get_reporter("json").render(Document("Title", (), data), 80)
    assert json.loads(text) == {"a": None, "b": [None, [1.5, None]], "c": {"d": True}}


def test_formats_are_found_and_unknown_ones_are_errors():
    assert formats() == ("html", "json", "png", "text")
    with pytest.raises(ValueError, match="known: html, json, png, text"):
        get_reporter("pdf")


@given(st.floats(1e-9, 1e5))
def test_times_keep_three_digits(seconds):
    number, unit = time_text(seconds).split()
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert float(number) * scale == pytest.approx(seconds, rel=6e-3)


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.996e-7, "1.00 us"), (9.99e-7, "999 ns"), (0.99999, "1.00 s"), (59.96, "60.0 s")]
)
def test_times_round_into_the_next_unit(seconds, text):
    assert time_text(seconds) == text


def test_numbers_and_bytes():
    assert [three_digits(value) for value in (9.999, 99.99, 0.0004)] == ["10.0", "100", "0.000"]
    assert [bytes_text(count) for count in (0, 1023, 1024, 3 * 2**30)] == ["0 B", "1023 B", "1 KiB", "3 GiB"]


def words(longest):
    return st.lists(st.text(max_size=longest), max_size=5).map(" ".join)


hostile = st.sampled_from(
    [
        "</script><script>alert(1)</script>",
        "a\nb\x1b[31m\u202e",
        "{{ 7 * 7 }}",
        "$x_",
        "_hidden",
        "\udcff",
        "\0",
        "'\"&<",
    ]
)
text = st.one_of(words(12), hostile)
number = st.text("0123456789.,% ", max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(["left", "right", "wrap", "bar"]), min_size=1, max_size=4))
    columns = tuple(Column(draw(text), kind, draw(st.integers(0, 2))) for kind in kinds)
    cells = {"left": text, "wrap": text, "right": number, "bar": st.floats(0, 1)}
    rows = draw(st.lists(st.tuples(*(cells[kind] for kind in kinds)), max_size=3))
    return Table(columns, tuple(rows))


@st.composite
def listings(draw):
    columns = tuple(Column(title) for title in draw(st.lists(text, max_size=2)))
    cells = st.one_of(st.just(()), st.tuples(*(number for _ in columns)))
    heat = st.one_of(st.none(), st.floats(0, 1))
    line = st.builds(ListingLine, st.integers(1, 99999), text, cells, heat)
    lines = draw(st.lists(line, max_size=12))
    return Listing(draw(text), draw(text), columns, tuple(lines), draw(text))


@st.composite
def figures(draw):
    value = st.one_of(finite, st.sampled_from([math.nan, math.inf, 0.0, 1e300, -1e-300]))
    values = st.lists(value, max_size=5).map(tuple)
    kind = draw(st.sampled_from(["curve", "bars", "strip"]))
    labels = tuple(draw(st.lists(text, max_size=4)))
    series = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(text)
        if kind == "bars":
            lengths = tuple(draw(st.lists(value, min_size=len(labels), max_size=len(labels))))
            series.append(Series(name, "bars", lengths, labels=labels))
        elif kind == "strip":
            series.append(Series(name, "strip", draw(values)))
        else:
            x = draw(values)
            y = tuple(draw(st.lists(value, min_size=len(x), max_size=len(x))))
            series.append(Series(name, draw(st.sampled_from(["line", "points"])), x, y, tuple(map(str, x))))
    axes = [Axis(draw(text), draw(st.booleans())) for _ in range(2)]
    return Figure(draw(text), draw(text), *axes, tuple(series), "name")


def documents(*blocks):
    section = st.builds(Section, text, st.lists(st.one_of(words(12), *blocks), max_size=3).map(tuple))
    return st.builds(Document, text, st.lists(section, max_size=3).map(tuple), st.just({"schema": 1}))


@given(documents(tables(), listings(), figures()), st.integers(60, 130))
def test_any_document_becomes_text_that_fits(document, width):
    lines = get_reporter("text").render(document, width).split("\n")
    # Short words are all that a page is not allowed to break: escapes lengthen them.
    assert max(map(len, lines)) <= width
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


def test_a_title_from_undecodable_bytes_is_shown_escaped():
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    figure = Figure(
        "\udcff", "\udcff", Axis("\udcff"), Axis(""), (Series("\udcff", "strip", (1.0,)),), "name"
    )
    page = get_reporter("html").render(Document("\udcff", (Section("\udcff", (figure,)),)), 100)
    assert "\\udcff" in page.encode().decode()


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(documents(tables(), listings(), figures()))
def test_any_document_becomes_a_page_and_a_picture(document):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    page = get_reporter("html").render(document, 100)
    assert page.count("<script") == page.count("</script>") == 1
    assert page.encode()
    if document.figures:
        assert get_reporter("png").render(document, 100).startswith(b"\x89PNG")
