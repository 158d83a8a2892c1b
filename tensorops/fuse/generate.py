"""From a graph with dtypes to the text of a Cython module with one kernel.

Nothing of the user's source gets into the text: names are generated, numbers are written by ``repr``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorops.fuse.library import functions_for
from tensorops.fuse.nodes import Graph, Node
from tensorops.fuse.types import BOOL, Types

MAX_WHOLE_POWER = 64

HEAD = '''\
# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, initializedcheck=False
"""One fused expression; REAL, VECTOR_BYTES and the instruction set are chosen by the compiler's options."""

from cpython.pycapsule cimport PyCapsule_New

'''


def number_text(value: Any) -> str:
    """Return the text of a vector that repeats a number.

    Parameters
    ----------
    value : number
        A real one.

    Returns
    -------
    str
        An expression of Cython.

    Examples
    --------
    >>> number_text(0.1), number_text(-0.0), number_text(-np.inf)
    ('SPLAT(0.1)', '-SPLAT(0.0)', '-SPLAT(INFINITY)')
    """
    number = float(value)
    sign = "-" if math.copysign(1, number) < 0 else ""
    size = abs(number)
    if math.isnan(size):
        return "SPLAT(NAN)"
    return f"{sign}SPLAT({'INFINITY' if math.isinf(size) else repr(size)})"


class _Writer:
    """Writes the statements of one expression."""

    def __init__(self, graph: Graph, types: Types) -> None:
        self.graph = graph
        self.types = types
        self.lines: list[str] = []
        # Each node's text, and whether it is a mask.
        self.texts: dict[int, tuple[str, bool]] = {}
        self.count = 0

    def keep(self, text: str, mask: bool) -> str:
        """Give a value a generated name."""
        name = f"{'m' if mask else 't'}{self.count}"
        self.count += 1
        self.lines.append(f"    cdef {'words_t' if mask else 'vector_t'} {name} = {text}")
        return name

    def real(self, number: int) -> str:
        """Return a node's value as reals: 1 where a mask holds."""
        text, mask = self.texts[number]
        return self.keep(f"BLEND({text}, SPLAT(1), ZERO)", False) if mask else text

    def mask(self, number: int) -> str:
        """Return a node's value as a mask: whether it is not 0."""
        text, mask = self.texts[number]
        return text if mask else self.keep(f"~EQUAL({text}, ZERO)", True)

    def node(self, node: Node) -> None:
        """Write the statement of one node."""
        operation = node.operation
        if operation is None:
            self.texts[node.number] = (number_text(node.value), False)
            return
        kinds = [self.types.kinds[operand] for operand in node.operands]
        if operation.name == "power" and self.power(node):
            return
        if operation.on_masks and all(kind == BOOL for kind in kinds):
            letters, result, formula = "m" * len(kinds), "m", operation.on_masks
        else:
            letters, result, formula = operation.operands, operation.result, operation.formula
        operands = [
            self.mask(operand) if letter == "m" else self.real(operand)
            for operand, letter in zip(node.operands, letters, strict=True)
        ]
        text = formula.format(*operands)
        self.texts[node.number] = (self.keep(text, result == "m"), result == "m")

    def power(self, node: Node) -> bool:
        """Write a power with a whole exponent as products; tell whether it has one."""
        base, exponent = (self.graph.nodes[operand] for operand in node.operands)
        if not exponent.constant or isinstance(exponent.value, np.generic):
            return False
        value = float(exponent.value)
        x = self.real(base.number)
        if value == 0.5:
            text = f"square_root({x})"
        elif value.is_integer() and abs(value) <= MAX_WHOLE_POWER:
            text = self.product(x, int(abs(value)))
            if value < 0:
                text = (
                    f"QUOTIENT(SPLAT(1), {x})"
                    if value == -1
                    else self.product(self.keep(f"QUOTIENT(SPLAT(1), {x})", False), int(-value))
                )
        else:
            return False
        self.texts[node.number] = (self.keep(text, False), False)
        return True

    def product(self, x: str, count: int) -> str:
        """Return the text of a whole power, the square of its half where that is whole."""
        if count == 0:
            return "SPLAT(1)"
        if count == 1:
            return x
        half = self.keep(self.product(x, count // 2), False)
        square = f"ROUNDED({half} * {half})"
        return f"ROUNDED({self.keep(square, False)} * {x})" if count % 2 else square


def kernel_body(
    graph: Graph, types: Types, arrays: Sequence[int], numbers: Sequence[int], order: Sequence[int], root: int
) -> str:
    """Return the functions that compute an expression, and the capsule of the last.

    Parameters
    ----------
    graph : Graph
        The expression.
    types : Types
        Its dtypes.
    arrays, numbers : sequence of int
        The nodes that the kernel reads from arrays, and those that are the same for all elements.
    order : sequence of int
        The nodes that it computes.
    root : int
        The node of the result.

    Returns
    -------
    str
        Cython.
    """
    writer = _Writer(graph, types)
    for place, number in enumerate(arrays):
        writer.texts[number] = (f"x{place}", False)
    for place, number in enumerate(numbers):
        writer.texts[number] = (f"s{place}", False)
    for number in order:
        writer.node(graph.nodes[number])
    result = writer.real(root)
    scalars = [f"s{place}" for place in range(len(numbers))]
    named = ", ".join(f"vector_t {name}" for name in (*[f"x{k}" for k in range(len(arrays))], *scalars))
    whole = ", ".join([*[f"(<unaligned_t *> (a{k} + i))[0]" for k in range(len(arrays))], *scalars])
    rest = ", ".join([*[f"rest_of(a{k} + i, n - i)" for k in range(len(arrays))], *scalars])
    lines = [
        f"cdef inline vector_t element({named}) noexcept nogil:",
        *writer.lines,
        f"    return {result}",
        "",
        "",
        "cdef void kernel(",
        "    Py_ssize_t n, const char *const *data, char *out, const double *scalars,",
        ") noexcept nogil:",
        *[f"    cdef const real_t *a{k} = <const real_t *> data[{k}]" for k in range(len(arrays))],
        *[f"    cdef vector_t s{k} = same_in_all(<real_t> scalars[{k}])" for k in range(len(numbers))],
        "    cdef real_t *result = <real_t *> out",
        "    cdef vector_t last",
        "    cdef Py_ssize_t i = 0",
        "    while i + LANES <= n:",
        f"        (<unaligned_t *> (result + i))[0] = element({whole})",
        "        i += LANES",
        "    if i < n:",
        f"        last = element({rest})",
        "        memcpy(result + i, &last, (n - i) * sizeof(real_t))",
        "",
        "",
        'capsule = PyCapsule_New(<void *> &kernel, b"tensorops.fuse.kernel", NULL)',
        "",
    ]
    return "\n".join(lines)


def module_text(body: str) -> str:
    """Return the text of a whole module.

    Parameters
    ----------
    body : str
        What `kernel_body` returns.

    Returns
    -------
    str
        Cython, with the vector functions that the body calls before it.
    """
    return HEAD + functions_for(body) + body
