"""From a submission to a verdict and samples: compile, load, check, time.

Everything that decides is here and not in the submission's process: the clock, the operands, the
float64 oracle, the comparison. Each judging has a fresh secret seed, from which sizes and values
follow, so that anybody can repeat it once the seed is told.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from ..measure.stats import BLOCK
from ..measure.timer import turns
from ..measure.worker import physical_cores_first
from . import compiler, verdict
from .box import Box, Limits
from .exclusive import machine_lock
from .pack import Array, Band, Pack
from .priority import raised
from .records import (
    CHECK_ONLY,
    MODULE,
    MOST_BYTES,
    QUICK,
    RANKED,
    SUFFIXES,
    TRACKS,
    CaseSamples,
    Judgement,
    Plan,
    describe,
    new_seed,
    refusal,
    seed_hash,
)
from .sandbox import Sandbox, probe
from .score import score
from .surroundings import FOLDERS, beside, blamed, folder, located, single_threaded, sweep
from .verdict import Fault, Verdict

__all__ = [
    "CHECK_ONLY",
    "FOLDERS",
    "MODULE",
    "MOST_BYTES",
    "QUICK",
    "RANKED",
    "SUFFIXES",
    "TRACKS",
    "CaseSamples",
    "Judgement",
    "Plan",
    "describe",
    "judge",
    "new_seed",
    "refusal",
    "seed_hash",
    "sweep",
]
WARM_UP = 2
LOAD_SECONDS = 20.0
NOTHINGS = 31
SLOW = 10.0
"""A kernel that takes this many times the baseline's time is measured with one block only."""
DOUBTFUL = 10.0
"""A larger speed-up is reviewed: it counts when it holds on many more hidden cases."""
REVIEW_ROUNDS = 8
ODD_SHARE = 64
"""One row in so many of a surprise has values of another magnitude."""


def judge(
    pack: Pack,
    code: bytes,
    suffix: str,
    *,
    track: str = "one",
    plan: Plan = RANKED,
    seed: str | None = None,
    sandbox: Sandbox | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,
    rival: tuple[bytes, str] | None = None,
    enough: Callable[[Sequence[CaseSamples]], bool] | None = None,
) -> Judgement:
    """Judge one submission.

    Parameters
    ----------
    pack : Pack
        The problem.
    code : bytes
        The submission.
    suffix : {".py", ".pyx"}
        What it is.
    track : {"one", "all"}
        One processor, or all of them.
    plan : Plan
        How much is measured.
    seed : str, optional
        To repeat a judging; a fresh secret one by default.
    sandbox : Sandbox, optional
        The walls; the strongest that work here by default.
    on_phase : callable
        Told the name of each phase when it begins.
    rival : (bytes, str), optional
        A submission that takes the baseline's place.
    enough : callable, optional
        Told the samples so far; while it returns False, the plan's extra pairs of processes are started.
        By default a score is enough whose interval is narrow enough to be ranked.

    Returns
    -------
    Judgement
        Always: whatever goes wrong has a verdict.
    """
    begun = time.monotonic()
    walls = probe() if sandbox is None else sandbox
    found = Judgement(Verdict(verdict.OK, "accept"), sandbox=walls.label, seed=seed or new_seed())
    course = _Course(pack, track, plan, walls, found, on_phase, enough)
    try:
        with folder() as place, folder() as other, single_threaded():
            course.run(place, code, suffix, other, rival)
    except Fault as fault:
        found.verdict = fault.verdict(course.phase, course.printed)
    except Exception as error:
        # Whatever it is, the submission's author is owed a verdict, and it is not his fault.
        reason = verdict.one_line(f"{type(error).__name__}: {error}")
        found.verdict = Verdict(verdict.JUDGE_ERROR, course.phase, reason)
    found.seconds = time.monotonic() - begun
    return found


