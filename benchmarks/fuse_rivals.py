"""One rival in a process of its own: ``python benchmarks/fuse_rivals.py NAME THREADS ELEMENTS``.

Requests and answers are lines of JSON: an expression's number prepares it, a number of loops times it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import sys
import textwrap
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from fuse_expressions import EXPRESSIONS, Expression

from profiling.measure.worker import WARM_UP_SHARE, physical_cores_first, pin_threads

Operands = list[Any]
Rival = Callable[[Expression, Operands], Callable[[], Any]]


def numpy_rival(expression: Expression, operands: Operands) -> Callable[[], Any]:
    """Return a call that NumPy computes."""
    return lambda: expression.function(*operands)


def tensorops_rival(expression: Expression, operands: Operands) -> Callable[[], Any]:
    """Return a call of the fused function."""
    import tensorops

    function = tensorops.fuse(expression.function, strict=True)
    return lambda: function(*operands)


def numexpr_rival(expression: Expression, operands: Operands) -> Callable[[], Any]:
    """Return a call of numexpr; numbers are given to it as float32, because its literals are float64."""
    numexpr: Any = importlib.import_module("numexpr")
    names = dict(zip(expression.function.__code__.co_varnames, operands, strict=False))
    numbers: dict[str, Any] = {}

    def named(literal: re.Match[str]) -> str:
        name = "c" + re.sub(r"\W", "_", literal[0])
        numbers[name] = np.float32(literal[0])
        return name

    # Exponents stay whole numbers: those become products.
    pattern = r"(?<![\w.])(?:(?<!\*\*)\d+(?:\.\d+)?(?:e-?\d+)?|\d+\.\d+)"
    text = re.sub(pattern, named, expression.numexpr_text)
    return lambda: numexpr.evaluate(text, local_dict={**names, **numbers}, truediv=True)


def numba_rival(expression: Expression, operands: Operands) -> Callable[[], Any]:
    """Return a call that Numba has compiled, fast and in parallel, its numbers in float32."""
    numba: Any = importlib.import_module("numba")
    tree = ast.parse(textwrap.dedent(inspect.getsource(expression.function)))
    tree.body[0].returns = None  # type: ignore[attr-defined]
    numbers: dict[str, Any] = {}
    text = ast.unparse(_InSingle(numbers).visit(tree))
    names = {**expression.function.__globals__, **numbers}
    exec(compile(text, "<numba>", "exec"), names)
    function = numba.njit(names[expression.name], fastmath=True, parallel=True)
    return lambda: function(*operands)


class _InSingle(ast.NodeTransformer):
    """Puts names of float32 numbers in the place of a source's floats."""

    def __init__(self, numbers: dict[str, Any]) -> None:
        self.names = numbers

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Name a float."""
        if not isinstance(node.value, float):
            return node
        name = f"literal_{len(self.names)}"
        self.names[name] = np.float32(node.value)
        return ast.Name(name, ast.Load())


def jax_rival(expression: Expression, operands: Operands) -> Callable[[], Any]:
    """Return a call that XLA has compiled, on operands that lie where it wants them."""
    jax: Any = importlib.import_module("jax")
    names = {**expression.function.__globals__, "np": importlib.import_module("jax.numpy")}
    function = jax.jit(types.FunctionType(expression.function.__code__, names))
    placed = [jax.device_put(operand) for operand in operands]
    return lambda: function(*placed).block_until_ready()


RIVALS: dict[str, Rival] = {
    "tensorops": tensorops_rival,
    "numpy": numpy_rival,
    "numexpr": numexpr_rival,
    "numba": numba_rival,
    "jax": jax_rival,
}


def limit_threads(threads: int) -> None:
    """Limit every library to some threads; to be called before any of them is imported."""
    for name in ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TENSOROPS_NUM_THREADS"] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    cores = physical_cores_first()[:threads]
    if cores:
        os.sched_setaffinity(0, cores)


def prepare(
    rival: Rival, expression: Expression, elements: int
) -> tuple[Callable[[], Any], dict[str, float]]:
    """Return a call, the time of the first one, and how far its result is from NumPy's in float64."""
    wide = expression.draw(np.random.default_rng(1), elements)
    operands = [np.asarray(operand, dtype=np.float32) for operand in wide]
    call = rival(expression, operands)
    start = time.perf_counter()
    result = np.asarray(call())
    first = time.perf_counter() - start
    if result.dtype != np.float32:
        raise TypeError(f"a result of {result.dtype}")
    expected = expression.function(*[operand.astype(np.float64) for operand in operands])
    size = np.max(np.abs(expected))
    error, numpy_s = (
        float(np.max(np.abs(found - expected)) / size) for found in (result, expression.function(*operands))
    )
    return call, {"first": first, "error": error, "allowed": max(4 * numpy_s + 4e-6, expression.tolerance)}


def main() -> None:
    """Serve requests from standard input."""
    name, threads, elements = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    answers, sys.stdout = sys.stdout, sys.stderr
    limit_threads(threads)
    call: Callable[[], Any] = list
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "expression" in request:
                call, told = prepare(RIVALS[name], EXPRESSIONS[request["expression"]], elements)
                cores = physical_cores_first()
                if threads > 1 and len(cores) >= threads:
                    pin_threads(cores[:threads])
                answer: dict[str, Any] = told
            else:
                loops = request["loops"]
                for _ in range(-(-loops // WARM_UP_SHARE)):
                    call()
                start = time.perf_counter()
                for _ in range(loops):
                    call()
                answer = {"seconds": (time.perf_counter() - start) / loops}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
