"""The index of a profile: the same predictions, of its own content alone, and nothing lost without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.backends import Call
from tensorops.dispatch import documents, index, policy, schema
from tensorops.dispatch.records import Entry, PathResult, Profile
from tests.dispatch import strategies

PATHS = ("blocked/small", "blocked/packed", "numpy")


def entry(n: int, seconds: float = 1.23456789e-5) -> Entry:
    paths = {path: PathResult(seconds * (1 + k), seconds, 9 * seconds) for k, path in enumerate(PATHS)}
    return Entry("matmul", "float32", ((n, 8), (8, 8)), paths=paths)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    sizes = [Entry("conv2d", "float32", ((2, 3, n, n), (4, 3, 3, 3)), "CC", CONVOLUTION) for n in (8, 9)]
    return schema.save(
        Profile(schema.fingerprint(), (*map(entry, (4, 64, 200)), *sizes)), tmp_path / "profile.json"
    )


CONVOLUTION = (("activation", None), ("padding", (1, 1)), ("stride", (2, 2)))


def parsed(file: Path) -> Profile:
    """Return a profile as it is read without an index."""
    found: Profile = schema._parse(file.read_bytes())
    return found


def test_only_what_is_asked_for_is_parsed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = parsed(file)
    monkeypatch.setattr(schema, "_parse", lambda content: pytest.fail("the whole file was parsed"))
    decoded: list[object] = []
    real = documents.decode_entry
    monkeypatch.setattr(documents, "decode_entry", lambda one: decoded.append(one) or real(one))
    loaded = schema.load(file)
    assert loaded is not None
    assert policy.choose(Call("matmul", "float32", ((5, 8), (8, 8))), loaded, PATHS).entry == plain.entries[0]
    assert len(decoded) < 4
    assert loaded == plain
    assert loaded.entries[3].params == CONVOLUTION


@given(st.lists(strategies.entries(), max_size=6), strategies.calls, strategies.path_lists)
def test_choices_do_not_depend_on_the_index(entries: list[Entry], call: Call, paths: list[str]) -> None:
    content, packed = schema._encode(Profile({"cpu": "x"}, tuple(entries)))
    indexed, plain = index.load(content, packed), schema._parse(content)
    assert indexed is not None
    assert indexed == plain == Profile({"cpu": "x"}, tuple(entries))
    first, second = policy.choose(call, indexed, paths), policy.choose(call, plain, paths)
    assert first == second


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "changed", "other", "old", "folder", "no JSON"])
def test_an_index_that_cannot_be_used_changes_nothing(file: Path, damage: str) -> None:
    beside, plain = index.index_path(file), parsed(file)
    content = beside.read_bytes()
    first, _, body = content.partition(b"\n")
    beside.unlink()
    if damage == "folder":
        beside.mkdir()
    elif damage != "gone":
        changed = {
            "empty": b"",
            "cut": content[:-8],
            "changed": content[:-1] + bytes([content[-1] ^ 1]),
            "other": index.pack(b"another profile", plain, []),
            "old": json.dumps({**json.loads(first), "format": 0}).encode() + b"\n" + body,
            "no JSON": b"[1]\n" + body,
        }
        beside.write_bytes(changed[damage])
        assert index.load(file.read_bytes(), changed[damage]) is None
    assert schema.load(file) == plain


def test_a_profile_that_was_edited_is_read_anew(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"threads":1', '"threads":3', 1), encoding="utf-8")
    loaded = schema.load(file)
    assert loaded is not None
    assert loaded.entries[0].threads == 3
    schema.save(Profile(schema.fingerprint(), (entry(32),)), file)
    assert index.load(file.read_bytes(), index.index_path(file).read_bytes()) == schema.load(file)


def test_an_index_that_cannot_be_written_is_no_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = schema._replace

    def refuse(target: Path, content: bytes) -> None:
        if target.suffix == ".index":
            raise OSError(28, "No space left on device")
        real(target, content)

    monkeypatch.setattr(schema, "_replace", refuse)
    schema.save(Profile(schema.fingerprint(), (entry(32),)), file)
    loaded = schema.load(file)
    assert loaded is not None
    assert len(loaded.entries) == 6


def test_it_goes_with_its_profile(file: Path) -> None:
    assert schema.clear(file)
    assert [path.name for path in file.parent.iterdir()] == ["profile.json.lock"]


def test_another_machine_s_index_is_told_as_such(file: Path, tmp_path: Path) -> None:
    other = schema.save(
        Profile({**schema.fingerprint(), "cpu": "6502"}, (entry(8),)), tmp_path / "other.json"
    )
    with pytest.warns(schema.ProfileWarning, match="another machine"):
        assert schema.load(other) is None
