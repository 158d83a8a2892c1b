"""Write what follows from the list of elementwise operations: ``python -m tensorops.boundary.generate``.

Three files: the kernels' table, the public functions and their stub. A test compares them with the list.
"""

from __future__ import annotations

from pathlib import Path

from tensorops.elementwise_table import APPROXIMATE, ELEMENTWISE, FORMULAS, Elementwise

PACKAGE = Path(__file__).resolve().parents[1]
NOTE = "# Written by ``python -m tensorops.boundary.generate`` from ``elementwise_table.py``."


def sweeps() -> str:
    """Return the kernels' table: one loop for each formula.

    Returns
    -------
    str
        Text of ``kernels/elementwise/sweeps.pxi``.
    """
    parts = [NOTE]
    for name in FORMULAS:
        parts.append(
            f"\ncdef void sweep_{name}(\n    Py_ssize_t n, const void *x, const void *y, const void *z, "
            f"void *out, const double *p,\n) noexcept nogil:\n    sweep(formula_{name}, n, x, y, z, out, p)\n"
        )
    parts.append("")
    parts += [f"table.sweeps[{number}] = sweep_{name}" for number, name in enumerate(FORMULAS)]
    parts.append(f"table.count = {len(FORMULAS)}")
    return "\n".join(parts) + "\n"


def functions() -> str:
    """Return the public functions.

    Returns
    -------
    str
        Text of ``boundary/elementwise_functions.pxi``.
    """
    return "\n\n".join([NOTE, *(_function(item, form) for item in ELEMENTWISE for form in item.forms)])


def stub() -> str:
    """Return the stub of the module of public functions.

    Returns
    -------
    str
        Text of ``boundary/elementwise.pyi``.
    """
    lines = [NOTE, "from typing import Any", "", "from numpy.typing import ArrayLike, NDArray", ""]
    lines.append("class Operation:")
    lines.append("    def __init__(")
    fields = "name: str, formula: int, count: int, in_place: bool, numpy_semantics: bool"
    for field in ("self", *fields.split(", "), "parameters: tuple[str, ...]", "approximate: str"):
        lines.append(f"        {field},")
    lines += ["    ) -> None: ...", ""]
    for item in ELEMENTWISE:
        for form in item.forms:
            parameters = [
                f"{name}: {'NDArray[Any]' if form == '_' and number == 0 else 'ArrayLike'}"
                for number, name in enumerate(item.operands)
            ]
            parameters.append("/")
            parameters += [f"{name}: float" for name, value in item.parameters.items() if value is None]
            if form == "":
                parameters.append("out: NDArray[Any] | None = None")
            given = [
                f"{name}: float = {value}" for name, value in item.parameters.items() if value is not None
            ]
            if item.approximate:
                given.append('approximate: str = "none"')
            if given:
                parameters += ["*", *given]
            result = "NDArray[Any]" if form == "_" else "Any"
            lines.append(f"def {item.name}{form}({', '.join(parameters)}) -> {result}: ...")
    return "\n".join(lines) + "\n"


def _function(item: Elementwise, form: str) -> str:
    name, first = item.name + form, item.operands[0]
    counted = [*item.operands, *["None"] * (3 - len(item.operands))]
    numbers = [*item.parameters, *["0"] * (2 - len(item.parameters))]
    code = [f"_{name.upper()} = {{"] if item.approximate else []
    code = [f"cdef dict {name}_forms = {{"] if item.approximate else [f"cdef Operation {name}_operation = "]
    made = [
        f'Operation("{name}", {FORMULAS.index(item.formula(kind))}, {len(item.operands)}, {form == "_"}, '
        f"{item.numpy}, {tuple(item.parameters)!r}, {kind!r})"
        for kind in (APPROXIMATE if item.approximate else ("",))
    ]
    if item.approximate:
        code += [f'    "{kind}": {one},' for kind, one in zip(APPROXIMATE, made, strict=True)] + ["}"]
        operation = f'chosen("{name}", {name}_forms, approximate)'
    else:
        code[0] += made[0]
        operation = f"{name}_operation"
    out = first if form == "_" else "out"
    head = f"Change `{first}` to {item.summary}" if form == "_" else f"Return {item.summary}"
    doc = [f'    """{head}, element by element.', "", "    Parameters", "    ----------"]
    for number, operand in enumerate(item.operands):
        doc.append(f"    {operand} : {'ndarray' if form == '_' and number == 0 else 'array_like'}")
        if form == "_" and number == 0:
            doc.append("        Array of float32 or float64, of any strides; changed and returned.")
        elif number == 0:
            doc.append(
                "        Arrays of float32 and float64 are used without a copy, whatever their strides."
            )
        else:
            doc.append(f"        Any shape that broadcasts to that of `{first}`.")
    written = ["    out : ndarray, optional", f"        Where to put the result; may be `{first}` itself."]
    numbers_given = [
        [f"    {parameter} : float" + ("" if value is None else f", default {value}"), "        See above."]
        for parameter, value in sorted(item.parameters.items(), key=lambda entry: entry[1] is not None)
    ]
    needed_count = sum(value is None for value in item.parameters.values())
    for described in numbers_given[:needed_count]:
        doc += described
    if form == "":
        doc += written
    for described in numbers_given[needed_count:]:
        doc += described
    if item.approximate:
        doc += [
            '    approximate : {"none", "tanh", "sigmoid"}',
            "        The exact function, ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``, or",
            "        ``x / (1 + exp(-1.702 x))``.",
        ]
    returned = (
        [f"    ndarray\n        `{first}`."]
        if form == "_"
        else ["    ndarray or scalar\n        `out` if given."]
    )
    doc += ["", "    Returns", "    -------", *returned, "", "    Raises", "    ------"]
    doc += ["    TypeError", "        If the result's dtype does not fit the array that is written."]
    doc += [
        "    ValueError",
        f"        If the shapes do not fit, `{out}` is read-only, or operands overlap it",
    ]
    doc += ["        in another way than NumPy has a meaning for."]
    doc += ["", "    Notes", "    -----"]
    doc += [f"    {item.flops} flops an element, one pass. {_accuracy(item)}"]
    doc += ["", "    Examples", "    --------", "    >>> import numpy as np", "    >>> import tensorops"]
    values = ", ".join(
        ["np.array([0.0, 2.0])", "np.array([1.0, 1.0])", "np.array([0.5, 0.5])"][: len(item.operands)]
    )
    needed = "".join(", 1.0" for value in item.parameters.values() if value is None)
    doc += [f"    >>> tensorops.{name}({values}{needed}).shape", "    (2,)", '    """']
    call = f"    return compute({operation}, {', '.join(counted)}, {out}, {', '.join(numbers)})"
    if item.parameters:
        call = call.replace(f", {out}, ", f", {out}, ", 1)
    return "\n".join([*code, "", "", f"def {name}{item.signature(form)}:", *doc, call]) + "\n"


def _accuracy(item: Elementwise) -> str:
    if item.name == "gelu":
        return "An element's error is at most\n    ``4 * eps * max(abs(result), 2**-10 * abs(x))``."
    if item.flops >= 15 and not item.name.endswith("backward") and "gelu" not in item.name:
        return "An element's error is at most 4 ulp."
    return "The error bound stands in the registry."


FILES = {
    PACKAGE / "kernels/elementwise/sweeps.pxi": sweeps,
    PACKAGE / "boundary/elementwise_functions.pxi": functions,
    PACKAGE / "boundary/elementwise.pyi": stub,
}


if __name__ == "__main__":
    for path, text in FILES.items():
        path.write_text(text(), encoding="utf-8")
