from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from tensorops.runtime import paths


def test_the_default_is_the_user_s_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSOROPS_CACHE_DIR", raising=False)
    default = paths.cache_dir()
    assert default == Path(platformdirs.user_cache_dir("tensorops", appauthor=False))
    monkeypatch.setenv("TENSOROPS_CACHE_DIR", "")
    assert paths.cache_dir() == default


def test_the_environment_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_CACHE_DIR", str(tmp_path / "here"))
    assert paths.cache_dir() == tmp_path / "here"
    assert paths.profile_dir() == tmp_path / "here" / "profiles"
    assert not (tmp_path / "here").exists()


def test_a_relative_folder_does_not_move_with_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENSOROPS_CACHE_DIR", "relative")
    assert paths.cache_dir() == tmp_path / "relative"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TENSOROPS_CACHE_DIR", "~/cache")
    assert paths.cache_dir() == tmp_path / "cache"
