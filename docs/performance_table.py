"""Write a benchmark's figures into ``performance.rst``: ``python docs/performance_table.py FILE.json``.

FILE is what ``python benchmarks/matmul.py --json FILE`` wrote. A quick look or a check is refused: its
figures are not for publication.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from profiling.commands.bench import BENCHES, SCHEMA
from profiling.document import three_digits, time_text
from profiling.measure.contenders import OURS
from profiling.measure.machine import one_line
from profiling.measure.run import Measurement, Run

PAGE = Path(__file__).with_name("performance.rst")
BEGIN = ".. benchmark results begin\n"
END = ".. benchmark results end\n"


def render(bench: Mapping[str, Any]) -> str:
    """Return the figures of a benchmark as reStructuredText.

    Parameters
    ----------
    bench : mapping
        What ``bench --json`` wrote.

    Returns
    -------
    str
        The machine, one table of the groups, and one of the cases of each group.

    Raises
    ------
    ValueError
        For another kind of file or another schema, and for figures that are not for publication.
    """
    if bench.get("kind") != "bench" or bench.get("schema") != SCHEMA:
        found = f"kind {bench.get('kind')!r}, schema {bench.get('schema')!r}"
        raise ValueError(f"expected a benchmark of schema {SCHEMA}, got {found}")
    if not bench["published"]:
        raise ValueError("a quick look or a check is not for publication: run the benchmark in full")
    run = Run.from_dict(bench["run"])
    wrong = {
        f"{entry.case.name}: {name} {error}"
        for entry in run.measurements
        for name, error in entry.errors.items()
    }
    if wrong:
        raise ValueError(f"results were wrong, so their times mean nothing: {'; '.join(sorted(wrong))}")
    versions = ", ".join(f"{name} {version}" for name, version in run.machine["versions"].items())
    parts = [
        f"{one_line(run.machine)}.",
        f"Versions: {versions}. Launches pooled: {run.settings['launches']}.",
    ]
    parts.append(_table(("Group", "Threads", "Geometric mean", "Interval", "Worst case"), _groups(bench)))
    measured = {(entry.case.group, entry.threads, entry.case.name): entry for entry in run.measurements}
    for group in bench["summary"]:
        title = f"{_title(bench, group)}, {_threads(group['threads'])}"
        parts.append(f"{title}\n{'-' * len(title)}")
        rows = [
            _case_row(measured[group["group"], group["threads"], name], verdict)
            for name, verdict in group["cases"].items()
        ]
        parts.append(_table(("Case", "Ours", "GFLOP/s", "Best rival", "Its time", "Ratio", "Interval"), rows))
    return "\n\n".join(parts) + "\n"


def _groups(bench: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for group in bench["summary"]:
        mean, low, high = group["geometric_mean"]
        name, worst = min(group["cases"].items(), key=lambda item: item[1]["ratio"][0])
        rows.append(
            (
                _title(bench, group),
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
    if len(arguments) != 1:
        sys.exit(__doc__)
    try:
        figures = render(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
        PAGE.write_text(insert(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"performance_table.py: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
