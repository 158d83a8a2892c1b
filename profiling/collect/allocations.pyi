import os
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

MINIMUM_BYTES: int

@dataclass(frozen=True)
class LineAllocations:
    line: int
    count: int
    bytes: int

class AllocationCounter:
    def __init__(self, minimum_bytes: int = 64, filename: str | os.PathLike[str] | None = None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]: ...
    @property
    def count(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def peak(self) -> int: ...
    def lines(self) -> list[LineAllocations]: ...

def count_allocations(
    *, minimum_bytes: int = 64, filename: str | os.PathLike[str] | None = None
) -> AllocationCounter: ...
