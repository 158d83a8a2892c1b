from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    activation: str | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
def by_kernel(
    arrays: Sequence[NDArray[Any]],
    out: NDArray[Any],
    threads: int = 0,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    activation: str | None = None,
) -> None: ...
def conv2d_backward(
    grad: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    bias: bool = True,
    need_dx: bool = True,
) -> tuple[NDArray[Any] | None, NDArray[Any], NDArray[Any] | None]: ...
def backward_by_kernel(
    arrays: Sequence[NDArray[Any]],
    out: tuple[NDArray[Any] | None, NDArray[Any], NDArray[Any] | None],
    threads: int = 0,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    bias: bool = True,
    need_dx: bool = True,
) -> None: ...
