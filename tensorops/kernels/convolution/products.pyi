"""Convolutions of ready-made arrays: what the boundary and the backends call."""

from typing import Any

from numpy.typing import NDArray

def convolve(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    out: NDArray[Any],
    stride: tuple[int, int],
    padding: tuple[int, int],
    activation: str | None = None,
    threads: int = 0,
) -> None: ...
def input_gradient(
    grad: NDArray[Any],
    weight: NDArray[Any],
    out: NDArray[Any],
    stride: tuple[int, int],
    padding: tuple[int, int],
    threads: int = 0,
) -> None: ...
def weight_gradient(
    grad: NDArray[Any],
    x: NDArray[Any],
    out: NDArray[Any],
    stride: tuple[int, int],
    padding: tuple[int, int],
    threads: int = 0,
) -> None: ...
