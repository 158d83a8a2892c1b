"""``bench --suite``: the whole table of cases beside all rivals."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tensorops.runtime import openmp

from ..cases import DTYPES, Group, suite_groups
from ..document import Document
from ..measure import calibration, machine
from ..measure.contenders import LIBRARIES, OURS
from ..measure.launches import Collected, Interrupted, Job, measure_launches
from ..measure.rivals import RIVALS
from ..measure.run import Measurement, Run
from ..measure.timer import Schedule
from ..measure.worker import WorkerError
from ..progress import progress_bar
from . import _suite_sections as sections
from ._base import CommandError, nearest
from ._bench_arguments import flat
from ._bench_sections import assignments, remarks, schedule_data
from ._suite_results import SCHEMA, SuiteCase, short_title, summary
from ._suite_roofs import SuiteRoof, measure_roofs

ALL = "all"
SCHEDULES = {
    "quick": Schedule(sample_seconds=5e-4, blocks=4, min_blocks=2, budget_seconds=0.1),
    "full": Schedule(sample_seconds=2e-3, blocks=6, min_blocks=2, budget_seconds=1.5),
}
LAUNCHES = {"quick": 1, "full": 3}
INTERRUPTED = 130


def measure_suite(arguments: argparse.Namespace) -> Document:
    """Measure the suite that the arguments ask for.

    Parameters
    ----------
    arguments : Namespace
        Of the verb ``bench``, with ``--suite``.

    Returns
    -------
    Document
        Summaries, the worst cases, and a table for each group.

    Raises
    ------
    CommandError
        For an unknown rival or group, too many threads, no rival at all (2), and for a roof that cannot be
        measured (1).
    """
    described = machine.describe()
    threads = flat(arguments.threads) or ([1, 2] if described["cores"] > 1 else [1])
    _refuse(arguments, described, threads)
    rivals, missing = _rivals(flat(arguments.against))
    dtypes = flat(arguments.dtype) or list(DTYPES)
    groups = [
        replace(group, cases=tuple(case for case in group.cases if case.dtype in dtypes))
        for group in suite_groups(arguments.suite, flat(arguments.groups))
    ]
    suite = _Suite(arguments, described, rivals, missing, [group for group in groups if group.cases])
    return suite.document(threads)


class _Suite:
    """The groups of a suite, measured with one number of threads after the other."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        described: dict[str, Any],
        rivals: Sequence[str],
        missing: Mapping[str, str],
        groups: Sequence[Group],
    ) -> None:
        self.arguments, self.described, self.rivals, self.missing = arguments, described, rivals, missing
        self.groups = {group.name: group for group in groups}
        self.schedule = SCHEDULES[arguments.suite]
        self.launches = arguments.launches or LAUNCHES[arguments.suite]
        self.jobs = [self._job(case) for group in groups for case in group.cases]
        self.roofs: list[SuiteRoof] = []
        self.results: list[SuiteCase] = []
        self.measurements: list[Measurement] = []
        self.versions: dict[str, str] = {}
        self.stopped = ""

    def _job(self, case: Any) -> Job:
        rivals = (name for name in self.rivals if RIVALS[name].lacks_case(case) is None)
        return Job(case, (OURS, *rivals), self.schedule, selective=True)

    def document(self, threads: Sequence[int]) -> Document:
        """Measure; on Ctrl-C, or if a process dies, return what is finished."""
        steps = len(threads) * self.launches * len(self.jobs)
        taken = {"before": calibration.sample()}
        code = 0
        with progress_bar(f"suite {self.arguments.suite}", steps) as advance:
            try:
                for count in threads:
                    roofs = measure_roofs((job.case for job in self.jobs), count)
                    self.roofs += roofs.values()
                    self._measure(count, roofs, advance)
            except KeyboardInterrupt:
                if not self.measurements:
                    raise
                self.stopped, code = "interrupted", INTERRUPTED
            except WorkerError as error:
                if not self.measurements:
                    raise CommandError(str(error), exit_code=1) from error
                self.stopped, code = str(error), 1
        if not self.stopped:
            taken["after"] = calibration.sample()
        wrong = any(OURS in one.measurement.errors for one in self.results)
        return self._document(threads, taken, code or int(wrong))

    def _measure(self, threads: int, roofs: Mapping[str, SuiteRoof], advance: Callable[[str], None]) -> None:
        try:
            collected, ended = measure_launches(self.jobs, threads, self.launches, advance), None
        except (Interrupted, WorkerError) as error:
            collected, ended = error.collected or Collected(), error
        self.versions |= collected.versions
        self.measurements += collected.measurements
        self.results += [
            SuiteCase.of(entry, roofs[entry.case.dtype], collected.left_out.get(entry.case, {}))
            for entry in collected.measurements
            if OURS in entry.contenders
        ]
        if ended is not None:
            raise ended

    def _document(self, threads: Sequence[int], taken: Mapping[str, Sequence[float]], code: int) -> Document:
        arguments = self.arguments
        full = arguments.suite == "full" and self.launches >= LAUNCHES["full"]
        published = full and not (self.stopped or arguments.check)
        peaks = {roof.dtype: roof.peak / roof.threads for roof in reversed(self.roofs)}
        described = self.described | {"versions": self.versions, "peak_gflops_per_core": peaks}
        notes = remarks(described, self.versions, peaks, published)
        notes += [f"Left out: {reason}." for reason in self.missing.values()]
        if self.stopped:
            done, wanted = len(self.measurements), len(threads) * len(self.jobs)
            notes.insert(0, f"INCOMPLETE: {self.stopped} after {done} of {wanted} cases; these are finished.")
        failed = [one for one in self.measurements if OURS not in one.contenders]
        notes += [f"FAILED: {short_title(one.case)}: {one.errors[OURS]}." for one in failed]
        untimed = 0 if self.stopped else len(threads) * len(self.jobs) - len(self.measurements)
        if untimed:
            notes.append(f"FAILED: {untimed} cases that nobody could compute.")
        settings = {"launches": self.launches, "schedule": schedule_data(self.schedule)}
        data = {
            "schema": SCHEMA,
            "kind": "suite",
            "target": f"suite {arguments.suite}",
            "suite": arguments.suite,
            "published": published,
            "interrupted": bool(self.stopped),
            "threads": list(threads),
            "against": list(self.rivals),
            "left_out": dict(self.missing),
            "roofs": [roof.to_dict() for roof in self.roofs],
            "summary": summary(self.results, self.groups),
            "cases": [one.to_dict() for one in self.results],
            "calibration": dict(taken),
            "run": Run(described, settings, tuple(self.measurements)).to_dict(),
        }
        head = sections.machine_section(described, notes)
        parts = sections.result_sections(self.results, self.groups)
        return Document(
            f"bench --suite {arguments.suite}",
            (head, *parts),
            data,
            exit_code=code or int(bool(failed or untimed)),
        )


