"""JAX: the same expressions, compiled by XLA."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from ...cases import Case
from ..libraries import Array, Rival
from .formulas import expression_of, has_formula

_ROWS = ("softmax", "log_softmax")


class JaxLibrary(Rival):
    """JAX with ``jit``, on operands that lie where it wants them; it changes nothing in place."""

    name = "jax"

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        has = op.removesuffix("_") in ("matmul", *_ROWS) or has_formula(op)
        return None if has else f"no {op} was written for jax"

    def lacks_case(self, case: Case) -> str | None:
        """Return why the library cannot compute a case, or None."""
        if set(case.layout) != {"C"}:
            return "jax copies operands that are not as it lays them out"
        return self.lacks(case.op)

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process, which must not have used it yet."""
        jax = importlib.import_module(self.name)
        jax.config.update("jax_enable_x64", True)
        if not hasattr(os, "sched_setaffinity"):
            return
        # It has as many threads as it finds processors when it starts, whatever its flags say.
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(allowed)[:threads])
        try:
            jax.devices()
        finally:
            os.sched_setaffinity(0, allowed)

    def prepare(
        self, case: Case, operands: Sequence[Array], out: Array | tuple[Array, ...]
    ) -> Callable[[], Any]:
        """Return a call that computes the case: see `Rival`."""
        jax = importlib.import_module(self.name)
        placed = [jax.device_put(operand) for operand in operands]
        function = jax.jit(self._function(case))
        return lambda: function(*placed).block_until_ready()

    def _function(self, case: Case) -> Callable[..., Any]:
        jnp = importlib.import_module("jax.numpy")
        name, params = case.op.removesuffix("_"), dict(case.params)
        if name == "matmul":
            matmul: Callable[..., Any] = jnp.matmul
            return matmul
        nn = importlib.import_module("jax.nn")
        if name in _ROWS:
            return lambda x: getattr(nn, name)(x, **params)
        expression = expression_of(case)
        scope = {key: getattr(jnp, key) for key in ("exp", "tanh", "log1p", "where", "abs")}
        scope |= {**expression.numbers, "erf": importlib.import_module("jax.lax").erf}
        function: Callable[..., Any] = eval(
            f"lambda {', '.join(expression.operands)}: {expression.text}", scope
        )
        return function
