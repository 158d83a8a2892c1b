"""Entries of a file: checked at once, decoded when they are asked for."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.dispatch import documents
from tensorops.dispatch.cost_model import Models
from tensorops.dispatch.documents import Entries, check, documents_of
from tensorops.dispatch.records import Entry, Profile, decode_entry, encode_entry
from tests.dispatch import strategies
from tests.dispatch.test_records import DOCUMENT

lists = st.lists(strategies.entries(), max_size=5)
values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
)


def written(entries: list[Entry]) -> list[Any]:
    return [json.loads(encode_entry(entry)) for entry in entries]


@given(lists)
def test_what_is_written_passes_and_reads_as_before(entries: list[Entry]) -> None:
    found = written(entries)
    assert check(found)
    assert Entries(found) == tuple(entries)
    assert list(Entries(found)) == entries


def places(document: Any) -> list[list[Any]]:
    """Return the way to every value inside a document."""
    found: list[list[Any]] = []
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        found.append([key])
        if isinstance(value, dict | list):
            found += [[key, *rest] for rest in places(value)]
    return found


@given(st.sampled_from(places(DOCUMENT)), values)
def test_what_the_check_lets_pass_can_be_decoded(way: list[Any], value: object) -> None:
    document = copy.deepcopy(DOCUMENT)
    part: Any = document
    for key in way[:-1]:
        part = part[key]
    part[way[-1]] = value
    if check([document]):
        decode_entry(document)
    else:
        with pytest.raises((ValueError, OverflowError)):
            decode_entry(document)


@pytest.mark.parametrize("wrong", [[3], [None], [DOCUMENT, {}], [[]], ["x"]])
def test_what_is_no_entry_does_not_pass(wrong: list[Any]) -> None:
    assert not check(wrong)


def test_only_what_is_asked_for_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(documents, "decode_entry", lambda one: decoded.append(one) or decode_entry(one))
    entries = Entries([DOCUMENT, {**DOCUMENT, "threads": 2}, {**DOCUMENT, "threads": 3}])
    assert len(entries) == 3
    assert entries[-1].threads == 3
    assert entries[2] is entries[-1]
    assert len(decoded) == 1
    assert [entry.threads for entry in entries[:2]] == [1, 2]
    with pytest.raises(IndexError):
        entries[3]


@given(lists)
def test_predictions_do_not_depend_on_where_entries_come_from(entries: list[Entry]) -> None:
    plain, read = Models(Profile({}, tuple(entries))), Models(Profile({}, Entries(written(entries))))
    assert plain.indices == read.indices
    assert len(documents_of(Entries(written(entries)))) == len(entries)
