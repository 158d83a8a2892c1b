"""Some attacks of each kind; ``python -m tests.competition.attack_suite`` judges all."""

from __future__ import annotations

import pytest

from .attack_suite import problem_with
from .attacks import ATTACKS


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(ATTACKS) >= 40
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.quick], ids=lambda attack: attack.name)
def test_an_attack_achieves_nothing(attack, softmax, walls):
    achieved, _ = problem_with(attack, softmax)
    assert achieved is None
