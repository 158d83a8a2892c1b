"""Elementwise operations: the registry's rows that follow from ``elementwise_table.py``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops.elementwise_table import APPROXIMATE, ELEMENTWISE, Elementwise
from tensorops.numpy_twins import elementwise as numpy_twins
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes

# Operations that go by another name in NumPy, or by that of another operation.
_NUMPY_NAMES = {
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "bias_add": "add",
    "bias_relu": "add_relu",
}


# The examples: elements, the length of a broadcast operand, values of parameters that every call needs.
_ELEMENTS = (1_000, 100_000, 4_000_000)
_RUN = 100
_NEEDED = {"low": -1.0, "high": 1.0, "alpha": 0.5}


def _elementwise_out(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    return np.broadcast_shapes(*(tuple(shape) for shape in shapes))


def _elementwise_sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    out = _elementwise_out(shapes)
    run = 1
    for shape in (tuple(shape) for shape in shapes):
        if shape != out:
            # How many elements lie between two steps of the broadcast operand's leading axes.
            run = max(run, math.prod(shape))
    return math.prod(out), run, 1, 1


def _elementwise_shapes(count: int) -> Callable[..., tuple[tuple[int, ...], ...]]:
    def shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        elements, run = sizes[0], sizes[1]
        if count == 1 or run <= 1:
            return ((elements,),) * count
        return ((max(1, elements // run), run), *(((run,),) * (count - 1)))

    return shapes_of


def _elementwise_spec(item: Elementwise, form: str) -> OpSpec:
    def flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
        return item.flops * math.prod(_elementwise_out(shapes))

    def least_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
        return itemsize * (sum(map(math.prod, shapes)) + math.prod(_elementwise_out(shapes)))

    def bound(*operands: ArrayLike, **params: Any) -> NDArray[np.float64]:
        eps = float(np.finfo(np.result_type(*operands)).eps)
        with np.errstate(all="ignore"):
            return item.bound(eps, item.reference(*operands, **params), *operands, **params)

    twin = _NUMPY_NAMES.get(item.name, item.name)
    shapes_of = _elementwise_shapes(len(item.operands))
    run = _RUN if {"b", "scale"}.intersection(item.operands) else 1
    given = {name: _NEEDED[name] for name, value in item.parameters.items() if value is None}
    kinds = [{"approximate": kind} for kind in APPROXIMATE] if item.approximate else [{}]
    return OpSpec(
        name=item.name + form,
        signature=item.signature(form),
        cost_class="elementwise",
        flops=flops,
        bytes=least_bytes,
        sizes=_elementwise_sizes,
        shapes_of=shapes_of,
        out_shape=_elementwise_out,
        reference=item.reference,
        numpy_twin=getattr(numpy_twins, twin, twin),
        error_bound=bound,
        changed=(0,) if form == "_" else (),
        example_shapes=tuple(shapes_of((elements, run, 1, 1)) for elements in _ELEMENTS),
        example_params=tuple({**given, **kind} for kind in kinds),
        path_params={"approximate": "none"} if item.approximate else NO_PARAMS,
    )


SPECS: tuple[OpSpec, ...] = tuple(
    _elementwise_spec(item, form) for item in ELEMENTWISE for form in item.forms
)
