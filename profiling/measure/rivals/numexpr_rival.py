"""numexpr: an expression as text, evaluated in blocks by its virtual machine."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from ...cases import Case
from ..libraries import Array, Rival
from .formulas import expression_of, formula_of, has_formula


class NumexprLibrary(Rival):
    """numexpr, whose expressions are compiled to its byte code once."""

    name = "numexpr"

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        return None if has_formula(op) else f"numexpr has no {op}"

    def lacks_case(self, case: Case) -> str | None:
        """Return why the library cannot compute a case, or None."""
        formula = formula_of(case)
        if formula is None:
            return self.lacks(case.op) or f"numexpr has no {case.op}"
        return "numexpr has no error function" if "erf(" in formula else None

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        importlib.import_module(self.name).set_num_threads(threads)

    def prepare(
        self, case: Case, operands: Sequence[Array], out: Array | tuple[Array, ...]
    ) -> Callable[[], Any]:
        """Return a call that computes the case: see `Rival`."""
        numexpr = importlib.import_module(self.name)
        expression = expression_of(case)
        names = expression.numbers | dict(zip(expression.operands, operands, strict=True))
        numexpr.evaluate(expression.text, local_dict=names, out=out, casting="same_kind")

        def call() -> None:
            # The shortest way: what the last call has checked is not checked again.
            numexpr.re_evaluate(local_dict=names)

        return call
