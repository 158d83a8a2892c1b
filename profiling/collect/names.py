"""What the names of a program's own code stand for while it runs: shapes, dtypes and a few of the values.

A thread looks now and then where the program's threads are, as a sampler does, and notes the names of the
innermost frame of the user's own code. So lines that take long are seen often, and nothing is added to
any line. Nothing of the user's is called, copied or kept: arrays are described by single elements.
"""

from __future__ import annotations

import _thread
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from .frame_names import names_of
from .runner_state import write_atomically

FIRST_WAIT = 4e-3
LONGEST_WAIT = 50e-3
GROWTH = 1.2
LEAST_PAUSE = 100
"""A look takes at most a hundredth of the time between two."""

VALUES = 48
MOST_ITEMS = 48
MOST_LINES = 32
MOST_KINDS = 3
MOST_CODES = 32
DEPTH = 3
MOST_FRAMES = 200
NUMBERS = (bool, int, float)
LARGEST_WHOLE = 2**53
LONGEST_TEXT = 64
"""Texts are noted because they may be keys: ``params[name]``."""


class NameWatch:
    """Notes what names stand for, line by line, in a thread of its own.

    Parameters
    ----------
    is_own : callable
        Whether a file is the user's own.
    folder : Path, optional
        Gets ``names.json``.
    """

    def __init__(self, is_own: Callable[[str], bool], folder: Path | None = None) -> None:
        self._is_own = is_own
        self._folder = folder
        self._seen: dict[CodeType, dict[int, dict[Any, list[Any]]]] = {}
        self._changed = False
        self._end = _thread.allocate_lock()
        self._ended = _thread.allocate_lock()
        self._running = False

    def start(self) -> None:
        """Begin to look."""
        self._end.acquire()
        self._ended.acquire()
        self._running = True
        # Not a threading.Thread: the program may list its threads, and must not find one of ours.
        _thread.start_new_thread(self._watch, ())

    def stop(self) -> None:
        """Look no more, and write what was seen."""
        if self._running:
            self._running = False
            self._end.release()
            # In a forked child there is no such thread; it writes nothing either.
            self._ended.acquire(timeout=1.0)
            self._changed = True
            self.flush()

    def flush(self) -> None:
        """Write what was seen so far, if there is anything new."""
        if self._changed and self._folder is not None:
            self._changed = False
            write_atomically(self._folder / "names.json", self.to_dict())

    def note(self, frame: FrameType) -> None:
        """Note the names of a frame.

        Parameters
        ----------
        frame : frame
            Of the user's own code.
        """
        by_line = self._seen.get(frame.f_code)
        if by_line is None:
            if len(self._seen) >= MOST_CODES:
                return
            by_line = self._seen[frame.f_code] = {}
        line = frame.f_lineno
        kinds = by_line.get(line)
        if kinds is None:
            if len(by_line) >= MOST_LINES:
                return
            kinds = by_line[line] = {}
        values = names_of(frame)
        kind = tuple((name, _outline(value, DEPTH)) for name, value in values.items())
        known = kinds.get(kind)
        if known is not None:
            known[0] += 1
        elif len(kinds) < MOST_KINDS:
            kinds[kind] = [1, described(values)]
            self._changed = True

    def to_dict(self) -> dict[str, Any]:
        """Return what was seen as JSON-ready values.

        Returns
        -------
        dict
            ``lines``: for each file, line and kind of values the ``count`` and the ``names``.
        """
        return {
            "lines": [
                {
                    "filename": code.co_filename,
                    "first_line": code.co_firstlineno,
                    "line": line,
                    "count": count,
                    "names": names,
                }
                for code, by_line in self._seen.copy().items()
                for line, kinds in by_line.copy().items()
                for count, names in list(kinds.values())
            ]
        }

    def _watch(self) -> None:
        wait = FIRST_WAIT
        while not self._end.acquire(timeout=wait):
            begun = time.perf_counter()
            try:
                self._look()
            except Exception:
                # A dictionary that changed while it was read, a value that could not be described.
                pass
            taken = time.perf_counter() - begun
            wait = max(min(GROWTH * wait, LONGEST_WAIT), LEAST_PAUSE * taken)
        self._ended.release()

    def _look(self) -> None:
        here = _thread.get_ident()
        for thread, frame in sys._current_frames().items():
            if thread != here:
                own = self._innermost(frame)
                if own is not None:
                    self.note(own)

    def _innermost(self, frame: FrameType | None) -> FrameType | None:
        for _ in range(MOST_FRAMES):
            if frame is None or self._is_own(frame.f_code.co_filename):
                return frame
            frame = frame.f_back
        return None


