from types import FrameType
from typing import Any

def names_of(frame: FrameType) -> dict[str, Any]: ...
