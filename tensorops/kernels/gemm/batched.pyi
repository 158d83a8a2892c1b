from typing import Any

from numpy import floating
from numpy.typing import NDArray

def matmul_into(
    a: NDArray[floating[Any]],
    b: NDArray[floating[Any]],
    out: NDArray[floating[Any]],
    pack: str = "auto",
    threads: int = 0,
    accumulate: bool = False,
) -> None: ...
def kernel_of(
    a: NDArray[floating[Any]],
    b: NDArray[floating[Any]],
    out: NDArray[floating[Any]],
    pack: str = "auto",
) -> str: ...
