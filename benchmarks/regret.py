"""How much the dispatcher loses: the time of the path it chooses over the time of the best.

``python benchmarks/regret.py --tune 60s --profile tuned.json`` tunes products into a profile of its own and
measures random shapes that are not in it; later runs with the same ``--profile`` take up that profile, so the
whole can be run in pieces: ``--threads 1 --dtype float32``. ``--combine a.json b.json`` prints the table of
pieces that were written with ``--json``; ``--replay`` judges what the dispatcher chooses today by the times
that such pieces hold, without measuring.

The path is chosen before anything is measured. All paths then take turns; odd blocks say which one is the
best, even blocks what each takes, so that a lucky measurement does not look like a better path.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from profiling.cases import DTYPES, Case, flops
from profiling.commands._base import page_width
from profiling.commands.tune import _seconds as seconds_of
from profiling.document import Column, Document, Section, Table, three_digits, time_text
from profiling.measure.tune import tune
from profiling.measure.tuning_gain import choice_of
from profiling.measure.tuning_space import problems, sizes_of
from profiling.measure.tuning_timer import Key, PathTimer, contender_key
from profiling.progress import share_bar
from profiling.reporters.text import TextReporter
from tensorops.dispatch import schema
from tensorops.dispatch.records import Profile
from tensorops.operations import OPERATIONS

SEED = 0.123
SHAPES = 200
QUICK_SHAPES = 24
BLOCKS = 8
SHAPE_SECONDS = 0.7
WORST = 10
GOALS = {"tuned": (1.03, 1.15), "shipped": (1.10, 1.50)}


def shapes(op: str, dtype: str, count: int, known: Iterable[Case]) -> list[Case]:
    """Return random problems over seven orders of magnitude of work, none of them in the profile.

    Parameters
    ----------
    op : str
        Name of an operation.
    dtype : str
        Of the operands.
    count : int
        How many.
    known : iterable of Case
        What the profile holds.

    Returns
    -------
    list of Case
        Different problems.
    """
    taken = {(case.op, case.dtype, case.shapes) for case in known}
    fresh: dict[Case, None] = {}
    for case in problems(op, dtype, seed=SEED):
        if (op, dtype, case.shapes) not in taken:
            fresh[case] = None
        if len(fresh) == count:
            break
    return list(fresh)


def halves(blocks: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the logarithm of the time by the even and by the odd blocks.

    Parameters
    ----------
    blocks : sequence of sequence of float
        Samples; at least two blocks.

    Returns
    -------
    tuple of float
        Of the fastest samples: what disturbs a call makes it slower, never faster.
    """
    minima = np.log([min(block) for block in blocks])
    return float(minima[::2].min()), float(minima[1::2].min())


def regret(times: Mapping[str, Sequence[float]], chosen: str) -> float:
    """Return the time of the chosen path over that of the best, without the luck of the best.

    Parameters
    ----------
    times : mapping of str to two floats
        Logarithm of each candidate's time by either half of its blocks.
    chosen : str
        The choice.

    Returns
    -------
    float
        The best is picked by one half of the blocks and timed by the other, and the other way round; the
        geometric mean of the two. Below 1 where picking the best was itself a matter of noise.
    """
    logs = []
    for pick, judge in ((0, 1), (1, 0)):
        best = min(times, key=lambda key: times[key][pick])
        logs.append(times[chosen][judge] - times[best][judge])
    return math.exp(sum(logs) / 2)


def measure(cases: Sequence[Case], threads: Sequence[int], profile: Profile | None) -> list[dict[str, Any]]:
    """Measure every usable path on each problem and compare with what is chosen.

    Parameters
    ----------
    cases : sequence of Case
        Problems.
    threads : sequence of int
        Numbers of threads that a call may use.
    profile : Profile or None
        What the dispatcher has tuned.

    Returns
    -------
    list of dict
        One per problem and number of threads.
    """
    rows = []
    with PathTimer(sorted({1, *threads}), seed=7) as timer, share_bar("regret") as tell:
        for number, case in enumerate(cases):
            tell(case.name, number / len(cases))
            before = {
                (kind, count): choice_of(case, count, known)
                for kind, known in (("tuned", profile), ("shipped", None))
                for count in threads
            }
            samples = timer.samples(case, SHAPE_SECONDS, BLOCKS)
            for count in threads:
                rows.append(_row(case, count, samples, before, profile is not None))
    return rows


