"""Every operation of the registry on every backend: switching changes no result beyond the bounds.

The cases come from the registries. A new operation or a new backend is tested here without a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tensorops
from tensorops.backends import Call, get_backend
from tensorops.backends.base import layout_letter
from tensorops.dispatch import selection
from tensorops.operations import NO_PARAMS, OPERATIONS, Params

Array = np.ndarray[Any, Any]

NAMES = [name for name, reason in tensorops.backends().items() if reason is None]
DTYPES = ("float32", "float64")
EXAMPLES = 12
SIZES = {
    "product": st.tuples(*[st.integers(0, 24)] * 3, st.integers(1, 3)),
    "elementwise": st.tuples(st.integers(0, 300), st.just(1), st.just(1), st.just(1)),
    "rows": st.tuples(st.integers(0, 12), st.integers(1, 70), st.just(1), st.just(1)),
    "attention": st.tuples(*[st.integers(0, 20)] * 3, st.integers(1, 3)),
    "convolution": st.tuples(st.integers(0, 20), st.integers(0, 36), st.integers(1, 40), st.integers(0, 3)),
    "optimizer": st.tuples(st.integers(0, 300), st.just(1), st.just(1), st.just(1)),
}
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "dense": lambda x: x,
    "turned": lambda x: np.ascontiguousarray(x.T).T,
    "gaps": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1] if x.ndim else x,
    "read-only": lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
}
# Parameters beside those of the registry's examples, which are drawn too.
PARAMS: dict[str, tuple[dict[str, Any], ...]] = {
    "linear_backward": ({"bias": False},),
    "conv2d_backward": ({}, {"stride": 2, "padding": (0, 1)}),
    "attention_backward": ({"scale": 0.3},),
    "sgd_step_": ({"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3, "nesterov": True},),
    "adam_step_": ({"step": 1, "weight_decay": 0.2, "beta1": 0.8},),
}
# The boundary calls these without their object, asked for or not; tests/boundary tells them apart.
COMPILED = {"blocked", "numpy"}
# One call of each operation, for the tests that are about the choice of the backend.
SMALL = {
    "product": (5, 7, 6, 1),
    "elementwise": (40, 1, 1, 1),
    "rows": (5, 9, 1, 1),
    "attention": (5, 7, 6, 2),
    "convolution": (5, 18, 12, 2),
    "optimizer": (40, 1, 1, 1),
}


def call_of(op: str, operands: Sequence[Array], params: Mapping[str, Any]) -> Call:
    return Call.of(
        op,
        operands[0].dtype.name,
        tuple(x.shape for x in operands),
        "".join(map(layout_letter, operands)),
        params,
    )


def operands_of(
    op: str,
    sizes: Sequence[int],
    dtype: str = "float64",
    seed: int = 0,
    params: Mapping[str, Any] = NO_PARAMS,
) -> list[Array]:
    """Return operands of these sizes that the operation accepts."""
    spec, rng = OPERATIONS[op], np.random.default_rng(seed)
    shapes = spec.shapes_of(sizes, params)
    if spec.operands is not None:
        return list(spec.operands(shapes, dtype, rng, params))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def params_of(op: str) -> tuple[Mapping[str, Any], ...]:
    """Return the parameters that an operation is called with; the usual ones come first."""
    return *OPERATIONS[op].example_params, *PARAMS.get(op, ())


def pairs() -> list[tuple[str, str]]:
    """Return every operation with every backend that says it can compute it."""
    found = []
    for op, spec in OPERATIONS.items():
        params = params_of(op)[0]
        call = call_of(op, operands_of(op, SMALL[spec.cost_class], params=params), params)
        # Some of the parameters may be beyond a backend that has the operation.
        found += [(op, name) for name in NAMES if get_backend(name).supports(call) is None]
    return found


@contextlib.contextmanager
def backends_that_run() -> Iterator[list[str]]:
    """Note the name of each backend whose object computes."""
    ran: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            kind = type(get_backend(name))

            def run(self: Any, *arguments: Any, original: Any = kind.run, **params: Any) -> Any:
                ran.append(self.name)
                return original(self, *arguments, **params)

            patch.setattr(kind, "run", run)
        yield ran


def check(op: str, operands: Sequence[Array], result: Any, before: Sequence[Array], params: Params) -> None:
    spec = OPERATIONS[op]
    expected, bound = spec.reference(*before, **params), spec.error_bound(*before, **params)
    if len(spec.changed) > 1 or spec.outputs > 1:
        given = tuple(operands[place] for place in spec.changed) or result
        results = list(zip(given, expected, bound, strict=False))
        assert len(expected) == len(bound) == spec.outputs >= len(results)
    else:
        results = [(result, expected, bound)]
    for found, right, allowed in results:
        if right is None:
            assert found is None
            continue
        # A single number is a Python float.
        assert isinstance(found, float) or found.dtype == before[0].dtype
        assert np.shape(found) == right.shape
        with np.errstate(invalid="ignore"):
            same = (found == right) | (np.isnan(found) & np.isnan(right))
            assert np.all((np.abs(found - right) <= allowed) | same)
    for place, (operand, copy) in enumerate(zip(operands, before, strict=True)):
        assert place in spec.changed or np.array_equal(operand, copy)


@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning")
@pytest.mark.parametrize(("op", "name"), pairs())
@settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_switching_the_backend_changes_no_result_beyond_the_bounds(
    op: str, name: str, data: st.DataObject
) -> None:
    spec = OPERATIONS[op]
    dtype = data.draw(st.sampled_from(DTYPES), label="dtype")
    params = data.draw(st.sampled_from(params_of(op)), label="params")
    sizes = data.draw(SIZES[spec.cost_class], label="sizes")
    before = operands_of(op, sizes, dtype, data.draw(st.integers(0, 2**32 - 1), label="seed"), params)
    scale = data.draw(st.sampled_from([1e-3, 1.0, 10.0]), label="scale")
    # Labels stay what they are.
    before = [(scale * x).astype(dtype) if x.dtype == dtype else x for x in before]
    layouts = [data.draw(st.sampled_from(list(LAYOUTS)), label="layout") for _ in before]
    operands = [LAYOUTS[layout](x.copy()) for layout, x in zip(layouts, before, strict=True)]
    for place in spec.changed:
        operands[place] = before[place].copy()
    reason = get_backend(name).supports(call_of(op, operands, params))
    if reason is not None:
        with tensorops.use_backend(name), pytest.raises(ValueError, match=re.escape(reason)):
            getattr(tensorops, op)(*operands, **params)
        assert all(map(np.array_equal, operands, before))
        return
    with tensorops.use_backend(name), backends_that_run() as ran:
        result = getattr(tensorops, op)(*operands, **params)
    several = spec.outputs > 1 and not spec.changed
    if np.size(result[0] if several else result) and before[0].size:
        assert set(ran) == {name} - COMPILED or ran == [name]
    check(op, operands, result, before, params)


def test_every_backend_and_every_operation_is_in_the_test() -> None:
    assert {name for _, name in pairs()} == set(NAMES)
    assert {op for op, _ in pairs()} == set(OPERATIONS)


def test_the_check_notices_a_wrong_result() -> None:
    a, b = np.ones((3, 4)), np.ones((4, 5))
    check("matmul", [a, b], a @ b, [a, b], {})
    with pytest.raises(AssertionError):
        check("matmul", [a, b], a @ b + 1e-9, [a, b], {})
    with pytest.raises(AssertionError):
        check("matmul", [a + 1, b], a @ b, [a, b], {})


@pytest.mark.parametrize(("op", "name"), pairs())
def test_threads_keep_their_backend(op: str, name: str) -> None:
    spec = OPERATIONS[op]
    params = params_of(op)[0]
    operands = operands_of(op, SMALL[spec.cost_class], "float32", params=params)
    start = threading.Barrier(2)

    def body(chosen: str) -> None:
        with tensorops.use_backend(chosen):
            start.wait(10)
            for _ in range(5):
                getattr(tensorops, op)(*[x.copy() for x in operands], **params)

    other = next(item for item in (*NAMES[::-1], "numpy") if (op, item) in pairs() and item != name)
    with backends_that_run() as ran:
        threads = [threading.Thread(target=body, args=(chosen,)) for chosen in (name, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for chosen in (name, other):
        assert ran.count(chosen) == 5 or (chosen in COMPILED and ran.count(chosen) == 0)
    assert set(ran) <= {name, other}
    # This thread has asked for nothing.
    assert selection.active_backend() is None


def test_tasks_keep_their_backend() -> None:
    x = np.eye(4, dtype=np.float32)

    async def compute(name: str) -> list[str]:
        mine: list[str] = []
        with tensorops.use_backend(name):
            for _ in range(3):
                before = len(ran)
                tensorops.matmul(x, x)
                mine += ran[before:]
                await asyncio.sleep(0)
        return mine

    async def all_at_once() -> list[list[str]]:
        return await asyncio.gather(*(compute(name) for name in NAMES))

    with backends_that_run() as ran:
        found = asyncio.run(all_at_once())
    assert found == [[] if name in COMPILED else [name] * 3 for name in NAMES]


def test_unknown_names_list_the_known_ones() -> None:
    x = np.eye(2)
    known = ", ".join(tensorops.backends())
    for call in (lambda: tensorops.matmul(x, x, backend="nowhere"), lambda: tensorops.use_backend("nowhere")):
        with pytest.raises(ValueError, match="nowhere") as caught:
            call()
        assert known in str(caught.value)
