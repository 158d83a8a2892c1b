from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

def kernel_name(dtype: str) -> str: ...
def compute(
    formula: int,
    arrays: Sequence[NDArray[Any]],
    out: NDArray[Any],
    first: float = 0.0,
    second: float = 0.0,
    threads: int = 0,
) -> None: ...
