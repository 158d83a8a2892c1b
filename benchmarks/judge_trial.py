"""How often the judge ties what is equal and ranks what is not: ``python benchmarks/judge_trial.py``.

Each time, three submissions to the softmax problem are judged: one, the same again with another seed, and
one that does a tenth more work. Equal ones have to be tied, and the faster one ranked above.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from profiling.competition import judge, pack
from profiling.competition.score import LEAST_NOISE, Score, score, tied

QUICKER = """
import numpy as np


def kernel(x, out):
    np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
"""
REPEATED = """
    part = len(x) // SHARE
    np.exp(x[:part] - 100, out=out[:part])
"""
# The exponential is two thirds of the time: a part of it once more makes about a tenth of the whole.
SLOWER = QUICKER.replace("\n    np.subtract", f"{REPEATED}    np.subtract")


def judged(text: str, track: str) -> tuple[Score, float]:
    """Judge one submission as a competition does."""
    problem = pack.load("softmax")
    found = judge.judge(problem, text.encode(), ".py", track=track)
    if not found.samples or found.verdict.name != "OK":
        raise RuntimeError(f"{found.verdict.name}: {found.verdict.reason}")
    return score(found.samples, [band.name for band in problem.problem.timed]), found.seconds


def main() -> None:
    """Judge, and print what became of each pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--track", choices=judge.TRACKS, default="one")
    parser.add_argument("--noise", type=float, default=LEAST_NOISE, help="what `compete doctor` measured")
    parser.add_argument("--share", type=int, default=6, help="one row in so many is computed twice")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for number in range(arguments.times):
        first, seconds = judged(QUICKER, arguments.track)
        again, _ = judged(QUICKER + f"# {number}\n", arguments.track)
        slower, _ = judged(SLOWER.replace("SHARE", str(arguments.share)), arguments.track)
        equal = tied(first.total, again.total, arguments.noise)
        parted = not tied(first.total, slower.total, arguments.noise)
        rows.append(
            {
                "equal": math.log(first.total.estimate / again.total.estimate),
                "tie": equal,
                "gain": math.log(first.total.estimate / slower.total.estimate),
                "above": parted and first.total.estimate > slower.total.estimate,
                "stable": first.stable and again.stable and slower.stable,
                "seconds": seconds,
                "launches": first.launches,
            }
        )
        row = rows[-1]
        print(
            f"{number + 1:3}  equal {100 * row['equal']:+5.1f} % {'tie' if equal else 'PARTED':6}"
            f"  tenth {100 * row['gain']:+5.1f} % {'above' if row['above'] else 'NOT ABOVE':9}"
            f"  {seconds:.1f} s, {row['launches']} pairs{'' if row['stable'] else ', UNSTABLE'}",
            flush=True,
        )
    count = len(rows)
    print(
        f"{sum(row['tie'] for row in rows)} of {count} equal ones tied, "
        f"{sum(row['above'] for row in rows)} of {count} faster ones above, "
        f"longest judging {max(row['seconds'] for row in rows):.1f} s"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
