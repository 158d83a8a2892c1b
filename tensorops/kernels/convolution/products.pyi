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
