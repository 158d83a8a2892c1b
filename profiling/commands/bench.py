"""The verb ``bench``: the library beside its rivals, or any functions beside each other."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any

from tensorops.operations import OPERATIONS

from ..cases import DTYPES, GROUPS, Case, Group, groups_of
from ..document import Document, Section
from ..measure import calibration, machine
from ..measure.contenders import LIBRARIES, OURS
from ..measure.launches import Interrupted, Job, measure_launches
from ..measure.run import Measurement, Run
from ..measure.timer import Schedule
from ..measure.worker import WorkerError
from ..progress import progress_bar
from . import _bench_sections as sections
from ._base import Command, CommandError, nearest
from ._bench_arguments import GIVEN, RIVALS, chosen_groups, flat, prepare_parser, refuse_foreign
from ._bench_functions import bench_functions
from ._bench_sections import Verdict
from ._suite import ALL, measure_suite

SCHEMA = 1
BENCHES = {op: groups_of(op) for op in OPERATIONS}

QUICK = Schedule(sample_seconds=1e-3, blocks=3, min_blocks=2, budget_seconds=1.0)
FULL = Schedule(sample_seconds=5e-3, blocks=8, min_blocks=2, budget_seconds=5.0)
FULL_LAUNCHES = 3
INTERRUPTED = 130


class BenchCommand(Command):
    """Measure the library beside NumPy and PyTorch, or functions of yours beside each other.

    Contenders take turns, every result of an operation is verified, and what is estimated is a ratio with
    its interval. For an operation it is the best rival's time divided by ours: above 1 we are faster. Full
    runs pool three process launches and take long; --quick shows where it is worth to look and is never
    for publication. Ctrl-C keeps what was measured.

    With --suite the whole table of cases is measured, all operations beside all rivals that have them: means
    by group and by operation, the worst cases first, and how near each comes to what the machine allows.

    Exit codes: 0; 1 for a wrong result or a contender that failed; 2 for a usage error; 130 when
    interrupted.
    """

    examples = (
        "bench matmul --quick",
        "bench matmul --against numpy torch --threads 1,2 --json matmul.json",
        "bench --suite quick --against numpy --threads 1",
        "bench --suite full --against all --threads 1,2 --groups rows,conv --json suite.json",
        "bench matmul --shapes 64x784,784x128 --dtype float32 --samples",
        'bench mymodule:f --against mymodule:g --setup "import numpy as np; x = np.ones(1000)" --args x',
    )
    draws = True

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        groups = {*GROUPS, *(name for bench in BENCHES.values() for name in bench)}
        prepare_parser(parser, sorted(groups), list(BENCHES))

    def run(self, arguments: argparse.Namespace) -> Document:
        """Measure, and return the tables."""
        refuse_foreign(arguments)
        if arguments.suite:
            return measure_suite(arguments)
        if ":" in arguments.target:
            return bench_functions(arguments)
        described = machine.describe()
        if not (arguments.quick or arguments.check) and described["forced"]:
            raise CommandError(
                f"{sections.assignments(described['forced'])} forces a rival's kernels: its figures are not "
                "its own. Unset it; or use --check, which marks the result as a check"
            )
        libraries = _libraries(arguments.target, flat(arguments.against))
        threads = flat(arguments.threads) or ([1, 2] if described["cores"] > 1 else [1])
        if max(threads) > described["cores"]:
            raise CommandError(f"--threads {max(threads)}: this process may use {described['cores']} cores")
        groups = chosen_groups(
            arguments,
            BENCHES[arguments.target],
            lambda group: group.quick if arguments.quick else group.cases,
        )
        return _Bench(arguments, described, libraries, threads, groups).document()


class _Bench:
    """One operation, measured group by group."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        described: dict[str, Any],
        libraries: Sequence[str],
        threads: Sequence[int],
        groups: Sequence[tuple[Group, list[Case]]],
    ) -> None:
        self.arguments = arguments
        self.described = described
        self.libraries = tuple(libraries)
        self.launches = arguments.launches or (1 if arguments.quick else FULL_LAUNCHES)
        self.schedule = QUICK if arguments.quick else FULL
        self.work = [(count, group, cases) for count in threads for group, cases in groups]
        dtypes = flat(arguments.dtype) or DTYPES
        self.peaks = {dtype: machine.measure_peak(dtype) for dtype in dtypes}
        self.parts: list[Section] = []
        self.measurements: list[Measurement] = []
        self.summary: list[dict[str, Any]] = []
        self.versions: dict[str, str] = {}

    def document(self) -> Document:
        """Measure all groups; on Ctrl-C return what is finished."""
        steps = self.launches * sum(len(cases) for _, _, cases in self.work)
        taken = {"before": calibration.sample()}
        interrupted = False
        with progress_bar("bench", steps) as advance:
            try:
                for count, group, cases in self.work:
                    self._measure(count, group, cases, advance)
            except KeyboardInterrupt:
                if not self.measurements:
                    raise
                interrupted = True
        if not interrupted:
            taken["after"] = calibration.sample()
        arguments = self.arguments
        measured_fully = self.launches >= FULL_LAUNCHES and not interrupted
        chosen = any(group.name == GIVEN for _, group, _ in self.work)
        published = measured_fully and not (arguments.quick or arguments.check or chosen)
        described = self.described | {"versions": self.versions, "peak_gflops_per_core": self.peaks}
        settings = {
            "launches": self.launches,
            "quick": arguments.quick,
            "schedule": sections.schedule_data(self.schedule),
        }
        data = {
            "schema": SCHEMA,
            "kind": "bench",
            "target": arguments.target,
            "published": published,
            "interrupted": interrupted,
            "summary": self.summary,
            "calibration": taken,
            "run": Run(described, settings, tuple(self.measurements)).to_dict(),
        }
        remarks = sections.remarks(described, self.versions, self.peaks, published)
        if interrupted:
            done, wanted = len(self.measurements), sum(len(cases) for _, _, cases in self.work)
            remarks.insert(0, f"INCOMPLETE: interrupted after {done} of {wanted} cases; these are finished.")
        head = Section("Machine", (machine.one_line(described), *remarks))
        wrong = any(measurement.errors for measurement in self.measurements)
        code = INTERRUPTED if interrupted else int(wrong)
        return Document(f"bench {arguments.target}", (head, *self.parts), data, exit_code=code)

    def _measure(self, threads: int, group: Group, cases: Sequence[Case], advance: Any) -> None:
        """Measure one group and note what it gave, on Ctrl-C too."""
        jobs = [Job(case, self.libraries, self.schedule) for case in cases]
        stopped = False
        try:
            collected = measure_launches(jobs, threads, self.launches, advance)
        except WorkerError as error:
            raise CommandError(str(error), exit_code=1) from error
        except Interrupted as error:
            collected, stopped = error.collected, True
        if collected.measurements:
            self.versions |= collected.versions
            self.measurements += collected.measurements
            verdicts = [Verdict.of(measurement) for measurement in collected.measurements]
            spread = self.arguments.samples
            self.parts.append(
                sections.group_section(group, threads, verdicts, collected, self.peaks, spread=spread)
            )
            self.summary.append(sections.summary(group, threads, verdicts))
        if stopped:
            raise KeyboardInterrupt


def _libraries(op: str, wanted: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in (ALL, *RIVALS):
            raise CommandError(f"unknown rival {name!r}; known: {', '.join(RIVALS)}{nearest(name, RIVALS)}")
    named = [] if ALL in wanted else wanted
    rivals = named or RIVALS
    reasons = {name: LIBRARIES[name].unavailable() or LIBRARIES[name].lacks(op) for name in rivals}
    missing = [reason for reason in reasons.values() if reason]
    usable = [name for name, reason in reasons.items() if reason is None]
    if missing and named:
        raise CommandError("; ".join(missing))
    if not usable:
        raise CommandError(f"no rival to measure beside: {'; '.join(missing)}")
    importlib.import_module(OURS)
    return [OURS, *usable]
