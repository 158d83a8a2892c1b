"""Products as the library wrote them, to time what was before."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.adapters.loop_nests import Nest


def loops_as_written(loop: ast.For, nest: Nest) -> Callable[..., None]:
    """Return the loops as a function, to time what was before.

    Parameters
    ----------
    loop : ast.For
        The loops.
    nest : Nest
        What they compute.

    Returns
    -------
    callable
        ``f(result, left, right, m, n, k)``.
    """
    # Names that the loops' own variables cannot have.
    given = ["given_result", "given_left", "given_right", "given_m", "given_n", "given_k"]
    parts = [nest.result, nest.left, nest.right, nest.m, nest.n, nest.k]
    names = {ast.unparse(part): name for part, name in zip(parts, given, strict=True) if part is not None}

    class Rename(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                name = names.get(ast.unparse(node))
                if name:
                    return ast.copy_location(ast.Name(name, ast.Load()), node)
            return self.generic_visit(node)

    function = ast.parse(f"def written({', '.join(given)}): pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = [Rename().visit(ast.parse(ast.unparse(loop)).body[0])]
    module = ast.fix_missing_locations(ast.Module([function], []))
    namespace: dict[str, Any] = {"np": np, "numpy": np}
    exec(compile(module, "<loops>", "exec"), namespace)
    written: Callable[..., None] = namespace["written"]
    return written


def operands_of(shapes: Any, dtypes: Any) -> list[NDArray[Any]]:
    """Return operands for timing: small integers."""
    rng = np.random.default_rng(0)
    return [rng.integers(-4, 5, shape).astype(dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
