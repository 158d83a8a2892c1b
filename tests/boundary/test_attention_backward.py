"""The gradients of attention against the definition, finite differences and PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.operations import OPERATIONS
from tests.boundary.test_attention import DTYPES, MR, NR, Array, operands_of, shapes_of

SPEC = OPERATIONS["attention_backward"]


def gradients_of(shapes: Any, dtype: str, seed: int = 0, **params: Any) -> tuple[Array, ...]:
    q, k, v = shapes
    out = (*q[:-1], v[-1])
    assert SPEC.operands is not None
    return SPEC.operands((out, q, k, v, out), dtype, np.random.default_rng(seed), params)


def check(operands: Sequence[Array], results: Any, **params: Any) -> None:
    expected, bound = SPEC.reference(*operands, **params), SPEC.error_bound(*operands, **params)
    for result, exact, allowed in zip(results, expected, bound, strict=True):
        assert result.dtype == operands[0].dtype
        assert result.shape == exact.shape
        assert np.all(np.abs(result - exact) <= allowed)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("queries", [1, NR - 1, 2 * NR + 1])
@pytest.mark.parametrize("keys", [1, MR + 1, 113, 250])
def test_edges_of_blocks(keys: int, queries: int, dtype: str, causal: bool) -> None:
    operands = gradients_of(shapes_of((2,), queries, keys, MR + 1, NR + 1), dtype, causal=causal)
    check(operands, tensorops.attention_backward(*operands, causal=causal), causal=causal)


def test_any_sizes_and_layouts(rng: np.random.Generator) -> None:
    for number in range(40):
        sizes = [int(rng.integers(1, high)) for high in (90, 150, 40, 40)]
        params = {"causal": bool(number % 5 % 2), "scale": 0.4}
        heads = [(), (3,), (2, 2)][number % 3]
        operands = gradients_of(shapes_of(heads, *sizes), DTYPES[number % 2], number, **params)
        given: Sequence[Array] = operands
        if number % 4:
            given = [np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) for x in operands]
            given[number % 5] = np.repeat(operands[number % 5], 2, axis=-1)[..., ::2]
        check(operands, tensorops.attention_backward(*given, **params), **params)


def test_no_elements() -> None:
    for queries, keys, depth, width in ((0, 3, 2, 2), (3, 0, 2, 2), (3, 4, 0, 2), (3, 4, 2, 0)):
        for heads in ((), (0,), (2,)):
            operands = gradients_of(shapes_of(heads, queries, keys, depth, width), "float32")
            check(operands, tensorops.attention_backward(*operands))


def test_the_gradients_are_the_differences_of_attention() -> None:
    params: dict[str, Any] = {"causal": True, "scale": 0.7}
    grad, q, k, v, out = gradients_of(shapes_of((2,), 4, 3, 2, 3), "float64", **params)
    for operand, result in zip(
        (q, k, v), tensorops.attention_backward(grad, q, k, v, out, **params), strict=True
    ):
        numeric = np.empty_like(operand)
        for place in np.ndindex(operand.shape):
            value, sides = operand[place], []
            for step in (1e-6, -1e-6):
                operand[place] = value + step
                sides.append(np.sum(grad * tensorops.attention(q, k, v, **params)))
            operand[place] = value
            numeric[place] = (sides[0] - sides[1]) / 2e-6
        assert np.allclose(result, numeric, rtol=1e-6, atol=1e-6)


def test_the_gradients_are_pytorch_s() -> None:
    torch = pytest.importorskip("torch")
    grad, *operands = gradients_of(shapes_of((2, 3), 20, 30, 8, 8), "float64", causal=True)
    tensors = [torch.from_numpy(x).requires_grad_() for x in operands[:3]]
    result = torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=True)
    result.backward(torch.from_numpy(grad))
    for found, tensor in zip(
        tensorops.attention_backward(grad, *operands, causal=True), tensors, strict=True
    ):
        assert np.allclose(found, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_threads_change_nothing() -> None:
    operands = gradients_of(shapes_of((5,), 70, 80, 32, 32), "float32")
    before = tensorops.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            tensorops.set_num_threads(threads)
            results.append(tensorops.attention_backward(*operands))
    finally:
        tensorops.set_num_threads(before)
    # Each head is one thread's work.
    assert all(map(np.array_equal, *results))
    check(operands, results[0])


@pytest.mark.parametrize("backend", ["numpy", "blocked"])
def test_backends_agree(backend: str) -> None:
    operands = gradients_of(shapes_of((2,), 9, 12, 8, 6), "float64", causal=True)
    with tensorops.use_backend(backend):
        check(operands, tensorops.attention_backward(*operands, causal=True), causal=True)


def test_other_dtypes_go_to_numpy() -> None:
    half = [x.astype("float16") for x in gradients_of(shapes_of((), 3, 4, 5, 2), "float64")]
    assert [x.dtype for x in tensorops.attention_backward(*half)] == [np.float16] * 3
    half[1] = half[1].astype("float64")
    assert [x.dtype for x in tensorops.attention_backward(*half)] == [np.float64] * 3


def test_what_is_wrong_is_named() -> None:
    grad, q, k, v, out = gradients_of(shapes_of((2,), 3, 4, 5, 2), "float64")
    with pytest.raises(ValueError, match="leading dimensions"):
        tensorops.attention_backward(grad, q, k[0], v, out)
    with pytest.raises(ValueError, match=r"gives \(2, 3, 2\)"):
        tensorops.attention_backward(grad[:, :2], q, k, v, out)
    with pytest.raises(ValueError, match="of one length"):
        tensorops.attention_backward(grad, q[..., :3], k, v, out)
    with pytest.raises(TypeError, match="scale must be a number"):
        tensorops.attention_backward(grad, q, k, v, out, scale="half")


def test_the_bound_catches_a_lost_key() -> None:
    operands = gradients_of(shapes_of((), 5, 6, 4, 4), "float32")
    dq, dk, dv = operands_of(((5, 4), (6, 4), (6, 4)), "float32")
    with pytest.raises(AssertionError):
        check(operands, (dq, dk, dv))
