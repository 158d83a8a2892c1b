"""PyTorch's CPU build in eager mode, with what it links: MKL, oneDNN."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType
from typing import Any

from tensorops.activations import operation_of

from ...cases import Case, Results
from ...cases.steps import STEPS, torch_step
from ..libraries import Array, Loop, Rival
from ..timer import loop_with_out

Prepare = Callable[..., Callable[[], Any]]
"""``prepare(torch, out, *operands, **params)`` on tensors; its call returns the result, or None."""


class TorchLibrary(Rival):
    """PyTorch's CPU build, on tensors that share the arrays' memory."""

    name = "torch"

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        return None if op.removesuffix("_") in torch_calls() else f"torch has no {op}"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        importlib.import_module(self.name).set_num_threads(threads)

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Loop:
        """Return ``loop(n)``: n calls whose result is in `out` afterwards, and their elapsed seconds."""
        torch = importlib.import_module(self.name)
        # Users of PyTorch who want inference speed switch gradients off; it is the fair comparison.
        torch.set_grad_enabled(False)
        if case.op == "matmul":
            return loop_with_out(torch.matmul, *(torch.from_numpy(array) for array in (*operands, out)))
        return super().loop(case, operands, out)

    def prepare(
        self, case: Case, operands: Sequence[Array], out: Array | tuple[Array, ...]
    ) -> Callable[[], Any]:
        """Return a call that computes the case: see `Rival`."""
        torch = importlib.import_module(self.name)
        # What is changed in place is one tensor, as operand and as result.
        made: dict[int, Any] = {}
        for array in (*operands, *(out if isinstance(out, tuple) else (out,))):
            if id(array) not in made:
                made[id(array)] = torch.from_numpy(array)
        result = tuple(made[id(one)] for one in out) if isinstance(out, tuple) else made[id(out)]
        given = [made[id(array)] for array in operands]
        return torch_calls()[case.op.removesuffix("_")](torch, result, *given, **dict(case.params))


def _written(function: Callable[..., Any]) -> Prepare:
    """Return the preparation of a function that writes its second argument."""

    def prepare(torch: Any, out: Any, *operands: Any, **params: Any) -> Callable[[], Any]:
        def call() -> None:
            function(torch, out, *operands, **params)

        return call

    return prepare


def _changing(name: str, place: str = "") -> Prepare:
    """Return the preparation of a function that has a form ``name(x, out=)`` and one in place, ``name_(x)``.

    Both are bound to Python, which ``torch.ops`` is not: at a thousand elements that is half the time.
    """

    def prepare(torch: Any, out: Any, x: Any, **params: Any) -> Callable[[], Any]:
        module = torch._C._nn if place else torch
        if out is x:
            return _quiet(partial(getattr(module, f"{name}_"), x, **params))
        return _quiet(partial(getattr(module, name), x, out=out, **params))

    return prepare


def _quiet(call: Callable[[], Any]) -> Callable[[], None]:
    def quiet() -> None:
        call()

    return quiet


def _relu(torch: Any, out: Any, x: Any) -> Callable[[], Any]:
    return _quiet(partial(torch.relu_, x) if out is x else partial(torch.clamp_min, x, 0, out=out))


def _gelu(torch: Any, out: Any, x: Any, *, approximate: str = "none") -> Callable[[], Any]:
    if approximate == "sigmoid":

        def composed() -> None:
            torch.mul(x, torch.sigmoid(1.702 * x), out=out)

        return composed
    functions = torch._C._nn
    if out is x:
        return _quiet(partial(functions.gelu_, x, approximate=approximate))
    return _quiet(partial(functions.gelu, x, approximate=approximate, out=out))


def _leaky_relu(torch: Any, out: Any, x: Any, *, slope: float = 0.01) -> Callable[[], Any]:
    functions = torch._C._nn
    if out is x:
        return _quiet(partial(functions.leaky_relu_, x, slope))
    return _quiet(partial(functions.leaky_relu, x, slope, out=out))


def _bias_gelu(torch: Any, out: Any, x: Any, b: Any, *, approximate: str = "none") -> Callable[[], Any]:
    gelu = _gelu(torch, x, x, approximate=approximate)

    def call() -> None:
        torch.add(x, b, out=x)
        gelu()

    return call


def _axpy(torch: Any, out: Any, y: Any, x: Any, *, alpha: float) -> Callable[[], Any]:
    return _quiet(partial(torch.add, y, x, alpha=alpha, out=out))


def _gelu_backward(
    torch: Any, out: Any, grad: Any, x: Any, *, approximate: str = "none"
) -> Callable[[], Any]:
    if approximate != "sigmoid":
        kernel = torch.ops.aten.gelu_backward.grad_input
        return _quiet(partial(kernel, grad, x, approximate=approximate, grad_input=out))

    def composed() -> None:
        s = torch.sigmoid(1.702 * x)
        torch.mul(grad, s + 1.702 * x * s * (1 - s), out=out)

    return composed


def _linear(
    torch: Any, out: Any, x: Any, weight: Any, bias: Any, *, activation: str | None = None
) -> Callable[[], Any]:
    activate: Callable[[], Any] | None = None
    if activation is not None:
        name, params = operation_of(activation)
        activate = torch_calls()[name](torch, out, out, **params)

    def call() -> None:
        torch.addmm(bias, x, weight, out=out)
        if activate is not None:
            activate()

    return call


def _linear_backward(
    torch: Any, out: Any, grad: Any, x: Any, weight: Any, *, bias: bool = True
) -> Callable[[], Any]:
    dx, dweight, *rest = out

    def call() -> None:
        torch.mm(grad, weight.t(), out=dx)
        torch.mm(x.t(), grad, out=dweight)
        if bias:
            torch.sum(grad, 0, out=rest[0])

    return call


def _conv2d(
    torch: Any, out: Any, x: Any, weight: Any, bias: Any, *, activation: str | None = None, **params: Any
) -> Callable[[], Any]:
    convolve = partial(torch.conv2d, x, weight, bias, **params)
    if activation is None:
        return convolve
    name, options = operation_of(activation)

    def call() -> Any:
        result = convolve()
        torch_calls()[name](torch, result, result, **options)()
        return result

    return call


def _conv2d_backward(
    torch: Any,
    out: Any,
    grad: Any,
    x: Any,
    weight: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    bias: bool = True,
    need_dx: bool = True,
) -> Callable[[], Any]:
    strides, paddings = ([one, one] if isinstance(one, int) else list(one) for one in (stride, padding))
    mask = [need_dx, True, bias]
    return partial(
        torch.ops.aten.convolution_backward,
        *(grad, x, weight, [weight.shape[0]], strides, paddings, [1, 1], False, [0, 0], 1, mask),
    )


def _attention(
    torch: Any, out: Any, q: Any, k: Any, v: Any, *, causal: bool = False, scale: float | None = None
) -> Callable[[], Any]:
    # Its fused kernel takes four dimensions; with three, PyTorch would write the scores to memory.
    heads = [x.unsqueeze(0) for x in (q, k, v)]
    function = torch.nn.functional.scaled_dot_product_attention
    return lambda: function(*heads, is_causal=causal, scale=scale)[0]


def _attention_backward(
    torch: Any,
    out: Any,
    grad: Any,
    q: Any,
    k: Any,
    v: Any,
    result: Any,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Callable[[], Any]:
    aten = torch.ops.aten
    dq, q, k, v, o = (x.unsqueeze(0) for x in (grad, q, k, v, result))
    # PyTorch has kept the logarithms of the sums from the way forward.
    _, sums = aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal, scale=scale)
    kernel = aten._scaled_dot_product_flash_attention_for_cpu_backward
    return lambda: [x[0] for x in kernel(dq, q, k, v, o, sums, 0.0, causal, scale=scale)]


def _layer_norm(
    torch: Any, out: Any, x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5
) -> Callable[[], Any]:
    return partial(torch.nn.functional.layer_norm, x, x.shape[-1:], weight, bias, eps)


def _rms_norm(torch: Any, out: Any, x: Any, weight: Any = None, *, eps: float = 1e-5) -> Callable[[], Any]:
    return partial(torch.nn.functional.rms_norm, x, x.shape[-1:], weight, eps)


def _layer_norm_backward(
    torch: Any, out: Any, grad: Any, x: Any, weight: Any, *, eps: float = 1e-5
) -> Callable[[], Any]:
    shape, zeros, aten = list(x.shape[-1:]), torch.zeros_like(weight), torch.ops.aten
    # PyTorch has kept mean and factor from the way forward.
    _, mean, factor = aten.native_layer_norm(x, shape, weight, zeros, eps)
    mask = [True, True, True]
    return partial(aten.native_layer_norm_backward, grad, x, shape, mean, factor, weight, zeros, mask)


def _softmax_backward(torch: Any, out: Any, grad: Any, y: Any, *, axis: int = -1) -> Callable[[], Any]:
    return partial(torch.ops.aten._softmax_backward_data, grad, y, axis, grad.dtype)


def _cross_entropy(torch: Any, out: Any, logits: Any, targets: Any) -> Callable[[], Any]:
    return partial(torch.nn.functional.cross_entropy, logits, targets)


def _adam(decoupled: bool) -> Prepare:
    def prepare(
        torch: Any,
        out: Any,
        p: Any,
        g: Any,
        m: Any,
        v: Any,
        *,
        step: int,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> Callable[[], Any]:
        # The kernel of ``torch.optim.Adam(fused=True)``, without what the optimizer's Python adds.
        kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        lists: list[list[Any]] = [[p], [g], [m], [v], [], [torch.tensor(float(step))]]
        options = {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay, "eps": eps}
        return _quiet(partial(kernel, *lists, **options, amsgrad=False, maximize=False))

    return prepare


def _sgd(
    torch: Any,
    out: Any,
    p: Any,
    g: Any,
    velocity: Any,
    *,
    lr: float,
    momentum: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
) -> Callable[[], Any]:
    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    kernel = partial(torch._fused_sgd_, [p], [g], [velocity], **options)
    return _quiet(partial(kernel, dampening=0.0, maximize=False, is_first_step=False))


@cache
def torch_calls() -> Mapping[str, Prepare]:
    """Return what is measured, by operation without the underscore of one that works in place.

    Returns
    -------
    mapping of str to callable
        ``prepare(torch, out, *operands, **params)`` returns a call.
    """
    backend = importlib.import_module("tensorops.backends.torch_backend")
    return MappingProxyType(
        {
            **{name: _written(function) for name, function in backend.FUNCTIONS.items()},
            **{name: _changing(name) for name in ("exp", "tanh", "sigmoid")},
            **{name: _changing(name, "_C._nn") for name in ("silu", "elu")},
            "relu": _relu,
            "leaky_relu": _leaky_relu,
            "gelu": _gelu,
            "axpy": _axpy,
            "bias_gelu": _bias_gelu,
            "gelu_backward": _gelu_backward,
            "linear": _linear,
            "linear_backward": _linear_backward,
            "conv2d": _conv2d,
            "conv2d_backward": _conv2d_backward,
            "attention": _attention,
            "attention_backward": _attention_backward,
            "layer_norm": _layer_norm,
            "rms_norm": _rms_norm,
            "layer_norm_backward": _layer_norm_backward,
            "softmax_backward": _softmax_backward,
            "cross_entropy": _cross_entropy,
            "adam_step": _adam(False),
            "adamw_step": _adam(True),
            "sgd_step": _sgd,
            **{name: _training(name) for name in STEPS},
        }
    )


def _training(name: str) -> Prepare:
    def prepare(torch: Any, out: Any, *operands: Any, **params: Any) -> Callable[[], Any]:
        return torch_step(torch, *operands, **params)

    return prepare
