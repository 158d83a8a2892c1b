"""What the suite found of each case, and what the cases say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..cases import Case, Group, moved_bytes
from ..cases.steps import STEPS
from ..measure import stats
from ..measure.contenders import OURS
from ..measure.run import Measurement, Run
from ..model.roofline import Place
from ._suite_roofs import SuiteRoof

SCHEMA = 1
PLAIN = {"activation": None, "causal": False, "padding": 0, "stride": 1, "approximate": "none"}
"""Parameters that a short title does not tell."""


@dataclass(frozen=True, slots=True)
class SuiteCase:
    """One case beside its best rival and below its roof.

    Attributes
    ----------
    measurement : Measurement
        Raw samples.
    place : Place
        Below the measured roof.
    rival : str
        The right rival that took the least time; empty where there is none.
    ratio : Interval or None
        That rival's time / ours.
    left_out : mapping of str to str
        Rivals that were not timed, and why.
    """

    measurement: Measurement
    place: Place
    rival: str
    ratio: stats.Interval | None
    left_out: Mapping[str, str]

    @classmethod
    def of(cls, measurement: Measurement, roof: SuiteRoof, left_out: Mapping[str, str]) -> SuiteCase:
        """Return what a measurement of ours says."""
        seconds = measurement.seconds(OURS).estimate
        return cls.placed(measurement, roof.place(measurement.case, seconds), left_out)

    @classmethod
    def placed(cls, measurement: Measurement, place: Place, left_out: Mapping[str, str]) -> SuiteCase:
        """Return what a measurement says whose place is known."""
        ratios = {name: measurement.ratio(OURS, name) for name in measurement.contenders if name != OURS}
        best = min(ratios, key=lambda name: ratios[name].estimate, default="")
        return cls(measurement, place, best, ratios.get(best), dict(left_out))

    @property
    def title(self) -> str:
        """Operation and case, as short as can be understood."""
        return short_title(self.measurement.case)

    @property
    def worth(self) -> float:
        """The ratio, for sorting: what has no rival comes last."""
        return float("inf") if self.ratio is None else self.ratio.estimate

    @property
    def gbytes_per_second(self) -> float:
        """GB/s of the least traffic."""
        return moved_bytes(self.measurement.case) / self.measurement.seconds(OURS).estimate / 1e9

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as JSON-ready values."""
        case, seconds = self.measurement.case, self.measurement.seconds(OURS)
        return {
            "op": case.op,
            "name": case.name,
            "group": case.group,
            "threads": self.measurement.threads,
            "seconds": [seconds.estimate, seconds.low, seconds.high],
            "best_rival": self.rival or None,
            "ratio": None if self.ratio is None else interval(self.ratio),
            "gbytes_per_second": self.gbytes_per_second,
            "share_of_roof": self.place.share,
            "place": asdict(self.place),
            "errors": dict(self.measurement.errors),
            "left_out": dict(self.left_out),
        }


def read_cases(data: Mapping[str, Any]) -> list[SuiteCase]:
    """Return the cases of a suite's file.

    Parameters
    ----------
    data : mapping
        What ``bench --suite --json`` wrote.

    Returns
    -------
    list of SuiteCase
        In the file's order; ratios are computed anew from the samples.

    Raises
    ------
    ValueError
        For another kind of file or another schema.
    """
    if data.get("kind") != "suite" or data.get("schema") != SCHEMA:
        found = f"kind {data.get('kind')!r}, schema {data.get('schema')!r}"
        raise ValueError(f"expected a suite of schema {SCHEMA}, got {found}")
    measured = (one for one in Run.from_dict(data["run"]).measurements if OURS in one.contenders)
    return [
        SuiteCase.placed(measurement, Place(**values["place"]), values["left_out"])
        for measurement, values in zip(measured, data["cases"], strict=True)
    ]


