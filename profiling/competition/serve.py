"""A class's server: take what is in the inbox, judge in order, write the pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .inbox import Inbox, Rules
from .judge import RANKED, Plan
from .remotes import fetch_all
from .site import Site
from .store import Store, StoreError
from .work import Judge

FETCH_SECONDS = 60.0


def serve(
    store: Store,
    home: Path,
    *,
    rules: Rules | None = None,
    plan: Plan = RANKED,
    once: bool = False,
    unsafe: bool = False,
    pause: float = 1.0,
    told: Callable[[str], None] = lambda text: None,
) -> int:
    """Serve a class until it is stopped.

    Parameters
    ----------
    store : Store
        The competition.
    home : Path
        Its folder, with ``inbox`` and ``site``.
    rules : Rules, optional
        How much each participant may enter.
    plan : Plan
        How much is measured.
    once : bool
        Whether to end when everything is judged.
    unsafe : bool
        Whether to run submissions where no sandbox works.
    pause : float
        Seconds between two looks at an inbox without news.
    told : callable
        Told what happens.

    Returns
    -------
    int
        Number of judgings.

    Raises
    ------
    RuntimeError
        Where no sandbox works.
    StoreError
        With `once`, where nothing can be stored; else it is told, and tried again.
    """
    judge = Judge(store, home, plan=plan, unsafe=unsafe, told=told)
    inbox = Inbox(store, home, rules)
    site = Site(store, home, judge.machine)
    fetched = -FETCH_SECONDS
    count = 0
    while True:
        # Steps of this clock are of no consequence: it only spaces the visits.
        if time.monotonic() - fetched >= FETCH_SECONDS:
            fetch_all(home, told)
            fetched = time.monotonic()
        new = inbox.take(settled=not once)
        if new:
            told(f"{new} new in the inbox")
        _write(site, told)
        try:
            judged = judge.step()
        except StoreError as error:
            if once:
                raise
            told(str(error))
            judged = None
        count += judged is not None
        if judged is None and once and not new:
            _write(site, told)
            return count
        if judged is None:
            time.sleep(pause)


def _write(site: Site, told: Callable[[str], None]) -> None:
    try:
        site.write()
    except OSError as error:
        # Pages can be written again at any time; results cannot.
        told(f"the pages could not be written: {error}")
