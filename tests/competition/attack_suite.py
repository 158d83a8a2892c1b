"""Judge the attacks: ``python -m tests.competition.attack_suite [WORDS OF A NAME ...]``.

Each attack must get a verdict that was expected, must not read or write outside its box, must not gain
more than 2 % where it is timed, and must leave judge and machine as they were.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

from profiling.competition import judge, pack, sandbox, verdict
from profiling.competition.judge import CHECK_ONLY, Plan
from profiling.competition.score import score

from .attacks import ATTACKS, Attack

MOST_GAIN = 1.02
TIMED = Plan(launches=3, blocks=2, call_seconds=3.0)
CHECKED = Plan(launches=0, call_seconds=2.0)


class Scene:
    """What an attack must leave alone, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.word = secrets.token_hex(8)
        self.secret = folder / "secret.txt"
        self.written = folder / "written"
        self.secret.write_text(f"{self.word}\n", encoding="ascii")
        self.judges = {path.name for path in Path(tempfile.gettempdir()).glob("tensorops-judge-*")}

    def disturbed(self, found: judge.Judgement) -> str | None:
        """Return what has been touched or told, or None."""
        told = json.dumps(found.verdict.to_dict())
        if self.word in told or "root:x:" in told:
            return "the secret was read"
        if self.written.exists() or self.written.is_symlink():
            return "a file was written"
        if self.secret.read_text(encoding="ascii") != f"{self.word}\n" or self.secret.stat().st_mode & 0o111:
            return "the secret was changed"
        if boxes():
            return "a process is left"
        return None


def boxes() -> list[int]:
    """Return the processes that look like a box of this process."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if (
            b"tensorops-judge-" in command
            and b"importlib.util" in command
            and state != "Z"
            and int(parent) == os.getpid()
        ):
            found.append(int(entry.name))
    return found


def problem_with(attack: Attack, problem: pack.Pack) -> tuple[str | None, judge.Judgement]:
    """Judge one attack and return what it has achieved, or None, with the judgement."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        code = attack.text(str(scene.secret), str(scene.written)).encode()
        plan = TIMED if attack.timed else CHECKED
        found = judge.judge(problem, code, attack.suffix, track=attack.track, plan=plan)
        touched = scene.disturbed(found)
    if touched:
        return touched, found
    name = found.verdict.name
    if name not in attack.expected:
        return f"{name} ({found.verdict.reason}) instead of {' or '.join(attack.expected)}", found
    if found.samples and name == verdict.OK:
        total = score(found.samples, [band.name for band in problem.problem.timed]).total
        if total.low > MOST_GAIN:
            return f"a gain: {total.estimate:.3f} [{total.low:.3f}, {total.high:.3f}]", found
    return None, found


def main(words: list[str]) -> int:
    """Judge all attacks, or those whose names hold a word, and print what became of each."""
    if not sandbox.probe().confined:
        print(f"no sandbox works here: {sandbox.probe().why}")
        return 1
    problem = pack.load("softmax")
    chosen = [attack for attack in ATTACKS if not words or any(word in attack.name for word in words)]
    failed = 0
    begun = time.monotonic()
    for attack in chosen:
        achieved, found = problem_with(attack, problem)
        failed += achieved is not None
        mark = "FAILED" if achieved else "held"
        told = achieved or found.verdict.reason
        print(f"{mark:6} {attack.name:55} {found.verdict.name:14} {found.seconds:5.1f} s  {told}", flush=True)
    after = judge.judge(problem, problem.file("baseline.py").read_bytes(), ".py", plan=CHECK_ONLY)
    if after.verdict.name != verdict.OK:
        print(f"FAILED an honest kernel afterwards: {after.verdict}")
        failed += 1
    print(f"{len(chosen)} attacks, {failed} achieved something, {time.monotonic() - begun:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
