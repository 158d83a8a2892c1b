"""Benchmarks of operations by name, beside libraries, in processes of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tensorops.backends.base import PRODUCTS
from tensorops.operations import OPERATIONS

from .. import targets
from ..cases import Case, example_case, flops
from ..measure import calibration, launches, machine, stats
from ..measure.contenders import LIBRARIES, OURS
from ..measure.launches import Collected, Job, measure_launches
from ..measure.timer import Schedule
from .plan import Against, Effort, Interrupted
from .result import BenchResult

SAMPLE_SECONDS = 1e-3


def shaped_case(op: str, shapes: Sequence[Sequence[int]], dtype: str) -> Case:
    """Return a case of given shapes.

    Parameters
    ----------
    op : str
        Name of an operation.
    shapes : sequence of sequence of int
        Shape of each operand; of products of two dimensions or more.
    dtype : str
        "float32" or "float64".

    Returns
    -------
    Case
        Operands as allocated.

    Raises
    ------
    ValueError
        If the shapes do not fit the operation, or the dtype is another.

    Examples
    --------
    >>> shaped_case("matmul", [(64, 784), (784, 128)], "float32").name
    '64x784x128 float32'
    """
    sizes = tuple(tuple(int(size) for size in shape) for shape in shapes)
    if OPERATIONS[op].cost_class == PRODUCTS and any(len(shape) < 2 for shape in sizes[:2]):
        raise ValueError(f"shapes need two dimensions or more to be benchmarked, got {sizes}")
    case = example_case(op, dtype, sizes)
    flops(case)
    return case


@dataclass(frozen=True, slots=True)
class OperationPlan:
    """An operation on one case, and the libraries that compute it.

    Attributes
    ----------
    case : Case
        What is computed.
    libraries : tuple of str
        Ours first.
    effort : Effort
        How much work to spend.
    """

    case: Case
    libraries: tuple[str, ...]
    effort: Effort

    @classmethod
    def of(
        cls,
        op: str,
        against: Against | None,
        shapes: int | Sequence[Sequence[int]] | None,
        dtype: str,
        effort: Effort,
    ) -> OperationPlan:
        """Return a plan for arguments of ``profiling.bench``; refuse what is not known."""
        if op not in targets.TARGETS:
            raise ValueError(f"unknown operation {op!r}; known: {', '.join(targets.TARGETS)}")
        rivals = ("numpy",) if against is None else tuple(against)
        for rival in rivals:
            if isinstance(against, Mapping) or not isinstance(rival, str):
                raise TypeError(
                    f"{op!r} names an operation, so against= lists libraries by name, such as ['numpy']; to "
                    "measure a callable of yours beside it, give the function: bench(tensorops."
                    f"{op}, ...)"
                )
            known = [name for name in LIBRARIES if name != OURS]
            if rival not in known:
                raise ValueError(f"unknown library {rival!r}; known: {', '.join(known)}")
            reason = LIBRARIES[rival].unavailable() or LIBRARIES[rival].lacks(op)
            if reason:
                raise ValueError(f"cannot measure beside {rival}: {reason}")
        target = targets.TARGETS[op]
        if shapes is None or isinstance(shapes, int):
            case = target.case(target.default_size if shapes is None else shapes, dtype)
        else:
            case = shaped_case(op, shapes, dtype)
        return cls(case, (OURS, *dict.fromkeys(str(rival) for rival in rivals)), effort)

    def measure(self, threads: int | None) -> BenchResult:
        """Measure all launches; None is one thread."""
        count = 1 if threads is None else threads
        described = machine.describe()
        if count > described["cores"]:
            raise ValueError(f"threads={count}: this process may use {described['cores']} cores")
        budget = self.effort.budget_seconds / self.effort.launches
        wanted = budget / (1.5 * stats.BLOCK * self.effort.blocks * len(self.libraries))
        schedule = Schedule(min(SAMPLE_SECONDS, wanted), self.effort.blocks, 1, budget)
        before = tuple(calibration.sample())
        try:
            collected = measure_launches(
                [Job(self.case, self.libraries, schedule)], count, self.effort.launches
            )
        except launches.Interrupted as stopped:
            raise Interrupted(self._result(stopped.collected, count, described, {"before": before})) from None
        taken = {"before": before, "after": tuple(calibration.sample())}
        result = self._result(collected, count, described, taken)
        assert result is not None
        return result

    def _result(
        self,
        collected: Collected,
        threads: int,
        described: Mapping[str, object],
        taken: Mapping[str, tuple[float, ...]],
    ) -> BenchResult | None:
        if not collected.measurements:
            return None
        measurement = collected.measurements[0]
        notes = [] if "after" in taken else ["INCOMPLETE: interrupted while measuring."]
        forced = machine.forced()
        if forced:
            named = ", ".join(f"{name}={value}" for name, value in forced.items())
            notes.append(f"FORCED KERNELS: {named}: the rivals' figures are not their own.")
        return BenchResult(
            name=OURS,
            launches=measurement.launches,
            threads=threads,
            errors=measurement.errors,
            notes=tuple(notes),
            machine={**described, "versions": collected.versions},
            calibration=taken,
            case=self.case,
        )
