"""An Adam step by hand: two moments, their corrections and the step, in some ten passes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from ..candidates import Match, Site
from ..trees import Tree, compute
from .probing import close, numbers_of

MOST_NUMBERS = 7
GRADIENTS = np.array([0.5, -1.5, 2.0, 1e-3])
STATE = np.array([1.0, -0.25, 0.125, 0.0])
SQUARES = np.array([0.25, 1.0, 3.0, 1e-6])


def find(site: Site) -> Iterator[Match]:
    """Yield the step that a run of statements is, at the statement that changes the parameters.

    Parameters
    ----------
    site : Site
        A tree in its place.

    Yields
    ------
    Match
        At most one.
    """
    analysis, root = site.analysis, site.root
    parameter = analysis.defined.get(root.statement)
    if site.tree is not root.tree or parameter is None:
        return
    if not any(part.op in ("sqrt", "power") for part in site.tree.walk()):
        return
    moments: dict[str, Tree] = {}
    for part in site.tree.walk():
        if part.statement is not None and analysis.defined.get(part.statement) == part.place:
            # The latest comes first.
            moments.setdefault(part.place, part)
    for first, second in permutations(moments, 2):
        match = _step(site, parameter, moments[first], moments[second])
        if match is not None:
            yield match
            return


def _step(site: Site, parameter: str, first: Tree, second: Tree) -> Match | None:
    own = {text: Tree("name", value=text) for text in (parameter, first.place, second.place)}
    p, m, v = own[parameter], own[first.place], own[second.place]
    arrays = {name for name in site.tree.names if site.number(name) is None}
    gradients = arrays - {p, m, v}
    if len(gradients) != 1 or not {p, m, v} <= arrays:
        return None
    (g,) = gradients
    numbers = {**numbers_of(site, site.tree), **_counters(site)}
    try:
        decays = _decays(first, second, (m, v, g), numbers)
        if decays is None:
            return None
        moved = compute(site.tree, {**numbers, p: np.ones(4), m: STATE, v: SQUARES, g: GRADIENTS})
    except (KeyError, TypeError, ValueError):
        return None
    found = _rates(site, moved, decays, numbers)
    if found is None:
        return None
    params = {name: value for name, (_, value) in found.items()}
    given = ", ".join(f"{name}={text}" for name, (text, _) in found.items())
    names = [parameter, g.value, first.place, second.place]
    used = {text for text, _ in found.values()}
    numbers_kept = tuple(part for part in numbers if site.named(part).value in used)
    return Match(
        "tensorops.adam_step_",
        f"tensorops.adam_step_({', '.join(names)}, {given})",
        (p, g, m, v, *numbers_kept),
        operation="adam_step_",
        operands=tuple(names),
        params=params,
        outputs=(parameter, first.place, second.place),
        note=f"It writes into {parameter}, {first.place} and {second.place} themselves.",
    )


def _decays(
    first: Tree, second: Tree, names: tuple[Tree, Tree, Tree], numbers: dict[Tree, float]
) -> tuple[float, float] | None:
    """Return how slowly the moments decay; None where these are no moments."""
    m, v, g = names
    zero, one = np.zeros(4), np.ones(4)
    if not set(first.names) - numbers.keys() <= {m, g} or not set(second.names) - numbers.keys() <= {v, g}:
        return None
    beta1 = float(np.asarray(compute(first, {**numbers, m: one, g: zero})).flat[0])
    beta2 = float(np.asarray(compute(second, {**numbers, v: one, g: zero})).flat[0])
    right = (
        0 < beta1 < 1
        and 0 < beta2 < 1
        and close(compute(first, {**numbers, m: zero, g: GRADIENTS}), (1 - beta1) * GRADIENTS)
        and close(compute(second, {**numbers, v: zero, g: GRADIENTS}), (1 - beta2) * GRADIENTS**2)
    )
    return (beta1, beta2) if right else None


def _counters(site: Site) -> dict[Tree, float]:
    """Return the values of numbers that the statements count on, such as ``t += 1``."""
    found = {}
    for part in site.tree.walk():
        if part.statement is not None and part.place in {name.value for name in part.names}:
            value = site.number(part)
            if value is not None:
                found[part] = value
    return found


def _rates(
    site: Site, moved: Any, decays: tuple[float, float], numbers: dict[Tree, float]
) -> dict[str, tuple[str, float]] | None:
    """Return the text and the value of each parameter of the step."""
    known: dict[float, str] = {}
    for part in (*numbers, *site.tree.walk()):
        value = numbers.get(part, part.value if part.op == "number" else None)
        if value is not None and (value not in known or part.op == "name"):
            known[float(value)] = site.render(part)
    if len(known) > 2 * MOST_NUMBERS:
        return None
    beta1, beta2 = decays
    m = beta1 * STATE + (1 - beta1) * GRADIENTS
    v = beta2 * SQUARES + (1 - beta2) * GRADIENTS**2
    steps = [value for value in known if value >= 1 and float(value).is_integer()]
    for step in steps:
        for rate, epsilon in permutations([value for value in known if 0 < value < 1], 2):
            below = np.sqrt(v / (1 - beta2**step)) + epsilon
            if close(moved, 1 - rate * (m / (1 - beta1**step)) / below):
                return {
                    "step": (known[step], step),
                    "lr": (known[rate], rate),
                    "beta1": (_text(known, beta1), beta1),
                    "beta2": (_text(known, beta2), beta2),
                    "eps": (known[epsilon], epsilon),
                }
    return None


def _text(known: dict[float, str], value: float) -> str:
    near = min(known, key=lambda one: abs(one - value))
    return known[near] if abs(near - value) < 1e-9 else repr(round(value, 12))
