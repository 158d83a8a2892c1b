"""Targets that follow from the operation registry: what a report needs, for operations without their own."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable

from tensorops.backends.base import PRODUCTS
from tensorops.backends.torch_backend import FUNCTIONS
from tensorops.operations import OPERATIONS, OpSpec

from ..cases import Case, example_case
from .ladder import Rung, Target

OURS = "tensorops"
PYTHON_LARGEST = 4096
"""Elements along a dimension with which nobody waits too long for Python's loops."""

LARGEST_ELEMENTS = 1 << 27
SAMPLED_ELEMENTS = 100_000
"""Elements of the first operand at which the lines of the kernels are sampled: arrays of a few caches."""


def registered_target(op: str) -> Target:
    """Return the target of an operation, from its examples in the registry.

    Parameters
    ----------
    op : str
        Name in the operation registry.

    Returns
    -------
    Target
        Its ladder has NumPy's form as the base, this library's kernels, and PyTorch where that is installed
        and has the operation.

    Examples
    --------
    >>> [rung.title for rung in registered_target("softplus").ladder][:3]
    ['Python loops', 'NumPy', 'optimised']
    """
    spec = OPERATIONS[op]
    return Target(
        op=op,
        default_size=math.prod(spec.example_shapes[-1][0]),
        smallest_size=1,
        largest_size=LARGEST_ELEMENTS,
        case=_sized(spec),
        ladder=_ladder(spec),
        base="numpy" if spec.numpy_twin is not None else OURS,
        traced=(),
        traced_size=0,
        sampled=((OURS, min(SAMPLED_ELEMENTS, math.prod(spec.example_shapes[-1][0]))),),
        profile_cases=lambda dtype: tuple(example_case(op, dtype, shapes) for shapes in spec.example_shapes),
    )


def _ladder(spec: OpSpec) -> tuple[Rung, ...]:
    rungs = []
    if spec.cost_class == "elementwise":
        text = "a loop over Python numbers: the interpreter works far longer than the processor"
        rungs.append(Rung("Python loops", "path:python", text, PYTHON_LARGEST))
    if spec.numpy_twin is not None:
        text = "as NumPy users write it: compiled loops, a pass over the arrays and a temporary for each step"
        rungs.append(Rung("NumPy", "numpy", text))
    text = "one pass over the arrays, without temporaries"
    if spec.cost_class == PRODUCTS:
        text = "packed panels and a register-blocked kernel"
    rungs.append(Rung("optimised", OURS, text))
    if _torch_has(spec.name):
        rungs.append(Rung("PyTorch", "torch", "PyTorch's kernels on the same memory"))
    return tuple(rungs)


def _torch_has(op: str) -> bool:
    return importlib.util.find_spec("torch") is not None and op.removesuffix("_") in FUNCTIONS


def _sized(spec: OpSpec) -> Callable[[int, str], Case]:
    """Return the function from a number of elements of the first operand to a case like the examples."""

    def case(size: int, dtype: str) -> Case:
        params = spec.example_params[0]
        like = min(spec.example_shapes, key=lambda shapes: abs(math.log(math.prod(shapes[0]) / size)))
        first, *others = spec.sizes(like, params)
        scaled = max(1, round(first * size / math.prod(like[0])))
        return example_case(spec.name, dtype, spec.shapes_of((scaled, *others), params))

    return case
