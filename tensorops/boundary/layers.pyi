from typing import Any

from numpy.typing import ArrayLike, NDArray

def linear(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    activation: str | None = None,
    out: NDArray[Any] | None = None,
    precision: str | None = None,
) -> Any: ...
def linear_backward(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, *, bias: bool = True, precision: str | None = None
) -> Any: ...
