"""PyTorch: its CPU kernels on the caller's memory, and its CUDA kernels on copies.

PyTorch is imported by the first call that asks for it by name, never to answer a question.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from tensorops.activations import operation_of
from tensorops.backends import torch_rows
from tensorops.backends.base import FLOAT_DTYPES, Array, Call, ComputeBackend
from tensorops.operations import OPERATIONS
from tensorops.runtime import openmp

NOT_IMPORTED = "torch is not imported in this process: import it, or ask for backend={name!r}"

Function = Callable[..., None]

# What PyTorch keeps for the whole process is changed by one call at a time.
_lock = threading.RLock()


def _renew_lock() -> None:
    """Forget a lock that another thread of the parent may have held during a fork."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _named(name: str) -> Function:
    """Return a function of PyTorch's own name that takes ``out``."""

    def function(torch: Any, out: Any, *operands: Any, **params: Any) -> None:
        getattr(torch, name)(*operands, out=out, **params)

    return function


def _kernel(name: str, *, result: str) -> Function:
    """Return the kernel behind a function that has no ``out`` in PyTorch's public form."""

    def function(torch: Any, out: Any, *operands: Any, **params: Any) -> None:
        getattr(getattr(torch.ops.aten, name), result)(*operands, **params, **{result: out})

    return function


def _relu(torch: Any, out: Any, x: Any) -> None:
    torch.clamp(x, min=0, out=out)


def _clip(torch: Any, out: Any, x: Any, *, low: float, high: float) -> None:
    torch.clamp(x, low, high, out=out)


def _leaky_relu(torch: Any, out: Any, x: Any, *, slope: float = 0.01) -> None:
    torch.ops.aten.leaky_relu.out(x, slope, out=out)


def _elu(torch: Any, out: Any, x: Any, *, alpha: float = 1.0) -> None:
    torch.ops.aten.elu.out(x, alpha, out=out)


def _softplus(torch: Any, out: Any, x: Any) -> None:
    # Above the threshold PyTorch gives x itself: where exp(-x) is lost beside it, in either dtype.
    torch.ops.aten.softplus.out(x, 1, 40, out=out)


def _scale_shift(torch: Any, out: Any, x: Any, scale: Any, shift: Any) -> None:
    torch.addcmul(shift, x, scale, out=out)


def _add_relu(torch: Any, out: Any, x: Any, y: Any) -> None:
    torch.clamp(torch.add(x, y, out=out), min=0, out=out)


def _linear(
    torch: Any, out: Any, x: Any, weight: Any, bias: Any = None, *, activation: str | None = None
) -> None:
    torch.matmul(x, weight, out=out)
    if bias is not None:
        out.add_(bias)
    if activation is None:
        return
    if activation == "gelu_sigmoid":
        out.mul_(torch.sigmoid(1.702 * out))
        return
    name, params = operation_of(activation)
    getattr(torch.ops.aten, f"{name}_")(out, **params)


def _relu_backward(torch: Any, out: Any, grad: Any, y: Any) -> None:
    torch.ops.aten.threshold_backward.grad_input(grad, y, 0, grad_input=out)


def _conv2d(
    torch: Any, out: Any, x: Any, weight: Any, bias: Any = None, *, activation: Any = None, **params: Any
) -> None:
    if out.numel() == 0:
        return
    if x.shape[1] == 0:
        # PyTorch has no convolution without channels.
        out.copy_(torch.zeros(()) if bias is None else bias[:, None, None])
    else:
        out.copy_(torch.nn.functional.conv2d(x, weight, bias, **params))
    if activation is not None:
        name, options = operation_of(activation)
        FUNCTIONS[name](torch, out, out, **options)


