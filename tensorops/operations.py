"""The operation registry: one `OpSpec` per public operation, and all that follows from it.

The kernels' tests, the profiling targets, the roofline, the dispatcher and the documentation read
it; an operation that is not here does not exist for them. Its rows stand in ``tensorops/specs``, a file
for each class of operations.
"""

from __future__ import annotations

from tensorops.specs import attention, convolution, elementwise, layers, optim, products, rows
from tensorops.specs.products import ProductDims, product_dims
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes

__all__ = ["NO_PARAMS", "OPERATIONS", "OpSpec", "Params", "ProductDims", "Shape", "Sizes", "product_dims"]

_CLASSES = (products, layers, elementwise, convolution, attention, rows, optim)
OPERATIONS: dict[str, OpSpec] = {spec.name: spec for module in _CLASSES for spec in module.SPECS}
