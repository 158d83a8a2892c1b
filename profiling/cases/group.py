"""Cases that are judged together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .case import Case


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are judged together, with the ratios to reach (best rival's time / ours).

    Attributes
    ----------
    name : str
        Name on the command line.
    title : str
        What the cases are.
    goal_mean, goal_worst : float
        Least geometric mean, and least ratio of any case; 0 where none is set.
    cases : tuple of Case
        All cases.
    quick : tuple of Case
        The few that tell most, for a quick look.
    """

    name: str
    title: str
    goal_mean: float
    goal_worst: float
    cases: tuple[Case, ...]
    quick: tuple[Case, ...]

    def only(self, op: str) -> Group:
        """Return the same group with the cases of one operation.

        Parameters
        ----------
        op : str
            Its name.

        Returns
        -------
        Group
            Perhaps without cases.
        """
        return replace(
            self,
            cases=tuple(case for case in self.cases if case.op == op),
            quick=tuple(case for case in self.quick if case.op == op),
        )


def make_group(
    name: str,
    title: str,
    goals: tuple[float, float],
    cases: Iterable[Case],
    quick: Iterable[Case] | None = None,
) -> Group:
    """Return a group whose cases know its name.

    Parameters
    ----------
    name, title : str
        As `Group`.
    goals : tuple of float
        Least geometric mean and least ratio of any case; 0 where none is set.
    cases : iterable of Case
        All cases.
    quick : iterable of Case, optional
        Those for a quick look; all by default.

    Returns
    -------
    Group
        Each case once.

    Examples
    --------
    >>> make_group("few", "a few", (1.0, 0.0), [Case("relu", "float32", ((4,),), "C")]).quick[0].group
    'few'
    """
    every = tuple(dict.fromkeys(replace(case, group=name) for case in cases))
    few = every if quick is None else tuple(dict.fromkeys(replace(case, group=name) for case in quick))
    return Group(name, title, *goals, every, few)
