from typing import Any

from numpy import floating
from numpy.typing import NDArray

def naive(a: NDArray[floating[Any]], b: NDArray[floating[Any]], c: NDArray[floating[Any]]) -> None: ...
def reordered(a: NDArray[floating[Any]], b: NDArray[floating[Any]], c: NDArray[floating[Any]]) -> None: ...
def blocked(
    a: NDArray[floating[Any]], b: NDArray[floating[Any]], c: NDArray[floating[Any]], block: int = 64
) -> None: ...
