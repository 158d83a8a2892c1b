"""Products take the paths of a machine without a profile, whatever other tests have asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorops.dispatch import table


@pytest.fixture(autouse=True)
def no_choice_from_outside(cache_dir: Path) -> Iterator[None]:
    """Forget backends that were asked for: they switch the shortest way to a kernel off."""
    table.set_override_possible(False)
    yield
    table.set_override_possible(False)
