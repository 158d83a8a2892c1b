from collections.abc import Callable
from typing import Any

def run(
    requests: int,
    answers: int,
    kernel: Callable[..., Any],
    arguments: tuple[Any, ...],
    processors: bytes,
    call: int,
    nothing: int,
    done: int,
) -> tuple[bytes, BaseException | None]: ...
