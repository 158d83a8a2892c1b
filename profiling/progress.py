"""A progress bar on standard error, shown only to a person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[str], None]
Tell = Callable[[str, float], None]
WHOLE_RUN = 86_400.0


@contextmanager
def progress_bar(title: str, steps: int) -> Iterator[Advance]:
    """Show progress while the body works.

    Parameters
    ----------
    title : str
        What is going on.
    steps : int
        How often the body will advance.

    Yields
    ------
    callable
        ``advance(text)`` tells what begins now.

    Examples
    --------
    >>> with progress_bar("measuring", 1) as advance:
    ...     advance("first step")
    """
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    with _bar() as bar:
        task = bar.add_task(title, total=steps, now="")
        begun = 0

        def advance(text: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, now=text, refresh=True)
            begun += 1

        yield advance


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}"),
    )
    # No refreshing thread: it would run beside what is being timed.
    console = Console(stderr=True)
    # The time left comes from all steps so far: few steps are quick ones, and seldom all alike.
    return Progress(
        *columns, console=console, transient=True, auto_refresh=False, speed_estimate_period=WHOLE_RUN
    )


@contextmanager
def share_bar(title: str) -> Iterator[Tell]:
    """Show progress while the body works and tells which share of its work or time is done.

    Parameters
    ----------
    title : str
        What is going on.

    Yields
    ------
    callable
        ``tell(text, share)``: what begins now, and the share from 0 to 1 that is done.

    Examples
    --------
    >>> with share_bar("tuning") as tell:
    ...     tell("first problem", 0.0)
    """
    if not sys.stderr.isatty():
        yield lambda text, share: None
        return
    with _bar() as bar:
        task = bar.add_task(title, total=1.0, now="")

        def tell(text: str, share: float) -> None:
            bar.update(task, completed=min(share, 1.0), now=text, refresh=True)

        yield tell
