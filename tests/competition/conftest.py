"""What tests of the competition share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiling.competition import pack, sandbox, validate
from profiling.competition.store import Store

# The judge needs Linux.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(scope="session")
def softmax() -> pack.Pack:
    return pack.load("softmax")


@pytest.fixture(scope="session")
def walls() -> sandbox.Sandbox:
    found = sandbox.probe()
    if not found.confined:
        pytest.skip(f"no sandbox works here: {found.why}")
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "competition"
    monkeypatch.setenv("TENSOROPS_COMPETITION", str(folder))
    return folder


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store(home) as opened:
        yield opened


@pytest.fixture(autouse=True)
def packs_are_known_to_be_right(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the tests what test_packs.py shows once."""
    if not request.node.nodeid.startswith("tests/competition/test_packs.py"):
        monkeypatch.setattr(validate, "ensure", lambda *args: None)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Every test ends without a process of its own."""
    yield
    left = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                command = (entry / "cmdline").read_text(errors="replace")
                if "importlib.util, json" in command:
                    left.append(int(entry.name))
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert not left, f"{len(left)} boxes are still running"
