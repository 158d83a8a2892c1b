"""Layers as NumPy users write them: a product, then a pass for the bias and some for the activation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorops.activations import operation_of
from tensorops.numpy_twins import elementwise


def linear(x: Any, weight: Any, bias: Any = None, out: Any = None, *, activation: str | None = None) -> Any:
    """Return x @ weight + bias, put through the activation."""
    result = np.matmul(x, weight, out=out)
    if bias is not None:
        result = np.add(result, bias, out=result if _holds(result, bias) else out)
    if activation is None:
        return result
    name, params = operation_of(activation)
    function = getattr(elementwise, name, None) or getattr(np, name)
    return function(result, out=result if _holds(result, np.float16) else out, **params)


def linear_backward(grad: Any, x: Any, weight: Any, out: Any = None, *, bias: bool = True) -> Any:
    """Return grad @ weight.T, x.T @ grad and, unless `bias` is false, the sum of grad's rows."""
    first, second, third = (None, None, None) if out is None else out
    columns, inputs = np.shape(weight)[1], np.shape(weight)[0]
    rows = np.reshape(grad, (math.prod(np.shape(grad)[:-1]), columns))
    lines = np.reshape(x, (math.prod(np.shape(x)[:-1]), inputs))
    total = np.add.reduce(rows, axis=0, out=third) if bias else None
    return (
        np.matmul(grad, np.transpose(weight), out=first),
        np.matmul(np.transpose(lines), rows, out=second),
        total,
    )


def _holds(result: Any, other: Any) -> bool:
    """Tell whether a sum with `other` can be written over `result`."""
    return isinstance(result, np.ndarray) and bool(np.result_type(result, other) == result.dtype)
