"""Write benchmarks' figures into ``performance.rst``: ``python docs/performance_table.py FILE.json ...``.

Each FILE is what ``python -m profiling bench --suite full --json FILE`` wrote, such as one for some groups or
one number of threads; or each is what ``python benchmarks/matmul.py --json FILE`` wrote. A quick look or a
check is refused: its figures are not for publication.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from profiling.cases import GROUPS
from profiling.commands._suite_results import (
    SuiteCase,
    gathered,
    group_of,
    mean_of,
    operation_of,
    read_cases,
)
from profiling.commands.bench import BENCHES, SCHEMA
from profiling.document import three_digits, time_text
from profiling.measure.contenders import OURS
from profiling.measure.machine import one_line
from profiling.measure.run import Measurement, Run

PAGE = Path(__file__).with_name("performance.rst")
BEGIN = ".. benchmark results begin\n"
END = ".. benchmark results end\n"


def render(benches: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of benchmarks as reStructuredText.

    Parameters
    ----------
    benches : sequence of mapping
        What ``bench --json`` wrote; at least one.

    Returns
    -------
    str
        The machine of each, one table of the groups, and one of the cases of each group.

    Raises
    ------
    ValueError
        For another kind of file or another schema, and for figures that are not for publication.
    """
    runs = [_checked_run(bench) for bench in benches]
    parts = list(dict.fromkeys(text for run in runs for text in _origin(run)))
    rows = [row for bench, run in zip(benches, runs, strict=True) for row in _groups(bench, run)]
    parts.append(_table(("Group", "Dtype", "Threads", "Geometric mean", "Interval", "Worst case"), rows))
    for bench, run in zip(benches, runs, strict=True):
        measured = {(entry.case.group, entry.threads, entry.case.name): entry for entry in run.measurements}
        for group in bench["summary"]:
            title = f"{_title(bench, group)}, {_dtypes(run)}, {_threads(group['threads'])}"
            parts.append(_heading(title))
            cases = [
                _case_row(measured[group["group"], group["threads"], name], verdict)
                for name, verdict in group["cases"].items()
            ]
            head = ("Case", "Ours", "GFLOP/s", "Best rival", "Its time", "Ratio", "Interval")
            parts.append(_table(head, cases))
    return "\n\n".join(parts) + "\n"


WORST = 20


