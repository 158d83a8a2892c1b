"""Which of NumPy's functions and methods are counted, and by which convention.

A function that is not here is not lost: what it calls on its way that is here counts under its own
name. So ``np.cov`` shows as the products and sums that it makes, and a function of the user's own that
``np.apply_along_axis`` calls counts as if it had been called directly.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from .call_hooks import Rule, watch_method, watch_object
from .conventions import (
    COMPLEX_FACTORS,
    NOT_AGREED,
    OTHER_TYPES,
    UFUNC_FLOPS,
    UFUNC_PRODUCTS,
    VALUES_DECIDE,
    Convention,
    Formula,
    clipped,
    contracted,
    convolved,
    cumulative,
    moved,
    sized,
    spread,
    summed,
    updated,
)

UFUNC_METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")

# Parameters, then operations for each element of the operand and of the result.
REDUCTIONS = {
    **dict.fromkeys(("sum", "prod"), ("a axis dtype out keepdims initial where", 1, -1)),
    **dict.fromkeys(("max", "amax", "min", "amin"), ("a axis out keepdims initial where", 1, -1)),
    **dict.fromkeys(("any", "all"), ("a axis out keepdims where", 0, 0)),
    **dict.fromkeys(("argmax", "argmin"), ("a axis out", 1, -1)),
    "ptp": ("a axis out keepdims", 2, -1),
    # A sum and a division; then a difference, a square and a sum for each element, and a root.
    "mean": ("a axis dtype out keepdims where", 1, 0),
    "var": ("a axis dtype out ddof keepdims where", 4, 0),
    "std": ("a axis dtype out ddof keepdims where", 4, 1),
}
PRODUCTS = {"dot": 1, "inner": 1, "vdot": 2}
# How many leading arguments are operands.
COPIES = {
    **dict.fromkeys(("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"), 1),
    **dict.fromkeys(("copy", "delete", "roll", "tile", "nonzero", "count_nonzero"), 1),
    **dict.fromkeys(("astype", "fill", "flatten", "ravel"), 1),
    **dict.fromkeys(("choose", "compress", "copyto", "repeat", "take"), 2),
    **dict.fromkeys(("insert", "where"), 3),
}
SORTS = ("argpartition", "argsort", "lexsort", "partition", "searchsorted", "sort")
LINEAR_ALGEBRA = "cholesky det eig eigh eigvals eigvalsh inv lstsq pinv qr slogdet solve svd svdvals".split()
TRANSFORMS = "fft fft2 fftn hfft ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft rfft2 rfftn".split()

# Methods of arrays that count like the functions of the same name.
METHODS = (
    *("sum prod max min any all argmax argmin mean var std cumsum cumprod clip dot".split()),
    *("astype choose compress copy fill flatten nonzero ravel repeat take".split()),
    *("argpartition argsort partition searchsorted sort".split()),
)


class Registry:
    """Names the rows of a count and watches NumPy's functions, once in a process.

    Attributes
    ----------
    rows : list of tuple of (str, str, str)
        Library, name, and why the FLOPs of some calls are not known.
    unseen : dict of str to str
        Functions that cannot be watched here, and why.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self.unseen: dict[str, str] = {}
        self._watched = False

    def row(self, library: str, name: str, reason: str) -> int:
        """Add a row and return its number."""
        self.rows.append((library, name, reason))
        return len(self.rows) - 1

    def watch_numpy(self) -> None:
        """Watch NumPy's functions; nothing the second time."""
        if self._watched:
            return
        self._watched = True
        # Not dir(): asking for all that NumPy could load would load it.
        for target in list(vars(np).values()):
            if isinstance(target, np.ufunc):
                self._watch(target.__name__, target, self._ufunc_rules(target))
        for place, name in enumerate(UFUNC_METHODS, 1):
            self._note(f"ufunc.{name}", watch_method(vars(np.ufunc)[name], None, place))
        for name, rule in self._function_rules().items():
            space, _, short = name.rpartition(".")
            owner = getattr(np, space) if space else np
            if hasattr(owner, short):
                self._watch(name, getattr(owner, short), [rule])
            if name in METHODS:
                self._note(
                    f"ndarray.{name}", watch_method(vars(np.ndarray)[name], self._method_rule(rule, name))
                )
        einsum = Rule(self.row("numpy", "einsum", OTHER_TYPES), summed)
        # What np.einsum calls: once, or once for each step of the path that it optimised.
        inner = getattr(importlib.import_module("numpy._core._multiarray_umath"), "c_einsum", None)
        self._note("einsum", watch_method(inner, einsum) if inner else "it has another name in this NumPy")

    def _watch(self, name: str, target: Any, rules: list[Rule | None]) -> None:
        self._note(name, watch_object(target, rules))

    def _note(self, name: str, reason: str | None) -> None:
        if reason is not None:
            self.unseen[name] = reason

    def _method_rule(self, rule: Rule, name: str) -> Rule:
        """Return the rule of a method: the function's, but for what works in place as a method only."""
        if name in ("sort", "partition"):
            return Rule(rule.row, sized(in_place=True))
        return rule

    def _ufunc_rules(self, ufunc: np.ufunc) -> list[Rule | None]:
        """Return the rules of a ufunc's call and of its methods."""
        name = ufunc.__name__
        flops = UFUNC_FLOPS.get(name, 1)
        factor = COMPLEX_FACTORS.get(name, 0)
        product = int(name in UFUNC_PRODUCTS)
        parameters = tuple(f"x{place}" for place in range(ufunc.nin))
        formula = Formula(parameters, 0, flops, ufunc.nin, product, factor)
        rules: list[Rule | None] = [self._by_formula(name, formula, ufunc.nargs)]
        if product or ufunc.nin != 2 or ufunc.nout != 1:
            return rules
        reduction = Formula(
            tuple("array axis dtype out keepdims initial where".split()),
            flops, -flops, complex_factor=factor,
        )  # fmt: skip
        rules.append(self._by_formula(f"{name}.reduce", reduction, 5))
        along = functools.partial(cumulative, factor=factor, axis=0) if flops else moved(1)
        rules.append(self._by_convention(f"{name}.accumulate", along))
        rules.append(self._by_convention(f"{name}.reduceat", sized(), VALUES_DECIDE))
        rules.append(self._by_formula(f"{name}.outer", Formula(("A", "B"), 0, flops, 2, 0, factor), 2))
        at = functools.partial(updated, factor=factor)
        rules.append(self._by_convention(f"{name}.at", at, VALUES_DECIDE))
        return rules

    def _by_formula(
        self, name: str, formula: Formula, arguments: int, convention: Convention | None = None
    ) -> Rule:
        return Rule(
            self.row("numpy", name, OTHER_TYPES),
            convention or formula,
            (formula.per_operand, formula.per_result),
            formula.operands,
            arguments,
            formula.product,
            formula.complex_factor,
        )

    def _by_convention(self, name: str, convention: Convention, reason: str = OTHER_TYPES) -> Rule:
        return Rule(self.row("numpy", name, reason), convention)

    def _function_rules(self) -> dict[str, Rule]:
        """Return the rules of all functions and methods that are no ufuncs."""
        rules = {}
        for name, (text, per_operand, per_result) in REDUCTIONS.items():
            parameters = tuple(text.split())
            formula = Formula(
                parameters, per_operand, per_result, complex_factor=COMPLEX_FACTORS.get(name, 0)
            )
            plain = len([word for word in parameters if word not in ("initial", "where")])
            convention = spread(formula) if name in ("var", "std") else formula
            rules[name] = self._by_formula(name, formula, plain, convention)
        for name, product in PRODUCTS.items():
            formula = Formula(("a", "b"), 0, 1, 2, product, COMPLEX_FACTORS[name])
            rules[name] = self._by_formula(name, formula, 3)
        for name, factor in (("cumsum", 2), ("cumprod", 6)):
            rules[name] = self._by_convention(name, functools.partial(cumulative, factor=factor))
        both = Formula(("a", "a_min", "a_max", "out"), 0, 2, 3)
        rules["clip"] = self._by_formula("clip", both, 4, clipped)
        rules["tensordot"] = self._by_convention("tensordot", contracted)
        for name in ("convolve", "correlate"):
            rules[name] = self._by_convention(name, convolved)
        for name, operands in COPIES.items():
            row = self.row("numpy", name, OTHER_TYPES)
            rules[name] = Rule(row, moved(operands), (0, 0), operands, operands + 3, copies=True)
        for name in SORTS:
            rules[name] = self._by_convention(name, sized(), VALUES_DECIDE)
        for name in ("bincount", "interp", *(f"linalg.{name}" for name in LINEAR_ALGEBRA)):
            rules[name] = self._by_convention(name, sized(), NOT_AGREED)
        for name in TRANSFORMS:
            rules[f"fft.{name}"] = self._by_convention(f"fft.{name}", sized(), NOT_AGREED)
        return rules


REGISTRY = Registry()
