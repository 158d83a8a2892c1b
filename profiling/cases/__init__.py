"""The shapes to measure on, and operands for them.

Benchmarks, reports and tests read the same cases. Operands of products hold small integers, so that
every partial sum is exact and a result can be compared with ``==``: a term that is lost or counted
twice cannot hide in a tolerance.
"""

from .case import (
    DTYPES,
    LARGEST_VALUE,
    SPECS,
    Case,
    Results,
    Shape,
    case_of_entry,
    example_case,
    flops,
    moved_bytes,
    product_case,
    result_shape,
    square_case,
)
from .group import Group
from .table import GROUPS, SUITES, groups_of, suite_groups

__all__ = [
    "DTYPES",
    "GROUPS",
    "LARGEST_VALUE",
    "SPECS",
    "SUITES",
    "Case",
    "Group",
    "Results",
    "Shape",
    "case_of_entry",
    "example_case",
    "flops",
    "groups_of",
    "moved_bytes",
    "product_case",
    "result_shape",
    "square_case",
    "suite_groups",
]
