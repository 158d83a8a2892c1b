"""Every operation takes the path that the profile says, and ``explain`` tells which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.backends import ComputeBackend, get_backend, unregister_backend
from tensorops.backends.base import Call
from tensorops.dispatch import schema, selection, table
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.dispatch.running import BackendWarning
from tensorops.operations import OPERATIONS, OpSpec
from tests.boundary.contract import Array

OWN = "blocked"


class Recorder(ComputeBackend):
    """A backend that notes what it is asked to compute, and has NumPy compute it or fails."""

    name = "recorder"

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.ran: list[tuple[str, dict[str, Any]]] = []

    def supports(self, call: Call) -> str | None:
        return get_backend("numpy").supports(call)

    def run(self, op: str, arrays: Sequence[Array], out: Any, **params: Any) -> Any:
        self.ran.append((op, params))
        if self.fails:
            raise ArithmeticError("broken on purpose")
        params.pop("variant", None)
        return get_backend("numpy").run(op, arrays, out, **params)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    backend = Recorder()
    tensorops.register_backend(backend)
    yield backend
    unregister_backend(backend.name)


def twins() -> list[str]:
    return [name for name, spec in OPERATIONS.items() if spec.numpy_function() is not None]


def operands_of(spec: OpSpec, dtype: str = "float32") -> tuple[Any, ...]:
    """Return operands of a small call of an operation."""
    shapes, rng = spec.example_shapes[0], np.random.default_rng(3)
    if spec.operands is not None:
        return spec.operands(shapes, dtype, rng, spec.example_params[0])
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


def entry_of(op: str, fastest: str, shapes: Sequence[tuple[int, ...]], params: Mapping[str, Any]) -> Entry:
    call = Call.of(op, "float32", shapes, "", params, tensorops.get_num_threads())
    paths = [path for name in tensorops.backends() for path in get_backend(name).paths_of(op)]
    results = {path: PathResult(1.0, 0.9, 1.1) for path in paths}
    results[fastest] = PathResult(1e-6, 0.9e-6, 1.1e-6)
    middle = table.representative(shapes, op, call.params)
    return Entry(op, "float32", middle, call.layout, call.params, call.in_place, call.threads, results)


def prefer(fastest: str) -> None:
    """Have the profile say that one path is the fastest for small calls of every operation with a twin."""
    entries = [
        entry_of(op, fastest, OPERATIONS[op].example_shapes[0], params)
        for op in twins()
        for params in OPERATIONS[op].example_params
    ]
    schema.save(Profile(schema.fingerprint(), tuple(entries)))
    selection.reload_profile()


def call(op: str, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Return the result; of an operation that changes several operands, what they hold afterwards."""
    result = getattr(tensorops, op)(*operands, **params)
    changed = OPERATIONS[op].changed
    return tuple(operands[place] for place in changed) if len(changed) > 1 else result


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, tuple):
        return all(map(equal, first, second))
    return bool(np.array_equal(first, second, equal_nan=True))


def test_without_a_profile_the_own_kernels_compute_every_operation() -> None:
    for op, spec in OPERATIONS.items():
        for shapes in spec.example_shapes:
            choice = tensorops.explain(op, *shapes, **spec.example_params[0]).choice
            assert choice.path.partition("/")[0] == OWN, op


def test_the_profile_decides_for_every_operation(recorder: Recorder) -> None:
    prefer("recorder")
    for op in twins():
        spec = OPERATIONS[op]
        operands, params = operands_of(spec), spec.example_params[0]
        assert tensorops.explain(op, *operands, **params).choice.path == "recorder", op
        recorder.ran.clear()
        result = call(op, [np.copy(x) for x in operands], params)
        assert [name for name, _ in recorder.ran] == [op]
        function = spec.numpy_function()
        assert function is not None
        assert equal(result, function(*[np.copy(x) for x in operands], **params)), op


def test_numpy_computes_where_it_is_the_fastest() -> None:
    prefer("numpy")
    for op in twins():
        spec = OPERATIONS[op]
        operands, params = operands_of(spec), spec.example_params[0]
        assert tensorops.explain(op, *operands, **params).choice.path == "numpy", op
        function = spec.numpy_function()
        assert function is not None
        expected = function(*[np.copy(x) for x in operands], **params)
        assert equal(call(op, [np.copy(x) for x in operands], params), expected), op


def test_the_parameters_that_change_the_work_are_told_apart(recorder: Recorder) -> None:
    shapes = ((1000,),)
    entries = [
        entry_of("gelu", path, shapes, {"approximate": kind})
        for kind, path in (("none", "recorder"), ("tanh", OWN))
    ]
    schema.save(Profile(schema.fingerprint(), tuple(entries)))
    selection.reload_profile()
    assert tensorops.explain("gelu", *shapes).choice.path == "recorder"
    assert tensorops.explain("gelu", *shapes, approximate="tanh").choice.path == OWN
    x = np.ones(1000, np.float32)
    tensorops.gelu(x)
    tensorops.gelu(x, approximate="tanh")
    assert [params["approximate"] for _, params in recorder.ran] == ["none"]


def test_strided_operands_are_told_apart_from_dense_ones(recorder: Recorder) -> None:
    prefer("recorder")
    x = np.ones((40, 50), np.float32)
    for operand, letter in ((x[:, ::2], "S"), (x.T[:, :25], "F"), (x[:20], "C")):
        assert tensorops.explain("relu", operand).call.layout == letter
        recorder.ran.clear()
        tensorops.relu(operand)
        assert (len(recorder.ran) == 1) == (tensorops.explain("relu", operand).choice.path == "recorder")


@pytest.mark.parametrize("change", [lambda x: tensorops.relu_(x), lambda x: tensorops.relu(x, out=x)])
def test_a_backend_that_fails_on_the_user_s_memory_is_not_replaced(
    recorder: Recorder, change: Callable[[Array], Array]
) -> None:
    prefer("recorder")
    recorder.fails = True
    x = np.ones(1000, np.float32)
    with pytest.raises(ArithmeticError, match="on purpose"):
        change(x)


def test_a_backend_that_fails_on_a_new_array_is_replaced(recorder: Recorder) -> None:
    prefer("recorder")
    recorder.fails = True
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    with pytest.warns(BackendWarning, match="'recorder' is replaced by 'blocked'"):
        result = tensorops.relu(x)
    assert np.array_equal(result, np.maximum(x, 0))
    assert tensorops.explain("relu", x).choice.path == OWN
    with tensorops.use_backend("recorder"), pytest.raises(ArithmeticError, match="on purpose"):
        tensorops.relu(x)
