"""The kernels of this library: packed panels and a register-blocked micro-kernel, and loops of one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tensorops.backends.base import FLOAT_DTYPES, Array, Call, ComputeBackend
from tensorops.backends.provided import PROVIDED
from tensorops.elementwise_table import ELEMENTWISE, FORMULAS
from tensorops.kernels.elementwise import family
from tensorops.kernels.gemm import batched, layers

# Packing and the most threads (0: as many as the caller allows) of each variant, as the boundary has
# them: what is measured here must be what ``tensorops.matmul`` runs.
_PLANS = {"small": ("never", 1), "packed": ("auto", 0)}
_ELEMENTWISE = {item.name + form: item for item in ELEMENTWISE for form in item.forms}


def _matmul(arrays: Sequence[Array], out: Any, pack: str, threads: int, params: Mapping[str, Any]) -> None:
    a, b = arrays
    batched.matmul_into(a, b, out, pack, threads)


def _linear(arrays: Sequence[Array], out: Any, pack: str, threads: int, params: Mapping[str, Any]) -> None:
    x, weight, *bias = arrays
    layers.linear_into(x, weight, bias[0] if bias else None, out, params.get("activation"), pack, threads)


def _linear_backward(
    arrays: Sequence[Array], out: Any, pack: str, threads: int, params: Mapping[str, Any]
) -> None:
    grad, x, weight = arrays
    dx, dweight, dbias = out
    layers.linear_backward_into(grad, x, weight, dx, dweight, dbias, pack, threads)


_PRODUCTS = {"matmul": _matmul, "linear": _linear, "linear_backward": _linear_backward}


class BlockedBackend(ComputeBackend):
    """The register-blocked kernels.

    "small" reads the operands in place, on one thread; "packed" copies panels of them and uses
    threads, each where it pays.

    Examples
    --------
    >>> BlockedBackend().paths()
    ('blocked/small', 'blocked/packed')
    """

    name = "blocked"
    variants = ("small", "packed")

    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can: see `ComputeBackend`."""
        if call.op not in _ELEMENTWISE and call.op not in PROVIDED and call.op not in _PRODUCTS:
            return f"it has no {call.op}"
        if call.dtype not in FLOAT_DTYPES:
            return f"dtype {call.dtype} is not {' or '.join(FLOAT_DTYPES)}"
        return None

    def paths_of(self, op: str) -> tuple[str, ...]:
        """Return the paths for one operation: matrix products alone have variants. See `ComputeBackend`."""
        return (self.name,) if op in _ELEMENTWISE or op in PROVIDED else self.paths()

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute an operation into `out`.

        Parameters
        ----------
        op : str
            One that the library has kernels for.
        arrays : sequence of ndarray
            The operands, float32 or float64; of a product of shapes (..., M, K) and (..., K, N), those of
            elementwise operations broadcast.
        out : ndarray
            The result; a tuple where there are several.
        variant : {"small", "packed"}
            Of a product: in place on one thread, or packed panels and threads; else None.
        **params : object
            The operation's parameters, and ``threads``: int, 0 for as many as the library may use.

        Returns
        -------
        ndarray
            The object `out`.

        Raises
        ------
        ValueError
            If `variant` is not one of the two.

        Examples
        --------
        >>> import numpy as np
        >>> BlockedBackend().run("matmul", [np.eye(2), np.ones((2, 1))], np.empty((2, 1)), variant="small")
        array([[1.],
               [1.]])
        """
        if op in _ELEMENTWISE:
            item = _ELEMENTWISE[op]
            defaults = item.parameters
            numbers = [float(params.get(name, default) or 0) for name, default in defaults.items()]
            numbers += [0.0, 0.0]
            formula = FORMULAS.index(item.formula(params.get("approximate", "none")))
            operands = [np.broadcast_to(array, out.shape) for array in arrays]
            family.compute(formula, operands, out, numbers[0], numbers[1], params.get("threads", 0))
            return out
        if op in PROVIDED:
            PROVIDED[op](arrays, out, **params)
            return out
        if variant not in _PLANS or op not in _PRODUCTS:
            raise ValueError(
                f"backend 'blocked' has no variant {variant!r}; known: {', '.join(_PLANS)}; for {op} "
                f"'blocked' has: {', '.join(self.paths())}"
            )
        pack, threads = _PLANS[variant]
        _PRODUCTS[op](arrays, out, pack, threads or params.pop("threads", 0), params)
        return out
