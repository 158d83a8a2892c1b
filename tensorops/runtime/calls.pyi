from collections.abc import Callable
from typing import Any

def set_listener(listener: Callable[[str, tuple[Any, ...], Any], object] | None) -> None: ...
