"""PyTorch's functions for the operations on rows: ``function(torch, out, *operands, **params)``."""

from __future__ import annotations

from typing import Any


def softmax(torch: Any, out: Any, x: Any, *, axis: int = -1) -> None:
    """Write softmax along an axis."""
    torch.softmax(x, axis, out=out)


def log_softmax(torch: Any, out: Any, x: Any, *, axis: int = -1) -> None:
    """Write the logarithm of softmax along an axis."""
    torch.log_softmax(x, axis, out=out)


def softmax_backward(torch: Any, out: Any, grad: Any, y: Any, *, axis: int = -1) -> None:
    """Write the gradient of softmax's operand."""
    # Its kernel takes the strides of the first operand for those of all.
    operands = grad.contiguous(), y.contiguous()
    out.copy_(torch.ops.aten._softmax_backward_data(*operands, axis, grad.dtype))


def layer_norm(
    torch: Any, out: Any, x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5
) -> None:
    """Write rows with mean 0 and variance 1, times a weight, plus a bias."""
    out.copy_(torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps))


def layer_norm_backward(
    torch: Any, out: Any, grad: Any, x: Any, weight: Any = None, *, eps: float = 1e-5
) -> None:
    """Write the gradients of layer_norm's operand, weight and bias."""
    shape = list(x.shape[-1:])
    given = torch.ones(shape, dtype=x.dtype, device=x.device) if weight is None else weight
    _, mean, scale = torch.ops.aten.native_layer_norm(x, shape, given, None, eps)
    # A bias is there for its gradient alone.
    results = torch.ops.aten.native_layer_norm_backward(
        grad, x, shape, mean, scale, given, torch.zeros_like(given), [True, True, True]
    )
    for one, result in zip(out, results, strict=True):
        one.copy_(result)


def rms_norm(torch: Any, out: Any, x: Any, weight: Any = None, *, eps: float = 1e-5) -> None:
    """Write rows with a mean square of 1, times a weight."""
    out.copy_(torch.nn.functional.rms_norm(x, x.shape[-1:], weight, eps))


def cross_entropy(torch: Any, out: Any, logits: Any, targets: Any) -> None:
    """Write the mean loss."""
    out.copy_(torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)))


def cross_entropy_backward(torch: Any, out: Any, logits: Any, targets: Any) -> None:
    """Write the gradient of the mean loss for the logits."""
    torch.softmax(logits, -1, out=out)
    place = targets.unsqueeze(-1)
    out.scatter_add_(-1, place, torch.full(place.shape, -1, dtype=out.dtype, device=out.device))
    out.div_(targets.numel())


FUNCTIONS = {
    function.__name__: function
    for function in (
        softmax,
        log_softmax,
        softmax_backward,
        layer_norm,
        layer_norm_backward,
        rms_norm,
        cross_entropy,
        cross_entropy_backward,
    )
}
"""By operation."""
