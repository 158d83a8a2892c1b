"""Functions from a text: each gets a file of its own, because fusing reads the source."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Define = Callable[..., Any]
_numbers = itertools.count()


def define_in(folder: Path, text: str, **names: Any) -> dict[str, Any]:
    """Run a text from a file of its own and return its names."""
    path = folder / f"functions_{next(_numbers)}.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    found: dict[str, Any] = {"np": np, **names}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), found)
    return found


@pytest.fixture
def define(tmp_path: Path) -> Define:
    """Return a function that gives the object ``f`` of a text."""
    return lambda text, **names: define_in(tmp_path, text, **names)["f"]