def _refuse(arguments: argparse.Namespace, described: Mapping[str, Any], threads: Sequence[int]) -> None:
    if max(threads) > described["cores"]:
        raise CommandError(f"--threads {max(threads)}: this process may use {described['cores']} cores")
    if max(threads) > 1 and not openmp.enabled():
        raise CommandError(f"--threads {max(threads)}: the kernels were built without OpenMP")
    if arguments.suite == "full" and described["forced"] and not arguments.check:
        raise CommandError(
            f"{assignments(described['forced'])} forces a rival's kernels: its figures are not "
            "its own. Unset it; or use --check, which marks the result as a check"
        )


def _rivals(wanted: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the rivals that can be used, and why others cannot."""
    for name in wanted:
        if name != ALL and name not in RIVALS:
            known = (ALL, *RIVALS)
            raise CommandError(f"unknown rival {name!r}; known: {', '.join(known)}{nearest(name, known)}")
    names = list(RIVALS) if ALL in wanted or not wanted else list(wanted)
    reasons = {name: LIBRARIES[name].unavailable() for name in names}
    missing = {name: reason for name, reason in reasons.items() if reason is not None}
    usable = [name for name in names if name not in missing]
    if not usable:
        raise CommandError(f"no rival to measure beside: {'; '.join(missing.values())}")
    return usable, missing
