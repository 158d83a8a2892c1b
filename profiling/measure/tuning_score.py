"""Which problem to measure next: the one where the dispatcher may lose most by not knowing better. Pure.

The dispatcher predicts a time for every path. Between the best two it is right unless the predictions are off
by more than they differ, and they are the less certain the farther the nearest measurement is. What it loses
on average by choosing wrongly is what measuring there can gain.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import NormalDist

from ..cases import Case
from .tuning_space import Sizes, middle, sizes_of

CERTAIN = 0.02
"""Relative error of a prediction at a measured problem."""

DOUBTS = 0.07
"""What a doubling of one size adds to it."""

FARTHEST = 5.0
"""Doublings beyond which doubt grows no more."""

LAYOUT_DISTANCE = 1.0
NEIGHBOURS = 4.0
"""Doublings within which two measured problems with other winners have a crossover worth halving."""

_NORMAL = NormalDist()
Predict = Callable[[Case], Sequence[Mapping[str, float]]]
"""From a case to the predicted seconds of the candidates, one mapping per number of threads."""


def expected_loss(times: Iterable[float], doubt: float) -> float:
    """Return what choosing the path of the least predicted time loses on average.

    Parameters
    ----------
    times : iterable of float
        Predicted seconds of the candidates.
    doubt : float
        Relative error of a prediction.

    Returns
    -------
    float
        A share of the time: 0.05 stands for 5 % lost. The doubt alone where fewer than two are predicted.

    Examples
    --------
    >>> expected_loss([1.0, 1.01], 0.1) > expected_loss([1.0, 1.3], 0.1) > expected_loss([1.0, 3.0], 0.1)
    True
    """
    best = sorted(times)[:2]
    if len(best) < 2:
        return doubt
    spread = max(doubt, 1e-6) * math.sqrt(2)
    ahead = math.log(best[1] / best[0]) / spread
    return spread * (_NORMAL.pdf(ahead) - ahead * _NORMAL.cdf(-ahead))


def distance(first: Case, second: Case) -> float:
    """Return how far two cases of one operation lie apart.

    Parameters
    ----------
    first, second : Case
        Two cases.

    Returns
    -------
    float
        In doublings of one size; another memory order counts as one.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> distance(case_of("matmul", "float32", (2, 2, 2, 1)), case_of("matmul", "float32", (8, 2, 2, 1)))
    2.0
    """
    return _apart(sizes_of(first), sizes_of(second)) + LAYOUT_DISTANCE * (first.layout != second.layout)


def _apart(first: Sizes, second: Sizes) -> float:
    return math.hypot(*(math.log2(max(a, 1) / max(b, 1)) for a, b in zip(first, second, strict=True)))


def crossovers(measured: Mapping[Case, Sequence[str]]) -> list[Case]:
    """Return the middles between near measured problems whose fastest paths differ.

    Parameters
    ----------
    measured : mapping of Case to sequence of str
        The fastest path of each measured problem, by number of threads.

    Returns
    -------
    list of Case
        None of them measured already.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> small, large = (case_of("matmul", "float32", (n, n, n, 1)) for n in (8, 16))
    >>> crossovers({small: ["blocked/small"], large: ["numpy"]})[0].shapes
    ((11, 11), (11, 11))
    """
    found: dict[Case, None] = {}
    for first, second in itertools.combinations(measured, 2):
        if measured[first] == measured[second] or first.layout != second.layout:
            continue
        if (first.op, first.params) == (second.op, second.params) and distance(first, second) <= NEIGHBOURS:
            between = middle(first, second)
            if between not in measured:
                found[between] = None
    return list(found)


def choose_next(
    candidates: Sequence[Case], measured: Sequence[Case], predict: Predict, count: int
) -> list[Case]:
    """Return the candidates that are worth measuring most, for the time that they take.

    Parameters
    ----------
    candidates : sequence of Case
        What may be measured.
    measured : sequence of Case
        What is measured already.
    predict : callable
        As `Predict`.
    count : int
        How many to return at most.

    Returns
    -------
    list of Case
        Different ones, the most valuable first; none within half a doubling of one before it.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> cases = [case_of("matmul", "float32", (n, n, n, 1)) for n in (8, 64)]
    >>> times = {cases[0]: 1.5, cases[1]: 1.01}
    >>> chosen = choose_next(cases, [], lambda case: [{"a": 1e-4, "b": 1e-4 * times[case]}], 1)
    >>> chosen == [cases[1]]
    True
    """
    ranked = []
    for case in dict.fromkeys(candidates):
        predicted = predict(case)
        near = min((distance(case, other) for other in measured), default=FARTHEST)
        if near == 0:
            continue
        doubt = CERTAIN + DOUBTS * min(near, FARTHEST)
        loss = max((expected_loss(times.values(), doubt) for times in predicted), default=doubt)
        seconds = sum(sum(times.values()) for times in predicted)
        # A point costs about 40 ms whatever it takes; long calls are few in a short tune.
        ranked.append((loss / math.sqrt(0.04 + 12 * seconds), case))
    ranked.sort(key=lambda item: -item[0])
    chosen: list[Case] = []
    for _, case in ranked:
        if len(chosen) == count:
            break
        if all(distance(case, other) >= 0.5 for other in chosen):
            chosen.append(case)
    return chosen
