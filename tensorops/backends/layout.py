"""How an operand lies in memory, in one letter."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["layout_letter"]


def layout_letter(array: np.ndarray[Any, Any]) -> str:
    """Return the letter by which a `Call` and the profile describe an operand's memory order.

    Parameters
    ----------
    array : ndarray
        An operand of at least one dimension.

    Returns
    -------
    str
        "C" if its matrices lie row by row, "F" if column by column, "S" if neither of the last two
        axes is dense. Gaps between rows, columns or matrices do not matter.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((4, 6))
    >>> layout_letter(x), layout_letter(x.T), layout_letter(x[:, ::2])
    ('C', 'F', 'S')
    """
    if array.ndim == 0 or array.strides[-1] == array.itemsize or array.shape[-1] <= 1:
        return "C"
    if array.ndim > 1 and (array.strides[-2] == array.itemsize or array.shape[-2] <= 1):
        return "F"
    return "S"
