"""The operations as their definitions say, in float64: what every fast version is compared with.

Slow and obvious on purpose. It shares no code with the kernels and calls no BLAS, and it is never used in
place of a kernel that fails. One module for each class of operations.
"""

from __future__ import annotations

from tensorops.reference.attention import attention, attention_backward
from tensorops.reference.convolution import conv2d, conv2d_backward
from tensorops.reference.products import linear, linear_backward, matmul

__all__ = [
    "attention",
    "attention_backward",
    "conv2d",
    "conv2d_backward",
    "linear",
    "linear_backward",
    "matmul",
]
