"""What holds for every test and every doctest, wherever in the tree it stands."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# A shared machine makes single examples slow now and then: that is no property of the code.
settings.register_profile("tensorops", deadline=None, print_blob=True)
settings.load_profile("tensorops")

# Packs and submissions are loaded by the competition's judge, never by the test run itself.
collect_ignore_glob = ["profiling/competition/problems/*"]

_cache = pytest.StashKey[str]()
# What the caller may choose for a run: the instruction set and the number of threads under test.
_KEPT = {"TENSOROPS_ISA", "TENSOROPS_NUM_THREADS"}


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's profile and settings out of the run, and the run out of the user's cache."""
    for name in [name for name in os.environ if name.startswith("TENSOROPS_") and name not in _KEPT]:
        del os.environ[name]
    config.stash[_cache] = tempfile.mkdtemp(prefix="tensorops-tests-")
    os.environ["TENSOROPS_CACHE_DIR"] = config.stash[_cache]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the cache of this run."""
    if _cache in config.stash:
        shutil.rmtree(config.stash[_cache], ignore_errors=True)