def observed(
    call: Callable[[], object], filename: str, repeats: int = 10
) -> tuple[dict[str, Any], dict[tuple[str, int], float]]:
    """Note names at each line of a file while a call runs, and how long the lines take.

    For calls that may run several times, under a tracer: it takes some microseconds for each line.

    Parameters
    ----------
    call : callable
        Runs code of the file, in this thread.
    filename : str
        As a code object has it.
    repeats : int
        How often it runs; names are noted in the first run, times are the least of the others.

    Returns
    -------
    names : dict
        As `NameWatch.to_dict`.
    times : dict of (str, int) to float
        Seconds of one call, by file and line.

    Raises
    ------
    RuntimeError
        If somebody else traces this thread.

    Examples
    --------
    >>> def call():
    ...     x = 1
    ...     return x
    >>> names, times = observed(call, call.__code__.co_filename, 2)
    >>> [sorted(entry["names"]) for entry in names["lines"]]
    [[], ['x']]
    """
    if sys.gettrace() is not None:
        raise RuntimeError("this thread is traced by somebody else")
    watch = NameWatch(lambda name: name == filename)
    best: dict[tuple[str, int], float] = {}
    current: dict[tuple[str, int], float] = {}
    since: list[tuple[int, float]] = []
    noting = True

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        now = time.perf_counter()
        if frame.f_code.co_filename != filename:
            return None
        if event == "call":
            since.append((0, now))
            return trace
        line, begun = since.pop() if since else (0, now)
        current[filename, line] = current.get((filename, line), 0.0) + now - begun
        if event == "line":
            if noting:
                watch.note(frame)
            since.append((frame.f_lineno, time.perf_counter()))
        return trace

    for _ in range(repeats):
        current.clear()
        sys.settrace(trace)
        try:
            call()
        finally:
            sys.settrace(None)
        if not noting or repeats == 1:
            for place, spent in current.items():
                best[place] = min(spent, best.get(place, spent))
        noting = False
    return watch.to_dict(), {place: spent for place, spent in best.items() if place[1]}


def described(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return descriptions of values by name.

    Parameters
    ----------
    values : mapping of str to object
        Any objects.

    Returns
    -------
    dict of str to dict
        JSON-ready; what is neither an array, a number, a short text nor something that holds them is left
        out.

    Examples
    --------
    >>> described({"n": 3, "nothing": None})
    {'n': {'number': 3, 'type': 'int'}}
    """
    found = {}
    for name, value in values.items():
        description = _described(value, DEPTH)
        if description is not None:
            found[name] = description
    return found


def _array_type() -> type | None:
    # NumPy may be on its way in; it is never imported here.
    return getattr(sys.modules.get("numpy"), "ndarray", None)


def _scalar_types() -> tuple[type, ...]:
    numpy = sys.modules.get("numpy")
    kinds = (getattr(numpy, name, None) for name in ("floating", "integer"))
    return tuple(kind for kind in kinds if kind is not None)


def _outline(value: Any, depth: int) -> Any:
    """Return what two values have in common if they are of one kind."""
    kind = type(value)
    if kind is _array_type():
        return value.dtype.num, value.shape, value.strides
    if kind in NUMBERS or kind is str:
        return kind
    if not depth or issubclass(kind, (ModuleType, type)):
        return None
    return tuple((name, _outline(item, depth - 1)) for name, item in _items(value))


def _described(value: Any, depth: int) -> dict[str, Any] | None:
    kind = type(value)
    if kind is _array_type():
        return _described_array(value)
    if kind in NUMBERS or issubclass(kind, _scalar_types()):
        number = value if kind in NUMBERS else value.item()
        if isinstance(number, int) and abs(number) > LARGEST_WHOLE:
            return None
        return {"number": number, "type": kind.__name__}
    if kind is str:
        return {"text": value} if len(value) <= LONGEST_TEXT else None
    if not depth or issubclass(kind, (ModuleType, type)):
        return None
    items = [(name, _described(item, depth - 1)) for name, item in _items(value)]
    kept = {name: item for name, item in items if item is not None}
    if not kept:
        return None
    return {"items" if kind in (list, tuple, dict) else "attributes": kept}


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    """Return what an object holds, without calling anything of its own (not even its ``__class__``)."""
    kind = type(value)
    if kind in (list, tuple):
        return ((repr(place), item) for place, item in enumerate(value[:MOST_ITEMS]))
    if kind is dict:
        held = list(value.items())[:MOST_ITEMS]
        return ((repr(name), item) for name, item in held if type(name) in (str, int))
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return ()
    if type(attributes) is not dict:
        return ()
    return ((name, item) for name, item in list(attributes.items())[:MOST_ITEMS] if type(name) is str)


def _described_array(array: Any) -> dict[str, Any] | None:
    if array.dtype.kind not in "fiub":
        return None
    # Single elements: anything else would allocate, and be counted as the program's.
    step = max(1, array.size // VALUES)
    values = [array.item(place) for place in range(0, array.size, step)][:VALUES]
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "strides": list(array.strides),
        "values": values,
    }
