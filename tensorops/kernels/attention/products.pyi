"""Attention of ready-made arrays: what the boundary and the backends call."""

from typing import Any

from numpy.typing import NDArray

def attend(
    q: NDArray[Any],
    k: NDArray[Any],
    v: NDArray[Any],
    out: NDArray[Any],
    causal: bool,
    scale: float,
    threads: int = 0,
) -> None: ...
def attend_backward(
    grad: NDArray[Any],
    q: NDArray[Any],
    k: NDArray[Any],
    v: NDArray[Any],
    result: NDArray[Any],
    out: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    causal: bool,
    scale: float,
    threads: int = 0,
) -> None: ...
