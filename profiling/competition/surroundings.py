"""What stands round a judging: folders, processors, priorities, and whose fault a fault is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..measure.timer import garbage_collection_off
from . import verdict
from .pack import Band
from .priority import raised
from .verdict import Fault

FOLDERS = "tensorops-judge-"
"""What the names of temporary folders begin with; the judge's process follows."""


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for the files of one contender.

    Yields
    ------
    Path
        It is removed afterwards.
    """
    made = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def sweep() -> None:
    """Remove what judges that were killed have left in the folder for temporary files."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDERS}*-*"):
        process = left.name.removeprefix(FOLDERS).partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep the judge's own work to one thread, without collections of garbage.

    Yields
    ------
    None
        Nothing.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1), garbage_collection_off():
        yield


@contextmanager
def beside(cores: Sequence[int]) -> Iterator[None]:
    """Run the judge on the submission's first processor, so that waking each other takes microseconds.

    Parameters
    ----------
    cores : sequence of int
        The submission's processors.

    Yields
    ------
    None
        With precedence over other work, where the system grants it.
    """
    before = os.sched_getaffinity(0)
    with raised():
        os.sched_setaffinity(0, cores[:1])
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


@contextmanager
def blamed(index: int) -> Iterator[None]:
    """Take a fault of the second contender, the baseline, for the judge's.

    Parameters
    ----------
    index : int
        Whose turn it is.

    Yields
    ------
    None
        Nothing.
    """
    try:
        yield
    except Fault as fault:
        if index == 0:
            raise
        raise Fault(verdict.JUDGE_ERROR, f"the baseline failed: {fault}") from fault


@contextmanager
def located(band: Band, sizes: Sequence[int], names: Sequence[str]) -> Iterator[None]:
    """Add the case to a fault that happens within.

    Parameters
    ----------
    band : Band
        Which family of sizes.
    sizes, names : sequence
        Its numbers and what they mean.

    Yields
    ------
    None
        Nothing.
    """
    try:
        yield
    except Fault as fault:
        if fault.name != verdict.JUDGE_ERROR:
            text = ", ".join(f"{size} {name}" for size, name in zip(sizes, names, strict=True))
            fault.more.setdefault("case", f"{band.name} ({text})")
        raise
