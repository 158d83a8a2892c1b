"""A progress bar on standard error, shown only to a person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[str], None]


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
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    # No refreshing thread: it would run beside what is being timed.
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task(title, total=steps, now="")
        begun = 0

        def advance(text: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, now=text, refresh=True)
            begun += 1

        yield advance
