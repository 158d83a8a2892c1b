"""Every test of the dispatcher starts without a profile and without an active backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorops.dispatch import selection


@pytest.fixture(autouse=True)
def no_choice_from_outside(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the profile and the variables of whoever runs the tests."""
    monkeypatch.delenv("TENSOROPS_PROFILE", raising=False)
    monkeypatch.delenv("TENSOROPS_BACKEND", raising=False)
    selection.reload_profile()
    yield
    monkeypatch.undo()
    selection.reload_profile()
