"""Cython-accelerated tensor operations, a dispatcher that uses what it measured, and its evidence.

``import tensorops`` loads NumPy and the compiled kernels; it starts no thread and reads no file of
the user's.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorops.adapters import install, uninstall
    from tensorops.configuration import show_config
    from tensorops.dispatch.explanation import explain

try:
    from tensorops.boundary.attention import attention, attention_backward
    from tensorops.boundary.conv import conv2d, conv2d_backward
    from tensorops.boundary.elementwise import (
        add_,
        add_relu_,
        axpy_,
        bias_add_,
        bias_gelu_,
        bias_relu_,
        clip,
        clip_,
        div_,
        elu,
        elu_,
        exp,
        exp_,
        gelu,
        gelu_,
        gelu_backward_,
        leaky_relu,
        leaky_relu_,
        maximum_,
        minimum_,
        mul_,
        relu,
        relu_,
        relu_backward_,
        scale_shift_,
        sigmoid,
        sigmoid_,
        sigmoid_backward_,
        silu,
        silu_,
        silu_backward_,
        softplus,
        softplus_,
        sub_,
        tanh,
        tanh_,
        tanh_backward_,
    )
    from tensorops.boundary.layers import linear, linear_backward
    from tensorops.boundary.optim import adam_step_, adamw_step_, sgd_step_
    from tensorops.boundary.products import matmul
    from tensorops.boundary.rows import (
        cross_entropy,
        cross_entropy_backward,
        layer_norm,
        layer_norm_backward,
        log_softmax,
        rms_norm,
        rms_norm_backward,
        softmax,
        softmax_,
        softmax_backward,
    )
    from tensorops.runtime import cpu as _cpu
    from tensorops.runtime.openmp import get_num_threads, set_num_threads
except ModuleNotFoundError as _error:
    if (_error.name or "").startswith("tensorops."):
        raise ImportError(
            f"the compiled module {_error.name} is missing. Build it in the source tree with\n"
            "    python setup.py build_ext --inplace\n"
            "or install the package: python -m pip install -e ."
        ) from _error
    raise

from tensorops.backends import backends, register_backend
from tensorops.dispatch.active import use_backend
from tensorops.dispatch.precision import get_matmul_precision, set_matmul_precision
from tensorops.fuse import fuse

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "adam_step_",
    "adamw_step_",
    "add_",
    "add_relu_",
    "attention",
    "attention_backward",
    "axpy_",
    "backends",
    "bias_add_",
    "bias_gelu_",
    "bias_relu_",
    "clip",
    "clip_",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "div_",
    "elu",
    "elu_",
    "exp",
    "exp_",
    "explain",
    "fuse",
    "gelu",
    "gelu_",
    "gelu_backward_",
    "get_matmul_precision",
    "get_num_threads",
    "install",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "linear_backward",
    "log_softmax",
    "matmul",
    "maximum_",
    "minimum_",
    "mul_",
    "register_backend",
    "relu",
    "relu_",
    "relu_backward_",
    "rms_norm",
    "rms_norm_backward",
    "scale_shift_",
    "set_matmul_precision",
    "set_num_threads",
    "sgd_step_",
    "show_config",
    "sigmoid",
    "sigmoid_",
    "sigmoid_backward_",
    "silu",
    "silu_",
    "silu_backward_",
    "softmax",
    "softmax_",
    "softmax_backward",
    "softplus",
    "softplus_",
    "sub_",
    "tanh",
    "tanh_",
    "tanh_backward_",
    "uninstall",
    "use_backend",
]

# What few programs need, imported when it is asked for.
_LATER = {
    "explain": "tensorops.dispatch.explanation",
    "install": "tensorops.adapters",
    "show_config": "tensorops.configuration",
    "uninstall": "tensorops.adapters",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
    return found


# A wrong setting is an error now, before anything is computed with another one.
_cpu.selected_isa()
_cpu.requested_threads()
