from collections.abc import Callable, Sequence

MAX_VARIABLES: int

class Simulator:
    def __init__(self, levels: Sequence[tuple[int, int]], line: int, slots: int) -> None: ...
    def run(
        self,
        operations: Sequence[tuple[int, ...]],
        forms: Sequence[tuple[int, ...]],
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> int: ...
    def counts(self) -> list[tuple[int, ...]]: ...
    def clear(self) -> None: ...

def count_accesses(operations: Sequence[tuple[int, ...]], forms: Sequence[tuple[int, ...]]) -> int: ...
