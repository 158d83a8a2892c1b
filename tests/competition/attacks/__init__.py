"""Submissions that cheat or attack, as texts: nobody but the judge ever runs them.

``python -m tests.competition.attack_suite`` judges all of them; the test run takes some of each kind.
"""

from __future__ import annotations

from .attack import Attack
from .cheating import CHEATING
from .compiled import COMPILED
from .escaping import ESCAPING
from .exhausting import EXHAUSTING
from .hanging import HANGING
from .subtle import SUBTLE

ATTACKS: tuple[Attack, ...] = (*CHEATING, *ESCAPING, *EXHAUSTING, *HANGING, *SUBTLE, *COMPILED)

__all__ = ["ATTACKS", "Attack"]
