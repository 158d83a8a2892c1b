from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

def attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    *,
    causal: bool = False,
    scale: float | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
def by_kernel(
    arrays: Sequence[NDArray[Any]],
    out: NDArray[Any],
    threads: int = 0,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> None: ...
def attention_backward(
    grad: ArrayLike,
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    out: ArrayLike,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]: ...
def backward_by_kernel(
    arrays: Sequence[NDArray[Any]],
    out: tuple[NDArray[Any], ...],
    threads: int = 0,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> None: ...