class _Course:
    """One judging under way."""

    def __init__(
        self,
        pack: Pack,
        track: str,
        plan: Plan,
        sandbox: Sandbox,
        found: Judgement,
        on_phase: Callable[[str], None],
        enough: Callable[[Sequence[CaseSamples]], bool] | None,
    ) -> None:
        if track not in TRACKS:
            raise ValueError(f"unknown track {track!r}; known: {', '.join(TRACKS)}")
        self.pack, self.plan, self.sandbox, self.found = pack, plan, sandbox, found
        self.on_phase = on_phase
        self.enough = enough or self.stable
        self.phase = "accept"
        self.printed = ""
        self.spent = 0.0
        every = physical_cores_first()
        self.cores = every[-1:] if track == "one" else every
        # What is only checked keeps away from the processor on which another judge may be timing.
        self.checking_cores = every[:1] if track == "one" else every
        self.arena = pack.largest()
        self.seeds = np.random.SeedSequence(int(found.seed, 16)).spawn(2 + plan.launches + plan.extra)

    def enter(self, phase: str) -> None:
        self.phase = phase
        self.on_phase(phase)

    def run(
        self, folder: Path, code: bytes, suffix: str, other: Path, rival: tuple[bytes, str] | None
    ) -> None:
        refused = refusal(code, suffix)
        if refused:
            raise Fault(verdict.LOAD_ERROR, refused)
        path = self.place(folder, code, suffix)
        baseline = self.pack.file("baseline.py").read_bytes(), ".py"
        against = self.place(other, *(rival or baseline))
        self.check(path, np.random.default_rng(self.seeds[0]), 1)
        for launch in range(self.plan.launches + self.plan.extra):
            if launch >= self.plan.launches and self.enough(self.found.samples):
                break
            # Told each time: the worker's lease is renewed by it.
            self.enter("time")
            # Others may be timed between two launches; never two at the same time.
            with machine_lock(), beside(self.cores):
                self.time(path, against, launch)
        if self.plan.launches and speed_up(self.found.samples) > DOUBTFUL:
            self.found.reviewed = True
            self.check(path, np.random.default_rng(self.seeds[-1]), REVIEW_ROUNDS)
        self.enter("score")
        self.found.verdict = Verdict(verdict.OK, "score")

    def stable(self, samples: Sequence[CaseSamples]) -> bool:
        return score(samples, [band.name for band in self.pack.problem.timed]).stable

    def place(self, folder: Path, code: bytes, suffix: str) -> Path:
        path = folder / f"{MODULE}{suffix}"
        path.write_bytes(code)
        if suffix == ".py":
            return path
        self.enter("compile")
        self.found.versions = compiler.describe()
        # A compiler that starves beside other work would run into its limit.
        with raised():
            return compiler.compile_source(path, MODULE, self.sandbox)

    @contextmanager
    def box(self, path: Path, cores: Sequence[int]) -> Iterator[Box]:
        seconds = self.plan.call_seconds
        limits = Limits(
            seconds=seconds,
            load_seconds=max(LOAD_SECONDS, 2 * seconds),
            total_seconds=self.plan.total_seconds - self.spent,
            processor_seconds=120,
        )
        with Box(path, MODULE, self.arena, self.sandbox, cores, limits) as box:
            try:
                yield box
            finally:
                self.spent += box.spent

    @contextmanager
    def reported(self, box: Box) -> Iterator[None]:
        try:
            yield
        finally:
            self.printed = box.output

    def check(self, path: Path, rng: np.random.Generator, rounds: int) -> None:
        """Try all bands, in a process of their own."""
        self.enter("load")
        # Before others: on a busy machine nobody's kernel is to be taken for one that never ends.
        with beside(self.checking_cores), self.box(path, self.checking_cores) as box, self.reported(box):
            self.enter("check")
            for _ in range(rounds):
                self.check_bands(box, rng)

    def check_bands(self, box: Box, rng: np.random.Generator) -> None:
        problem = self.pack.problem
        for band in (*problem.checked, *problem.timed):
            sizes = band.draw(rng)
            for number in range(self.plan.repeats):
                odd = number and band in problem.timed
                operands = self.surprise(rng, sizes, band) if odd else problem.make(rng, sizes, band.scale)
                if not number:
                    box.prepare(operands, problem.dtype, problem.out_shape(sizes))
                with located(band, sizes, problem.sizes):
                    out, _ = box.call(operands)
                    self.verify(box, band, out, operands)

    def surprise(self, rng: np.random.Generator, sizes: Sequence[int], band: Band) -> tuple[Array, ...]:
        """Return operands of a timed size in which some rows have the values of another band.

        A kernel that takes a way which is right for the usual values only, because it knows the size
        that is timed, is caught by them.
        """
        problem = self.pack.problem
        scales = {one.scale for one in (*problem.timed, *problem.checked)} - {band.scale}
        operands = problem.make(rng, tuple(sizes), band.scale)
        rows = len(operands[0])
        for scale in sorted(scales):
            others = problem.make(rng, tuple(sizes), scale)
            odd = rng.integers(0, rows, 1 + rows // ODD_SHARE)
            for operand, other in zip(operands, others, strict=True):
                if len(operand) == rows:
                    operand[odd] = other[odd]
        return operands

    def verify(self, box: Box, band: Band, out: Array, operands: Sequence[Array]) -> None:
        problem = self.pack.problem
        error = problem.error(out, problem.oracle(*operands), *operands)
        worst = self.found.worst
        worst[band.name] = max(worst.get(band.name, 0.0), error / problem.tolerance)
        if error <= problem.tolerance:
            return
        changed = box.changed_operands()
        reason = "the result is not right"
        if not np.isfinite(out).all():
            reason = "values are not finite: not all of out was written, or something overflowed"
        if changed:
            reason = f"the kernel has changed its operand {changed[0] + 1}; operands must stay as they are"
        raise Fault(verdict.WRONG_ANSWER, reason, error=error, tolerance=problem.tolerance)

    def time(self, path: Path, against: Path, launch: int) -> None:
        rng = np.random.default_rng(self.seeds[1 + launch])
        # Who starts first gets other memory: the order is drawn.
        order = rng.permutation(2)
        boxes: dict[int, Box] = {}
        with ExitStack() as opened:
            for index in order:
                with blamed(index):
                    boxes[index] = opened.enter_context(self.box((path, against)[index], self.cores))
            ours, theirs = boxes[0], boxes[1]
            with self.reported(ours):
                nothing = float(np.median([theirs.nothing() for _ in range(NOTHINGS)]))
                problem = self.pack.problem
                for number in rng.permutation(len(problem.timed)):
                    band = problem.timed[number]
                    sizes = band.draw(rng)
                    with located(band, sizes, problem.sizes):
                        ours_taken, theirs_taken = self.pairs((ours, theirs), band, sizes, rng, nothing)
                    self.found.samples.append(
                        CaseSamples(band.name, launch, sizes, tuple(ours_taken), tuple(theirs_taken))
                    )

    def pairs(
        self,
        boxes: tuple[Box, Box],
        band: Band,
        sizes: Sequence[int],
        rng: np.random.Generator,
        nothing: float,
    ) -> tuple[list[float], list[float]]:
        problem = self.pack.problem
        operands = problem.make(rng, tuple(sizes), band.scale)
        taken: tuple[list[float], list[float]] = ([], [])
        for box in boxes:
            box.prepare(operands, problem.dtype, problem.out_shape(tuple(sizes)))
        first = [self.pair(boxes, (0, 1), band, operands, nothing) for _ in range(WARM_UP)]
        for box in boxes:
            # Pools of threads exist by now.
            box.spread()
        slow = min(times[0] for times in first) > SLOW * min(times[1] for times in first)
        blocks = 1 if slow else self.plan.blocks
        surprising = rng.integers(blocks * BLOCK)
        for order in turns(2, blocks * BLOCK // 2):
            for pair in (order[:2], order[2:]):
                if len(taken[0]) == surprising:
                    self.watch(boxes, band, self.surprise(rng, sizes, band))
                # Both get the same values, which nobody has seen before.
                operands = problem.make(rng, tuple(sizes), band.scale)
                for index, seconds in enumerate(self.pair(boxes, pair, band, operands, nothing)):
                    taken[index].append(seconds)
        return taken

    def watch(self, boxes: tuple[Box, Box], band: Band, operands: Sequence[Array]) -> None:
        """Call both on what it does not expect, and do not sleep meanwhile; this is not timed.

        With all processors, the judge may take a while to wake up, and an answer that comes so much too
        early is not found out by that the result is not there yet. It is, when the judge is awake.
        """
        results = []
        for index, box in enumerate(boxes):
            with blamed(index):
                results.append(box.call(operands, awake=len(self.cores) > 1)[0])
        self.verify(boxes[0], band, results[0], operands)

    def pair(
        self,
        boxes: tuple[Box, Box],
        order: Sequence[int],
        band: Band,
        operands: Sequence[Array],
        nothing: float,
    ) -> list[float]:
        """Call both on the same values, and verify when both are done: the caches are alike for both."""
        times = [0.0, 0.0]
        results: list[Array | None] = [None, None]
        for index in order:
            with blamed(index):
                results[index], seconds = boxes[index].call(operands)
            # What the judge adds is the same for both; a time never becomes nothing by that.
            times[index] = max(seconds - nothing, seconds / 10)
        out = results[0]
        assert out is not None
        self.verify(boxes[0], band, out, operands)
        return times


def speed_up(samples: Sequence[CaseSamples]) -> float:
    """Return the speed-up as the least times tell it: a first look, not a score.

    Examples
    --------
    >>> round(speed_up([CaseSamples("wide", 0, (2, 2), (1.0, 2.0), (3.0, 4.0))]), 6)
    3.0
    """
    logs = [math.log(min(sample.theirs) / min(sample.ours)) for sample in samples]
    return math.exp(math.fsum(logs) / len(logs))
