"""The verb ``profile``: what the dispatcher knows of this machine."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tensorops.dispatch import schema, selection
from tensorops.dispatch.records import Entry, Profile, encode_entry, preferred

from ..cases import case_of_entry
from ..document import Block, Column, Document, Section, Table, time_text
from ._base import Command, CommandError
from ._files import output_file, write_file

SCHEMA = 1


class ProfileCommand(Command):
    """Show, export, merge or clear the profile that the dispatcher reads.

    "show" lists what was measured. "export FILE" writes a copy. "merge FILE" adds the entries of a file of
    this machine. "clear" removes the profile: the shipped thresholds apply again. All are safe beside
    other processes that read or write the profile.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "profile show",
        "profile show --op matmul --json entries.json",
        "profile export before.json",
        "profile merge before.json",
        "profile clear",
    )

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        parser.add_argument("action", choices=("show", "export", "merge", "clear"), help="what to do")
        parser.add_argument("file", nargs="?", metavar="FILE", help="for export and merge")
        parser.add_argument("--op", metavar="OP", help="show only entries of this operation")

    def run(self, arguments: argparse.Namespace) -> Document:
        """Do what was asked and tell what is there now."""
        target = schema.profile_path()
        if target is None:
            raise CommandError("TENSOROPS_PROFILE=none: no profile is kept; unset it, or name a file in it")
        if (arguments.file is not None) != (arguments.action in ("export", "merge")):
            expected = "takes no FILE" if arguments.file is not None else "needs a FILE"
            raise CommandError(f"{arguments.action} {expected}")
        if arguments.op is not None and arguments.action != "show":
            raise CommandError("--op is for show")
        try:
            if arguments.action == "show":
                return _show(target, arguments.op)
            if arguments.action == "export":
                return _export(target, arguments.file)
            if arguments.action == "merge":
                return _merge(target, Path(arguments.file))
            return _clear(target)
        except OSError as error:
            where = error.filename or target
            raise CommandError(f"{where}: {error.strerror or error}", exit_code=1) from error


def _load(path: Path) -> Profile:
    """Return the profile of a file, or raise CommandError with the reason why it cannot be used."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        profile = schema.load(path)
    if profile is None:
        text = str(caught[0].message).removeprefix("tensorops: ") if caught else f"{path} holds no profile"
        raise CommandError(text, exit_code=1)
    return profile


def _current(target: Path) -> Profile:
    return _load(target) if target.exists() else Profile(schema.fingerprint())


def _show(target: Path, op: str | None) -> Document:
    profile = _current(target)
    entries = [entry for entry in profile.entries if op is None or entry.op == op]
    blocks: list[Block] = []
    if entries:
        columns = (
            Column("call", "left"),
            Column("threads"),
            Column("fastest", "left"),
            Column("paths with times, interval, buffers and hotspot", "wrap"),
        )
        blocks.append(Table(columns, tuple(_row(entry) for entry in entries)))
    blocks.append(f"{len(entries)} of {len(profile.entries)} entries." if op else f"{len(entries)} entries.")
    if not target.exists():
        blocks.append("There is no profile yet: the shipped thresholds apply. The verb tune writes one.")
    return Document(
        "profile",
        (Section("Entries", tuple(blocks)), Section("The file", (str(target),))),
        _data("show", target, entries),
    )


def _row(entry: Entry) -> tuple[str, str, str, str]:
    ranked = sorted(entry.paths.items(), key=lambda item: item[1].seconds)
    texts = []
    for path, result in ranked:
        width = (result.high - result.low) / (2 * result.seconds)
        text = f"{path} {time_text(result.seconds)} (+-{100 * width:.1f} %, n={result.n}"
        if result.allocations:
            text += f", {result.allocations} buffers of {result.bytes} B"
        texts.append(text + (f", {result.hotspot})" if result.hotspot else ")"))
    best = preferred(entry.paths) if entry.paths else "-"
    return f"{entry.op} {case_of_entry(entry).name}", str(entry.threads), best, "; ".join(texts)


def _export(target: Path, name: str) -> Document:
    try:
        file = output_file(name)
    except argparse.ArgumentTypeError as error:
        raise CommandError(str(error)) from error
    if not target.exists():
        raise CommandError(f"there is no profile {target} yet; the verb tune writes one", exit_code=1)
    profile = _load(target)
    write_file(file, target.read_bytes())
    text = f"{len(profile.entries)} entries were written to"
    return Document("profile", (Section(text, (str(file),)),), _data("export", file, profile.entries))


def _merge(target: Path, file: Path) -> Document:
    fresh = _load(file)
    before = len(_current(target).entries) if target.exists() else 0
    schema.save(fresh)
    selection.reload_profile()
    merged = _load(target)
    text = f"{len(fresh.entries)} entries merged: {before} before, {len(merged.entries)} now, in"
    return Document("profile", (Section(text, (str(target),)),), _data("merge", target, merged.entries))


def _clear(target: Path) -> Document:
    removed = schema.clear()
    selection.reload_profile()
    text = "The profile was removed" if removed else "There was no profile to remove"
    return Document("profile", (Section(text, (str(target),)),), _data("clear", target, ()))


def _data(action: str, path: Path, entries: Sequence[Entry]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "kind": "profile",
        "action": action,
        "path": str(path),
        "fingerprint": schema.fingerprint(),
        "entries": [json.loads(encode_entry(entry)) for entry in entries],
    }