def render_suites(suites: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures of suites as reStructuredText.

    Parameters
    ----------
    suites : sequence of mapping
        What ``bench --suite --json`` wrote; at least one. They must not measure the same group with the same
        threads.

    Returns
    -------
    str
        The machine of each; tables of groups, of operations and of the worst cases; one of each group.

    Raises
    ------
    ValueError
        For another schema, and for figures that are not for publication.
    """
    results = [one for suite in suites for one in read_cases(suite)]
    runs = [_publishable(suite) for suite in suites]
    missing = [reason for suite in suites for reason in suite["left_out"].values()]
    parts = [text for run in runs for text in _origin(run)] + [f"Left out: {reason}." for reason in missing]
    parts = list(dict.fromkeys(parts))
    head = ("Cases", "Threads", "Geometric mean", "Interval", "To reach", "Worst case")
    groups = gathered(results, group_of)
    rows = [_mean_row(GROUPS[name].title, name, cases) for (name, _), cases in groups.items()]
    parts.append(_short_table(("Group", *head), rows))
    rows = [
        _mean_row(f"``{name}``", "", cases) for (name, _), cases in gathered(results, operation_of).items()
    ]
    parts.append(_short_table(("Operation", *head), rows))
    worst = sorted((one for one in results if one.ratio is not None), key=lambda one: one.worth)[:WORST]
    parts += [_heading("The worst cases"), _suite_table(worst)]
    for (name, threads), cases in groups.items():
        parts += [_heading(f"{GROUPS[name].title}, {_threads(threads)}"), _suite_table(cases)]
    return "\n\n".join(parts) + "\n"


def _mean_row(title: str, group: str, cases: Sequence[SuiteCase]) -> tuple[str, ...]:
    mean, worst = mean_of(cases), cases[0]
    goal = GROUPS[group].goal_mean if group else 0.0
    return (
        title,
        str(len(cases)),
        str(worst.measurement.threads),
        "" if mean is None else f"{mean.estimate:.2f}",
        "" if mean is None else f"{mean.low:.2f} to {mean.high:.2f}",
        f"{goal:g}" if goal else "",
        "" if worst.ratio is None else f"{worst.ratio.estimate:.2f} (``{worst.title}``)",
    )


def _suite_table(cases: Sequence[SuiteCase]) -> str:
    head = ("Case", "Threads", "Ours", "Rate", "Of the roof", "Best rival", "Its time", "Ratio", "Interval")
    return _short_table(head, [_suite_row(one) for one in cases])


def _suite_row(one: SuiteCase) -> tuple[str, ...]:
    computes = one.place.limit == "compute"
    rate, unit = (one.place.gflops, "GFLOP/s") if computes else (one.gbytes_per_second, "GB/s")
    row = (
        # Literal: a name that ends in an underscore would be a reference.
        f"``{one.title}``",
        str(one.measurement.threads),
        time_text(one.measurement.seconds(OURS).estimate),
        f"{three_digits(rate)} {unit}",
        f"{100 * one.place.share:.0f} % ({one.place.limit})",
    )
    if one.ratio is None:
        return (*row, "none", "", "", "")
    its = time_text(one.measurement.seconds(one.rival).estimate)
    return (*row, one.rival, its, f"{one.ratio.estimate:.2f}", f"{one.ratio.low:.2f} to {one.ratio.high:.2f}")


def _heading(title: str) -> str:
    return f"{title}\n{'-' * len(title)}"


def _checked_run(bench: Mapping[str, Any]) -> Run:
    if bench.get("kind") != "bench" or bench.get("schema") != SCHEMA:
        found = f"kind {bench.get('kind')!r}, schema {bench.get('schema')!r}"
        raise ValueError(f"expected a benchmark of schema {SCHEMA}, got {found}")
    return _publishable(bench)


def _publishable(bench: Mapping[str, Any]) -> Run:
    if not bench["published"]:
        raise ValueError("a quick look or a check is not for publication: run the benchmark in full")
    run = Run.from_dict(bench["run"])
    wrong = {
        f"{entry.case.name}: {name} {error}"
        for entry in run.measurements
        for name, error in entry.errors.items()
        if name in entry.contenders
    }
    if wrong:
        raise ValueError(f"results were wrong, so their times mean nothing: {'; '.join(sorted(wrong))}")
    return run


def _origin(run: Run) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in run.machine["versions"].items())
    pooled = f"Versions: {versions}. Launches pooled: {run.settings['launches']}."
    return [f"{one_line(run.machine)}.", pooled]


def _dtypes(run: Run) -> str:
    return ", ".join(dict.fromkeys(entry.case.dtype for entry in run.measurements))


def _groups(bench: Mapping[str, Any], run: Run) -> list[tuple[str, ...]]:
    rows = []
    for group in bench["summary"]:
        mean, low, high = group["geometric_mean"]
        name, worst = min(group["cases"].items(), key=lambda item: item[1]["ratio"][0])
        rows.append(
            (
                _title(bench, group),
                _dtypes(run),
                str(group["threads"]),
                f"{mean:.2f}",
                f"{low:.2f} to {high:.2f}",
                f"{worst['ratio'][0]:.2f} ({name})",
            )
        )
    return rows


def _case_row(measurement: Measurement, verdict: Mapping[str, Any]) -> tuple[str, ...]:
    ratio, low, high = verdict["ratio"]
    rival = verdict["best_rival"]
    return (
        measurement.case.name,
        time_text(measurement.seconds(OURS).estimate),
        three_digits(measurement.gflops(OURS)),
        rival,
        time_text(measurement.seconds(rival).estimate),
        f"{ratio:.2f}",
        f"{low:.2f} to {high:.2f}",
    )


def _title(bench: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    return BENCHES[bench["target"]][group["group"]].title


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if place == 0 else ' '} - {cell}" for place, cell in enumerate(row)]
    return "\n".join(lines)


def _short_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of one line for each row: there are hundreds of them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows((head, *rows))
    lines = [
        ".. csv-table::",
        "   :header-rows: 1",
        "",
        *(f"   {line}" for line in text.getvalue().splitlines()),
    ]
    return "\n".join(lines)


def insert(page: str, figures: str) -> str:
    """Return a page with its marked section replaced.

    Parameters
    ----------
    page : str
        Text with the two markers.
    figures : str
        What goes between them.

    Returns
    -------
    str
        The new text.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no section between {BEGIN.strip()!r} and {END.strip()!r}")
    return f"{before}{begin}\n{figures}\n{end}{after}"


def main(arguments: Sequence[str]) -> None:
    """Replace the marked section of the performance page."""
    if not arguments:
        sys.exit(__doc__)
    try:
        benches = [json.loads(Path(name).read_text(encoding="utf-8")) for name in arguments]
        suites = [bench for bench in benches if bench.get("kind") == "suite"]
        if suites and len(suites) < len(benches):
            raise ValueError("suites and benchmarks of one operation do not go on one page")
        figures = render_suites(suites) if suites else render(benches)
        PAGE.write_text(insert(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"performance_table.py: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