def _row(
    case: Case,
    count: int,
    samples: Mapping[Key, Sequence[Sequence[float]]],
    choices: Mapping[tuple[str, int], Key],
    tuned: bool,
) -> dict[str, Any]:
    # The threads of NumPy's BLAS are not the dispatcher's to choose.
    numpy = contender_key("numpy", count, case)
    candidates = [key for key in samples if key[1] <= count and (key[0] != "numpy" or key == numpy)]
    times = {_text(key): halves(samples[key]) for key in candidates}
    row: dict[str, Any] = {
        "op": case.op,
        "case": case.to_dict(),
        "name": case.name,
        "threads": count,
        "work": flops(case),
        "times": times,
    }
    chosen = {kind: choices[kind, count] for kind in (("tuned", "shipped") if tuned else ("shipped",))}
    return _judged(row, chosen)


def _judged(row: Mapping[str, Any], chosen: Mapping[str, Key]) -> dict[str, Any]:
    """Return a row with the regret of choices."""
    seconds = {name: math.exp(sum(pair) / 2) for name, pair in row["times"].items()}
    best = min(seconds, key=lambda name: seconds[name])
    judged = {**row, "best": best, "best_seconds": seconds[best]}
    for kind, key in chosen.items():
        name = _text(key)
        judged[kind] = name
        judged[f"{kind}_regret"] = regret(row["times"], name) if name in seconds else None
    return judged


def replay(rows: Sequence[Mapping[str, Any]], profile: Profile | None) -> list[dict[str, Any]]:
    """Return rows measured earlier, judged by what the dispatcher chooses today.

    Parameters
    ----------
    rows : sequence of dict
        As `measure` returns them.
    profile : Profile or None
        What the dispatcher has tuned.

    Returns
    -------
    list of dict
        As `measure`: nothing is measured.
    """
    kinds = {"shipped": None} if profile is None else {"tuned": profile, "shipped": None}
    return [
        _judged(
            row,
            {
                kind: choice_of(Case.from_dict(row["case"]), row["threads"], known)
                for kind, known in kinds.items()
            },
        )
        for row in rows
    ]


def _text(key: Key) -> str:
    return f"{key[0]} x{key[1]}"


def summary(rows: Sequence[Mapping[str, Any]]) -> Document:
    """Return the table of regrets.

    Parameters
    ----------
    rows : sequence of dict
        As `measure` returns them.

    Returns
    -------
    Document
        Means, the worst cases and the paths beside the best.
    """
    parts = []
    for kind, (mean, high) in GOALS.items():
        values = [row for row in rows if row.get(f"{kind}_regret")]
        if not values:
            continue
        table_rows = [_summary_row("all", kind, values, (mean, high))]
        for field in ("op", "dtype", "threads"):
            groups: dict[str, list[Mapping[str, Any]]] = {}
            for row in values:
                groups.setdefault(str(row.get(field, row["case"].get(field))), []).append(row)
            if len(groups) > 1:
                table_rows += [
                    _summary_row(f"{field} {name}", kind, group, None) for name, group in groups.items()
                ]
        table_rows += [
            _summary_row(f"work 1e{low} to 1e{low + 2}", kind, group, None)
            for low in range(0, 12, 2)
            if (group := [row for row in values if 10**low <= row["work"] < 10 ** (low + 2)])
        ]
        columns = (
            Column("shapes", "left"),
            Column("n"),
            Column("geometric mean"),
            Column("95th percentile"),
            Column("worst"),
            Column("best chosen"),
        )
        parts.append(Section(f"Regret, {kind}", (Table(columns, tuple(table_rows)), _worst(kind, values))))
    parts.append(_best_section(rows))
    return Document("regret", tuple(parts), {"schema": 1, "kind": "regret", "rows": list(rows)})


def _summary_row(
    name: str, kind: str, rows: Sequence[Mapping[str, Any]], goal: tuple[float, float] | None
) -> tuple[str, ...]:
    values = np.array([row[f"{kind}_regret"] for row in rows])
    mean, high = float(np.exp(np.log(values).mean())), float(np.quantile(values, 0.95))
    texts = [f"{mean:.3f}", f"{high:.3f}"]
    if goal is not None:
        texts = [f"{text} (goal {limit})" for text, limit in zip(texts, goal, strict=True)]
    hits = sum(row[kind] == row["best"] for row in rows) / len(rows)
    return (name, str(len(rows)), *texts, f"{values.max():.2f}", f"{100 * hits:.0f} %")


