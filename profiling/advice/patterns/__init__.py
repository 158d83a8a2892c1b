"""THE list of what advice is given on: one idea a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..candidates import Match, Site
from . import activations, adam, chains, linear, norms, powers, softmax

Pattern = Callable[[Site], Iterable[Match]]

PATTERNS: tuple[Pattern, ...] = (
    adam.find,
    linear.find,
    softmax.find,
    norms.find,
    activations.find,
    powers.find,
    chains.find,
)
"""Each is asked about every part of a statement's value, the largest first, and yields what replaces it."""
