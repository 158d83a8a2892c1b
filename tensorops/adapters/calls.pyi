from typing import Any

from numpy.typing import NDArray

def operator(a: Any, b: Any) -> Any: ...
def fresh(
    left: Any,
    right: Any,
    m: int,
    n: int,
    k: int | None,
    left_transposed: bool,
    right_transposed: bool,
    shape: Any,
    dtype: Any = ...,
) -> NDArray[Any] | None: ...
def loops(
    result: Any,
    left: Any,
    right: Any,
    m: int,
    n: int,
    k: int | None,
    accumulate: bool,
    left_transposed: bool,
    right_transposed: bool,
) -> bool: ...
