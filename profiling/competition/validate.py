"""Whether a pack can be trusted: its baseline and starters are right, and its must-fail set fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from . import compiler, verdict
from .judge import CHECK_ONLY, judge
from .pack import Pack, PackError
from .sandbox import Sandbox
from .store import Store

RIGHT = ("baseline.py", "starter.py", "starter.pyx")


def validate(pack: Pack, sandbox: Sandbox | None = None, right: Iterable[str] = RIGHT) -> None:
    """Run a pack's own submissions.

    Parameters
    ----------
    pack : Pack
        The problem.
    sandbox : Sandbox, optional
        The walls.
    right : iterable of str
        The files that must be accepted.

    Raises
    ------
    PackError
        If one that must be right is not, or one that must fail does not.
    """
    for name in right:
        if name.endswith(".pyx") and compiler.why_unavailable():
            # Submissions in Cython will be told so; those in Python can be judged all the same.
            continue
        found = _verdict(pack, pack.file(name), sandbox)
        if found.name != verdict.OK:
            raise PackError(
                f"{pack.name}: {name} must be right, but: {found.name}: {found.reason} {found.case}"
            )
    for path in pack.must_fail:
        found = _verdict(pack, path, sandbox)
        if found.name in (verdict.OK, verdict.JUDGE_ERROR):
            raise PackError(
                f"{pack.name}: {path.name} must fail, but the checks say {found.name} {found.reason}"
            )


def _verdict(pack: Pack, path: Path, sandbox: Sandbox | None) -> verdict.Verdict:
    return judge(pack, path.read_bytes(), path.suffix, plan=CHECK_ONLY, sandbox=sandbox).verdict


def ensure(store: Store, pack: Pack, told: Callable[[str], None] = lambda text: None) -> None:
    """Validate a pack, once per version and competition.

    Parameters
    ----------
    store : Store
        Remembers which versions have passed.
    pack : Pack
        The problem.
    told : callable
        Told that it takes a moment.

    Raises
    ------
    PackError
        As `validate`.
    """
    if store.one("SELECT 1 FROM pack WHERE name = ? AND version = ?", (pack.name, pack.version)):
        return
    told(f"trying the pack {pack.name}: its baseline must pass, its must-fail set must fail")
    validate(pack)
    with store.transaction():
        store.all("INSERT OR IGNORE INTO pack VALUES (?, ?, ?)", (pack.name, pack.version, time.time()))