def _worst(kind: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    worst = sorted(rows, key=lambda row: -row[f"{kind}_regret"])[:WORST]
    columns = (
        Column("worst cases", "left"),
        Column("threads"),
        Column("regret"),
        Column("chosen", "left"),
        Column("best", "left"),
        Column("best takes"),
    )
    return Table(
        columns,
        tuple(
            (
                f"{row['op']} {row['name']}",
                str(row["threads"]),
                three_digits(row[f"{kind}_regret"]),
                row[kind],
                row["best"],
                time_text(row["best_seconds"]),
            )
            for row in worst
        ),
    )


def _best_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    columns = (
        Column("shape", "left"),
        Column("threads"),
        Column("best", "left"),
        Column("tuned choice", "left"),
        Column("shipped choice", "left"),
        Column("best takes"),
    )
    table = Table(
        columns,
        tuple(
            (
                f"{row['op']} {row['name']}",
                str(row["threads"]),
                row["best"],
                row.get("tuned", "-"),
                row.get("shipped", "-"),
                time_text(row["best_seconds"]),
            )
            for row in rows
        ),
    )
    return Section("The best path of each shape", (table,))


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune if asked to, measure, print the table.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tune", type=seconds_of, metavar="TIME", help="tune matmul and linear first")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="the profile to tune into and to judge")
    parser.add_argument("--threads", default="1,2", metavar="N,...")
    parser.add_argument("--dtype", default=",".join(DTYPES), metavar="DTYPE,...")
    parser.add_argument("--shapes", type=int, default=SHAPES, help="shapes of each dtype")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SHAPES} shapes, a tune of 10 s")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--combine", nargs="+", type=Path, metavar="FILE", help="print pieces together")
    parser.add_argument(
        "--replay",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="judge today's choices by times of these pieces",
    )
    options = parser.parse_args(arguments)
    if options.replay:
        rows = [row for file in options.replay for row in json.loads(file.read_text())["rows"]]
        profile = None if options.profile is None else schema.load(options.profile)
        _deliver(summary(replay(rows, profile)), options.json)
        return 0
    if options.combine:
        rows = [row for file in options.combine for row in json.loads(file.read_text())["rows"]]
        _deliver(summary(rows), options.json)
        return 0
    threads = sorted({int(part) for part in options.threads.split(",")})
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads[-1] > cores:
        parser.error(f"--threads {threads[-1]}: this process may use {cores}")
    dtypes = options.dtype.split(",")
    ops = [op for op in ("matmul", "linear") if op in OPERATIONS]
    count = QUICK_SHAPES if options.quick else options.shapes
    profile = _profile(options, ops, threads)
    known = [Case(one.op, one.dtype, one.shapes, one.layout) for one in (profile.entries if profile else ())]
    cases = []
    for dtype in dtypes:
        by_op = [iter(shapes(op, dtype, count, known)) for op in ops]
        turns = itertools.cycle(by_op)
        cases += [next(next(turns)) for _ in range(count)]
    start = time.monotonic()
    document = summary(measure(cases, threads, profile))
    _deliver(document, options.json)
    print(f"\n  {len(cases)} shapes measured in {time.monotonic() - start:.0f} s")
    spread = [math.log10(max(1, math.prod(sizes_of(case)))) for case in cases]
    print(f"  work from 1e{min(spread):.1f} to 1e{max(spread):.1f} multiply-adds")
    return 0


def _profile(options: argparse.Namespace, ops: Sequence[str], threads: Sequence[int]) -> Profile | None:
    budget = options.tune or (10.0 if options.quick and options.profile is None else None)
    if budget is None:
        return None if options.profile is None else schema.load(options.profile)
    with share_bar("tune") as tell:
        tuned = tune(ops, budget=budget, threads=sorted({1, *threads}), on_problem=tell)
    print(f"{tuned.problems} problems tuned in {tuned.seconds:.0f} s")
    profile = Profile(schema.fingerprint(), tuple(tuned.entries))
    if options.profile is not None:
        schema.save(profile, options.profile)
    return profile


def _deliver(document: Document, file: Path | None) -> None:
    if file is not None:
        file.write_text(json.dumps(document.data, indent=1))
    print(TextReporter().render(document, page_width()))


if __name__ == "__main__":
    sys.exit(main())
