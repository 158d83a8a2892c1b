"""Documents as text and JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiling.document import Column, Document, Section, Table, bytes_text, three_digits, time_text
from profiling.reporters import formats, get_reporter
from profiling.reporters._layout import table_lines

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


def test_a_ragged_table_is_refused():
    with pytest.raises(ValueError, match="2 cells under 1 columns"):
        Table((Column("a"),), (("1", "2"),))


def test_a_document_as_text_and_as_json():
    document = Document("Title", (Section("1. Part", (TABLE, "Some words.")),), {"schema": 1, "raw": [0.5]})
    text = get_reporter("text").render(document, 80)
    assert text.startswith("Title\n\n1. Part\n  name")
    assert text.endswith("Some words.")
    assert json.loads(get_reporter("json").render(document, 80)) == {"schema": 1, "raw": [0.5]}


def test_json_never_holds_what_is_not_json():
    with pytest.raises(ValueError, match="JSON"):
        get_reporter("json").render(Document("Title", (), {"x": float("nan")}), 80)


def test_formats_are_found_and_unknown_ones_are_errors():
    assert formats() == ("json", "text")
    with pytest.raises(ValueError, match="known: json, text"):
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