def _attention(
    torch: Any, out: Any, q: Any, k: Any, v: Any, *, causal: bool = False, scale: float | None = None
) -> None:
    if k.shape[-2] == 0:
        out.zero_()
    elif out.numel():
        function = torch.nn.functional.scaled_dot_product_attention
        out.copy_(function(q, k, v, is_causal=causal, scale=scale))


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        **{name: _named(name) for name in ("matmul", "exp", "tanh", "maximum", "minimum")},
        **{name: _named(name) for name in ("add", "sub", "mul", "div")},
        "linear": _linear,
        "bias_add": _named("add"),
        "axpy": _named("add"),
        "relu": _relu,
        "leaky_relu": _leaky_relu,
        "elu": _elu,
        "softplus": _softplus,
        "clip": _clip,
        "scale_shift": _scale_shift,
        "bias_relu": _add_relu,
        "add_relu": _add_relu,
        "relu_backward": _relu_backward,
        "gelu_backward": _kernel("gelu_backward", result="grad_input"),
        "sigmoid_backward": _kernel("sigmoid_backward", result="grad_input"),
        "attention": _attention,
        "conv2d": _conv2d,
        "tanh_backward": _kernel("tanh_backward", result="grad_input"),
        "silu_backward": _kernel("silu_backward", result="grad_input"),
        **torch_rows.FUNCTIONS,
    }
)
"""By operation, without the underscore of one that works in place:
``function(torch, out, *operands, **params)`` on tensors of one device; a tuple of several results."""

INEXACT = MappingProxyType(
    {
        "gelu": "below -2 its digits cancel, beyond the error bound",
        "sigmoid": "it gives 0 where the result is subnormal",
        "silu": "it gives 0 where the result is subnormal",
    }
)
"""What PyTorch has, but not within the bounds that every backend keeps."""


class TorchBackend(ComputeBackend):
    """PyTorch on the CPU. Operands and result are tensors on the memory of the arrays.

    Only what PyTorch cannot describe is copied: negative strides.

    Examples
    --------
    >>> TorchBackend().paths()
    ('torch',)
    """

    name = "torch"
    device: ClassVar[str] = "cpu"

    def available(self) -> str | None:
        """Return why PyTorch cannot be used, without importing it: see `ComputeBackend`."""
        return None if _installed() else "torch is not installed: python -m pip install torch"

    def automatic(self) -> str | None:
        """Return why no call is given to PyTorch unless its caller asks for it: see `ComputeBackend`."""
        return None if _imported() else NOT_IMPORTED.format(name=self.name)

    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can: see `ComputeBackend`."""
        name = call.op.removesuffix("_")
        if name in INEXACT:
            return f"its {call.op}: {INEXACT[name]}"
        if call.op not in OPERATIONS or name not in FUNCTIONS:
            return f"it has no {call.op}"
        activation = dict(call.params).get("activation")
        if activation is not None and operation_of(str(activation))[0] in INEXACT:
            return f"its {activation}: {INEXACT[operation_of(str(activation))[0]]}"
        approximate = dict(call.params).get("approximate", "none")
        if approximate not in ("none", "tanh"):
            return f"its {call.op} has no approximate={approximate!r}"
        if call.dtype not in FLOAT_DTYPES:
            return f"dtype {call.dtype} is not {' or '.join(FLOAT_DTYPES)}"
        return None

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute `op` into `out`, with as many threads as asked for: see `ComputeBackend`."""
        function = FUNCTIONS.get(op.removesuffix("_"))
        if function is None:
            raise ValueError(f"backend {self.name!r} has no {op}")
        torch = importlib.import_module("torch")
        threads = params.pop("threads", 0) or openmp.get_num_threads()
        given: Any = out
        outs = given if isinstance(given, tuple) else (given,)
        results = [one if _fits(one) else np.empty(one.shape, one.dtype) for one in outs]
        targets = tuple(_tensor(torch, result) for result in results)
        operands = [_tensor(torch, x) for x in arrays]
        with _settings(torch, threads):
            self.compute(torch, function, operands, targets if given is outs else targets[0], params)
        for one, result in zip(outs, results, strict=True):
            if result is not one:
                one[...] = result
        return out

    def compute(
        self,
        torch: Any,
        function: Function,
        operands: Sequence[Any],
        out: Any,
        params: Mapping[str, Any],
    ) -> None:
        """Call one of `FUNCTIONS` on tensors of this backend's device.

        Parameters
        ----------
        torch : module
            PyTorch.
        function : callable
            One of `FUNCTIONS`.
        operands : sequence of Tensor
            In the main memory.
        out : Tensor or tuple of Tensor
            In the main memory.
        params : mapping
            The operation's parameters.
        """
        function(torch, out, *operands, **params)


