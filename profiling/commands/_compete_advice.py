"""What ``compete check`` says beside its verdict: hotspots, roofline, where the next gain lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..competition.judge import Judgement
from ..competition.pack import Pack
from ..competition.score import Score
from ..document import Section


def advice_sections(
    problem: Pack, code: bytes, path: Path, track: str, scored: Score, found: Judgement
) -> tuple[list[Section], dict[str, Any]]:
    """Return what is to be said, and the same for programs."""
    return [], {}
