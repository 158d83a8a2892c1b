from typing import Any

from numpy.typing import ArrayLike, NDArray

def matmul(
    a: ArrayLike,
    b: ArrayLike,
    /,
    out: NDArray[Any] | None = None,
    *,
    backend: str | None = None,
    precision: str | None = None,
) -> Any: ...
