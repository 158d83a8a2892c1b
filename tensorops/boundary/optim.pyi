from typing import Any

from numpy.typing import ArrayLike, NDArray

class StepOperation:
    def __init__(self, name: str, step: int, decoupled: bool = False) -> None: ...
    def kernel(self, arrays: Any, out: Any, threads: int = 0, **params: Any) -> None: ...

def sgd_step_(
    p: NDArray[Any],
    g: ArrayLike,
    velocity: NDArray[Any] | None = None,
    *,
    lr: float,
    momentum: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
) -> NDArray[Any]: ...
def adam_step_(
    p: NDArray[Any],
    g: ArrayLike,
    m: NDArray[Any],
    v: NDArray[Any],
    *,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> NDArray[Any]: ...
def adamw_step_(
    p: NDArray[Any],
    g: ArrayLike,
    m: NDArray[Any],
    v: NDArray[Any],
    *,
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> NDArray[Any]: ...
