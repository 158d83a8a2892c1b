from typing import Any

from numpy.typing import NDArray

def linear_into(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    out: NDArray[Any],
    activation: str | None = None,
    pack: str = "auto",
    threads: int = 0,
) -> None: ...
def linear_backward_into(
    grad: NDArray[Any],
    x: NDArray[Any],
    weight: NDArray[Any],
    dx: NDArray[Any],
    dweight: NDArray[Any],
    dbias: NDArray[Any] | None,
    pack: str = "auto",
    threads: int = 0,
) -> None: ...