def short_title(case: Case) -> str:
    """Return an operation with the sizes that others do not follow from.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    str
        Without the operands that are shaped as one before, or as its first or last axis.

    Examples
    --------
    >>> from profiling.cases import example_case
    >>> short_title(example_case("adam_step_", "float32", ((1000,),) * 4))
    'adam_step_ 1000 float32 step=10'
    >>> short_title(example_case("layer_norm", "float64", ((64, 10), (10,), (10,))))
    'layer_norm 64x10 float64'
    """
    if case.op == "matmul":
        return f"matmul {case.name}"
    if case.op in STEPS:
        return f"{case.op} batch {case.shapes[0][0]} {case.dtype}"
    told: list[tuple[int, ...]] = []
    for shape in case.shapes:
        if shape not in told and not any(shape in (one[:1], one[-1:]) for one in told):
            told.append(shape)
    if case.op.endswith("_backward") and len(told) > 1:
        # The gradient is shaped as what the others give.
        told = told[1:]
    sizes = ", ".join("x".join(map(str, shape)) for shape in told)
    params = [f"{name}={value}" for name, value in case.params if PLAIN.get(name, ...) != value]
    layout = [case.layout] * (set(case.layout) != {"C"})
    return " ".join([case.op, sizes, case.dtype, *params, *layout])


def interval(found: stats.Interval) -> list[float]:
    """Return an interval as JSON-ready values.

    Examples
    --------
    >>> interval(stats.Interval(1.0, 0.9, 1.1, 8))
    [1.0, 0.9, 1.1]
    """
    return [found.estimate, found.low, found.high]


def mean_of(results: Iterable[SuiteCase]) -> stats.Interval | None:
    """Return the geometric mean of the ratios of several cases.

    Parameters
    ----------
    results : iterable of SuiteCase
        Those without a rival do not count.

    Returns
    -------
    Interval or None
        Best rival's time / ours; None where no case has a rival.
    """
    beside = [one for one in results if one.rival]
    if len(beside) < 2:
        # Of one case that is its ratio, whose interval is that of its samples.
        return beside[0].ratio if beside else None
    return stats.geometric_mean(
        [(one.measurement.samples(OURS), one.measurement.samples(one.rival)) for one in beside]
    )


def gathered(
    results: Iterable[SuiteCase], key: Callable[[SuiteCase], str]
) -> dict[tuple[str, int], list[SuiteCase]]:
    """Return the cases by a key and the number of threads, each list with the worst case first.

    Parameters
    ----------
    results : iterable of SuiteCase
        Cases.
    key : callable
        Such as the group of one.

    Returns
    -------
    dict of (str, int) to list of SuiteCase
        In the order in which the keys come first.
    """
    found: dict[tuple[str, int], list[SuiteCase]] = {}
    for one in results:
        found.setdefault((key(one), one.measurement.threads), []).append(one)
    return {place: sorted(cases, key=lambda one: one.worth) for place, cases in found.items()}


def group_of(one: SuiteCase) -> str:
    """Return the group of a case."""
    return one.measurement.case.group


def operation_of(one: SuiteCase) -> str:
    """Return the operation of a case."""
    return one.measurement.case.op


def summary(results: Sequence[SuiteCase], groups: Mapping[str, Group]) -> dict[str, Any]:
    """Return means and worst cases as JSON-ready values.

    Parameters
    ----------
    results : sequence of SuiteCase
        All cases.
    groups : mapping of str to Group
        By name, for the goals.

    Returns
    -------
    dict
        ``groups`` and ``operations``, each a list.
    """
    by_group = [
        _told("group", name, threads, cases)
        | {"goal_mean": groups[name].goal_mean, "goal_worst": groups[name].goal_worst}
        for (name, threads), cases in gathered(results, group_of).items()
    ]
    by_operation = [
        _told("op", name, threads, cases)
        for (name, threads), cases in gathered(results, operation_of).items()
    ]
    return {"groups": by_group, "operations": by_operation}


def _told(kind: str, name: str, threads: int, cases: Sequence[SuiteCase]) -> dict[str, Any]:
    mean, worst = mean_of(cases), cases[0]
    return {
        kind: name,
        "threads": threads,
        "cases": len(cases),
        "geometric_mean": None if mean is None else interval(mean),
        "worst_case": worst.title,
        "worst_ratio": None if worst.ratio is None else interval(worst.ratio),
    }
