"""Fixtures that tests of several packages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

SEED = 20260801


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that starts from the same seed in every test."""
    return np.random.default_rng(SEED)


@pytest.fixture(autouse=True)
def torch_is_no_automatic_choice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what an earlier test has imported out of what these tests measure and choose."""
    from tensorops.backends.torch_backend import TorchBackend

    if request.node.nodeid.startswith(("tests/dispatch/", "tests/profiling/")):
        monkeypatch.setattr(TorchBackend, "automatic", lambda self: "left out of this test")


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give one test an empty cache folder, and a dispatcher that has forgotten every other profile."""
    from tensorops.dispatch import selection

    folder = tmp_path / "cache"
    monkeypatch.setenv("TENSOROPS_CACHE_DIR", str(folder))
    selection.reload_profile()
    yield folder
    monkeypatch.undo()
    selection.reload_profile()
