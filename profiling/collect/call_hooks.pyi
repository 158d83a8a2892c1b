from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import disjoint_base

from .conventions import Convention

@disjoint_base
class Rule:
    row: int
    def __init__(
        self,
        row: int,
        convention: Convention,
        formula: tuple[int, int] | None = None,
        operands: int = 1,
        arguments: int = 1,
        product: int = 0,
        complex_factor: int = 0,
        copies: bool = False,
    ) -> None: ...

@disjoint_base
class Counter:
    active: bool
    def __init__(self, numpy_calls: bool = True, wanted: Callable[[str], bool] | None = None) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def figures(self) -> list[tuple[int, int, int, int, int]]: ...
    def figures_of_lines(self) -> list[tuple[str, str, int, int, int, int, int, int]]: ...

def library_called(op: str, operands: tuple[Any, ...], result: Any) -> None: ...
def set_library(
    rows: Mapping[str, int], cost: Callable[[str, tuple[Any, ...], Any], tuple[int | None, int]]
) -> None: ...
def watch_object(target: Callable[..., Any], rules: Sequence[Rule | None]) -> str | None: ...
def watch_method(method: Callable[..., Any], rule: Rule | None, of_ufunc: int = 0) -> str | None: ...