class TorchCudaBackend(TorchBackend):
    """PyTorch on the current CUDA device. Operands are copied to it, the result is copied back.

    Examples
    --------
    >>> TorchCudaBackend().paths()
    ('torch_cuda',)
    """

    name = "torch_cuda"
    device = "cuda"

    def available(self) -> str | None:
        """Return why there is no CUDA device to compute on: see `ComputeBackend`.

        PyTorch is asked where it is imported; before that, whether it was built for CUDA decides.
        """
        reason = super().available()
        if reason is None and not _built_for_cuda():
            reason = "this torch is built without CUDA"
        if reason is None and _imported() and not sys.modules["torch"].cuda.is_available():
            reason = "torch finds no CUDA device"
        return reason

    def compute(
        self,
        torch: Any,
        function: Function,
        operands: Sequence[Any],
        out: Any,
        params: Mapping[str, Any],
    ) -> None:
        """Call one of `FUNCTIONS` on copies of the operands: see `TorchBackend.compute`."""
        reason = self.available()
        if reason is not None:
            raise RuntimeError(f"backend {self.name!r}: {reason}")
        outs = out if isinstance(out, tuple) else (out,)
        results = tuple(torch.empty(one.shape, dtype=one.dtype, device=self.device) for one in outs)
        moved = [x.to(self.device) for x in operands]
        function(torch, results if isinstance(out, tuple) else results[0], *moved, **params)
        for one, result in zip(outs, results, strict=True):
            one.copy_(result)


def _imported() -> bool:
    """Tell whether the process has imported PyTorch to its end."""
    return hasattr(sys.modules.get("torch"), "__version__")


def _installed() -> bool:
    return _imported() or _origin() is not None


@functools.cache
def _origin() -> str | None:
    """Return the file that importing PyTorch would run."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    return None if spec is None else spec.origin


@functools.cache
def _built_for_cuda() -> bool:
    """Tell whether the installed PyTorch has CUDA kernels, from the file that says so."""
    if _imported():
        return sys.modules["torch"].version.cuda is not None
    origin = _origin()
    if origin is None:
        return False
    try:
        lines = Path(origin).with_name("version.py").read_text(encoding="utf-8").splitlines()
    except OSError:
        return True
    return not any(line.startswith("cuda") and line.rstrip().endswith("None") for line in lines)


def _fits(array: Array) -> bool:
    """Tell whether PyTorch can describe these strides."""
    return all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides)


class _Shared:
    """The memory of a read-only array, without the mark that PyTorch does not know: operands are read."""

    def __init__(self, array: Array) -> None:
        description = array.__array_interface__
        self.array = array
        self.__array_interface__ = {**description, "data": (description["data"][0], False)}


def _tensor(torch: Any, array: Array) -> Any:
    """Return a tensor on the memory of an array, or on that of a copy if it must be."""
    if not _fits(array):
        array = np.array(array, order="C")
    if not array.flags.writeable:
        array = np.asarray(_Shared(array))
    return torch.from_numpy(array)


@contextlib.contextmanager
def _settings(torch: Any, threads: int) -> Iterator[None]:
    """Set PyTorch's number of threads and full precision of products; put back what was there."""
    products = [
        library.matmul
        for library in (torch.backends.mkldnn, torch.backends.cuda)
        if library.matmul.fp32_precision not in ("none", "ieee")
    ]
    if torch.get_num_threads() == threads and not products:
        yield
        return
    with _lock:
        before = torch.get_num_threads()
        precisions = [product.fp32_precision for product in products]
        try:
            torch.set_num_threads(threads)
            for product in products:
                product.fp32_precision = "ieee"
            yield
        finally:
            torch.set_num_threads(before)
            for product, precision in zip(products, precisions, strict=True):
                product.fp32_precision = precision
