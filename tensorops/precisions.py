"""The precisions of float32 products: how many bfloat16 products each may be made of, and its error.

A matrix unit multiplies bfloat16 numbers, of 8 significant bits. A float32 number is the sum of three of
them, ``x = x1 + x2 + x3``, so a product of two is the sum of nine: the fewer of them are computed, the
faster and the less accurate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DEFAULT = "highest"


@dataclass(frozen=True, slots=True)
class Precision:
    """What one name promises.

    Attributes
    ----------
    name : str
        As `tensorops.set_matmul_precision` knows it.
    parts : int
        Into how many bfloat16 numbers an operand is split.
    products : int
        How many products of two parts are added up: all whose indices add to at most ``parts + 1``.
    left_out : float
        Largest error of one term by what is left out, relative to its magnitude.

    Examples
    --------
    >>> PRECISIONS["high"].products
    3
    """

    name: str
    parts: int
    products: int
    left_out: float


# A part is off by 2^-8 of what it stands for at most, so the second part is 2^-8 of the number and the third
# 2^-16. "highest" leaves out 2 * 2^-24, an epsilon: the bound of an ordinary float32 product allows for it.
PRECISIONS: dict[str, Precision] = {
    item.name: item
    for item in (
        Precision("highest", 3, 6, 0.0),
        Precision("high", 2, 3, 2.0**-14),
        Precision("medium", 1, 1, 2.0**-7 + 2.0**-14),
    )
}
"""From the most to the least accurate."""


def error_factor(depth: int, eps: float, precision: str = DEFAULT) -> float:
    """Return the largest error of a product's element over the sum of its terms' magnitudes.

    Parameters
    ----------
    depth : int
        Number of terms.
    eps : float
        Machine epsilon of the dtype.
    precision : str, optional
        One of `PRECISIONS`, with which float32 products were computed on a matrix unit; "highest" for every
        other product.

    Returns
    -------
    float
        The error is at most this times ``abs(a) @ abs(b)``.

    Examples
    --------
    >>> error_factor(16, 2.0**-23) == 48 * 2.0**-23
    True
    """
    return (8 * math.sqrt(depth) + 16) * eps + PRECISIONS[precision].left_out
