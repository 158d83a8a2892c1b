"""Small networks for whole training steps: their gradients by operations, and their loss in PyTorch.

The gradients are written once over operations by name, which this library or NumPy provides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.nn import MaxPool2d

Array = NDArray[Any]
Operations = Callable[[str], Callable[..., Any]]
Shape = tuple[int, ...]

CLASSES = 10
HEADS, WIDTH, INNER = 4, 256, 1024


@dataclass(frozen=True, slots=True)
class Network:
    """A network that is trained on a batch.

    Attributes
    ----------
    batch : int
        Examples.
    example : tuple of int
        Shape of one.
    target : tuple of int
        Shape of what one should give; empty for a class.
    weights : tuple of tuple of int
        Shapes of the parameters.
    flops : int
        Floating-point operations of the gradients, an example.
    gradients : callable
        ``gradients(operations, x, target, *weights)``: the loss is computed on the way, as it is in training.
    torch_loss : callable
        ``torch_loss(torch, x, target, *weights)`` on tensors.
    by_hand : callable or None
        The gradients as a NumPy user writes them, where that is faster than operation by operation.
    """

    batch: int
    example: Shape
    target: Shape
    weights: tuple[Shape, ...]
    flops: int
    gradients: Callable[..., tuple[Array, ...]]
    torch_loss: Callable[..., Any]
    by_hand: Callable[..., tuple[Array, ...]] | None = None


def _mlp(ops: Operations, x: Array, labels: Array, *weights: Array) -> tuple[Array, ...]:
    w1, b1, w2, b2 = weights
    hidden = ops("linear")(x, w1, b1, activation="relu")
    scores = ops("linear")(hidden, w2, b2)
    ops("cross_entropy")(scores, labels)
    grad = ops("cross_entropy_backward")(scores, labels)
    back, dw2, db2 = ops("linear_backward")(grad, hidden, w2)
    back = ops("relu_backward_")(back, hidden)
    return ops("matmul")(x.T, back), back.sum(axis=0), dw2, db2


def _mlp_by_hand(x: Array, labels: Array, *weights: Array) -> tuple[Array, ...]:
    w1, b1, w2, b2 = weights
    hidden = np.maximum(x @ w1 + b1, 0)
    scores = hidden @ w2 + b2
    scores -= scores.max(axis=1, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    # The loss is part of every step: a user looks at it.
    float(-np.log(chances[rows, labels]).mean())
    chances[rows, labels] -= 1
    grad = chances / x.dtype.type(len(labels))
    back = (grad @ w2.T) * (hidden > 0)
    return x.T @ back, back.sum(axis=0), hidden.T @ grad, grad.sum(axis=0)


def _torch_mlp(torch: Any, x: Any, labels: Any, *weights: Any) -> Any:
    w1, b1, w2, b2 = weights
    hidden = torch.relu(torch.addmm(b1, x, w1))
    return torch.nn.functional.cross_entropy(torch.addmm(b2, hidden, w2), labels)


def _cnn(ops: Operations, x: Array, labels: Array, *weights: Array) -> tuple[Array, ...]:
    w1, b1, w2, b2, w3, b3 = weights
    inner, outer = MaxPool2d(2), MaxPool2d(2)
    first = ops("conv2d")(x, w1, b1, padding=1, activation="relu")
    pooled = inner.forward(first)
    second = ops("conv2d")(pooled, w2, b2, padding=1, activation="relu")
    maps = outer.forward(second)
    flat = maps.reshape(len(x), -1)
    scores = ops("linear")(flat, w3, b3)
    ops("cross_entropy")(scores, labels)
    grad = ops("cross_entropy_backward")(scores, labels)
    back, dw3, db3 = ops("linear_backward")(grad, flat, w3)
    back = ops("relu_backward_")(outer.backward(back.reshape(maps.shape)), second)
    back, dw2, db2 = ops("conv2d_backward")(back, pooled, w2, padding=1)
    back = ops("relu_backward_")(inner.backward(back), first)
    _, dw1, db1 = ops("conv2d_backward")(back, x, w1, padding=1)
    return dw1, db1, dw2, db2, dw3, db3


def _torch_cnn(torch: Any, x: Any, labels: Any, *weights: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = weights
    functions = torch.nn.functional
    first = functions.max_pool2d(torch.relu(torch.conv2d(x, w1, b1, padding=1)), 2)
    second = functions.max_pool2d(torch.relu(torch.conv2d(first, w2, b2, padding=1)), 2)
    return functions.cross_entropy(torch.addmm(b3, second.flatten(1), w3), labels)


def _transformer(ops: Operations, x: Array, target: Array, *weights: Array) -> tuple[Array, ...]:
    g1, c1, wqkv, bqkv, wo, bo, g2, c2, w1, b1, w2, b2 = weights
    batch, length, _ = x.shape
    flat = x.reshape(-1, WIDTH)
    normed = ops("layer_norm")(flat, g1, c1)
    mixed = ops("linear")(normed, wqkv, bqkv).reshape(batch, length, 3, HEADS, -1)
    q, k, v = mixed.transpose(2, 0, 3, 1, 4)
    heads = ops("attention")(q, k, v, causal=True)
    joined = heads.transpose(0, 2, 1, 3).reshape(-1, WIDTH)
    between = flat + ops("linear")(joined, wo, bo)
    again = ops("layer_norm")(between, g2, c2)
    inner = ops("linear")(again, w1, b1)
    hidden = ops("gelu")(inner, approximate="tanh")
    distance = between + ops("linear")(hidden, w2, b2) - target.reshape(-1, WIDTH)
    float(np.square(distance).mean())
    grad = distance * distance.dtype.type(2 / distance.size)
    back, dw2, db2 = ops("linear_backward")(grad, hidden, w2)
    back = ops("gelu_backward_")(back, inner, approximate="tanh")
    back, dw1, db1 = ops("linear_backward")(back, again, w1)
    back, dg2, dc2 = ops("layer_norm_backward")(back, between, g2)
    back, dwo, dbo = ops("linear_backward")(back + grad, joined, wo)
    back = back.reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3)
    parts = ops("attention_backward")(back, q, k, v, heads, causal=True)
    back = np.stack(parts).transpose(1, 3, 0, 2, 4).reshape(-1, 3 * WIDTH)
    back, dwqkv, dbqkv = ops("linear_backward")(back, normed, wqkv)
    _, dg1, dc1 = ops("layer_norm_backward")(back, flat, g1)
    return dg1, dc1, dwqkv, dbqkv, dwo, dbo, dg2, dc2, dw1, db1, dw2, db2


def _torch_transformer(torch: Any, x: Any, target: Any, *weights: Any) -> Any:
    g1, c1, wqkv, bqkv, wo, bo, g2, c2, w1, b1, w2, b2 = weights
    functions = torch.nn.functional
    batch, length, _ = x.shape
    flat = x.reshape(-1, WIDTH)
    normed = functions.layer_norm(flat, (WIDTH,), g1, c1)
    mixed = torch.addmm(bqkv, normed, wqkv).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    heads = functions.scaled_dot_product_attention(*mixed, is_causal=True)
    joined = heads.transpose(1, 2).reshape(-1, WIDTH)
    between = flat + torch.addmm(bo, joined, wo)
    again = functions.layer_norm(between, (WIDTH,), g2, c2)
    hidden = functions.gelu(torch.addmm(b1, again, w1), approximate="tanh")
    return functions.mse_loss(between + torch.addmm(b2, hidden, w2), target.reshape(-1, WIDTH))


_MLP_INPUTS, _MLP_HIDDEN = 784, 256
_SIDE, _FIRST, _SECOND, _FLAT = 28, 16, 32, 32 * 7 * 7
_LENGTH = 128
NETWORKS: dict[str, Network] = {
    "mlp": Network(
        64,
        (_MLP_INPUTS,),
        (),
        ((_MLP_INPUTS, _MLP_HIDDEN), (_MLP_HIDDEN,), (_MLP_HIDDEN, CLASSES), (CLASSES,)),
        2 * (2 * _MLP_INPUTS * _MLP_HIDDEN + 3 * _MLP_HIDDEN * CLASSES),
        _mlp,
        _torch_mlp,
        _mlp_by_hand,
    ),
    "cnn": Network(
        32,
        (1, _SIDE, _SIDE),
        (),
        ((_FIRST, 1, 3, 3), (_FIRST,), (_SECOND, _FIRST, 3, 3), (_SECOND,), (_FLAT, CLASSES), (CLASSES,)),
        2 * (2 * 9 * _FIRST * _SIDE**2 + 3 * 9 * _FIRST * _SECOND * _SIDE**2 // 4 + 3 * _FLAT * CLASSES),
        _cnn,
        _torch_cnn,
    ),
    "transformer": Network(
        1,
        (_LENGTH, WIDTH),
        (_LENGTH, WIDTH),
        (
            *((WIDTH,), (WIDTH,), (WIDTH, 3 * WIDTH), (3 * WIDTH,), (WIDTH, WIDTH), (WIDTH,)),
            *((WIDTH,), (WIDTH,), (WIDTH, INNER), (INNER,), (INNER, WIDTH), (WIDTH,)),
        ),
        6 * _LENGTH * WIDTH * (4 * WIDTH + 2 * INNER) + 7 * _LENGTH**2 * WIDTH,
        _transformer,
        _torch_transformer,
    ),
}
"""By name: two layers; two convolutions with pooling; one block of a transformer, 128 places of width 256."""
