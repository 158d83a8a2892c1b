from collections.abc import Sequence
from typing import Any

import numpy as np

class Kernel:
    dtype: np.dtype[Any]
    def __init__(self, module: Any, dtype: np.dtype[Any], inputs: int, grain: int) -> None: ...
    def run(
        self,
        arrays: Sequence[np.ndarray[Any, Any]],
        scalars: Sequence[float],
        out: np.ndarray[Any, Any],
        reduction: str | None = None,
    ) -> None: ...

class Caller:
    def remember(self, pattern: tuple[type | None, ...], slots: tuple[int, ...], kernel: Kernel) -> None: ...
    def general(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
