"""A profile's entries as the file has them: checked at once, decoded one by one when they are asked for.

A program's first call reads a profile of many hundred entries and needs a few of them. Pure: nothing here
reads a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np

from tensorops.dispatch.records import Entry, decode_entry

Document = dict[str, Any]

_WHOLE = frozenset({int})
_TEXT = frozenset({str})
_PARAMS = frozenset({str, bool, int, float, type(None), list})
_LARGEST = 2**63


class Entries(Sequence[Entry]):
    """Entries that are decoded when they are asked for.

    Parameters
    ----------
    documents : sequence of dict
        What the JSON parser gave, and `check` or `decode_entry` found right.

    Examples
    --------
    >>> result = {"seconds": 1e-4, "low": 9e-5, "high": 2e-4}
    >>> found = Entries([{"op": "exp", "dtype": "float32", "shapes": [[8]], "layout": "C", "threads": 1,
    ...                   "paths": {"numpy": result}}])
    >>> found[0].shapes, len(found)
    (((8,),), 1)
    """

    __slots__ = ("_content", "_decoded", "_documents", "_places", "samples")

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents: Sequence[Document] | None = documents
        self._content = b""
        self._places: Sequence[Sequence[int]] = ()
        self._decoded: dict[int, Entry] = {}
        # What the cost model has made of the entries, where that is known.
        self.samples: Any = None

    @classmethod
    def of_lines(cls, content: bytes, places: Sequence[Sequence[int]], samples: Any) -> Entries:
        """Return entries that are parsed, too, when they are asked for.

        Parameters
        ----------
        content : bytes
            A profile's file.
        places : sequence of (int, int)
            Where the entries begin and end in it.
        samples : object
            What the cost model has made of them.

        Returns
        -------
        Entries
            As many as there are places.

        Examples
        --------
        >>> len(Entries.of_lines(b"{}", [(0, 2)], None))
        1
        """
        found = cls(())
        found._documents, found._content, found._places, found.samples = None, content, places, samples
        return found

    @property
    def documents(self) -> Sequence[Document]:
        """The entries as the JSON parser gives them."""
        if self._documents is None:
            self._documents = [json.loads(self._content[begin:end]) for begin, end in self._places]
        return self._documents

    def __len__(self) -> int:
        return len(self._places) if self._documents is None else len(self._documents)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place = range(len(self))[index]
        if place not in self._decoded:
            if self._documents is None:
                begin, end = self._places[place]
                document = json.loads(self._content[begin:end])
            else:
                document = self._documents[place]
            self._decoded[place] = decode_entry(document)
        return self._decoded[place]

    def __iter__(self) -> Iterator[Entry]:
        return (self[place] for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Entries({len(self)})"


def documents_of(entries: Iterable[Entry]) -> list[Document]:
    """Return what the cost model reads of entries, as the file would have it.

    Parameters
    ----------
    entries : iterable of Entry
        Entries; those of a file are not decoded.

    Returns
    -------
    list of dict
        Without what no prediction needs.

    Examples
    --------
    >>> documents_of([Entry("exp", "float32", ((8,),), "C")])[0]["shapes"]
    ((8,),)
    """
    if isinstance(entries, Entries):
        return list(entries.documents)
    return [
        {
            "op": entry.op,
            "dtype": entry.dtype,
            "shapes": entry.shapes,
            "layout": entry.layout,
            "params": dict(entry.params),
            "in_place": entry.in_place,
            "threads": entry.threads,
            "paths": {path: {"seconds": result.seconds} for path, result in entry.paths.items()},
        }
        for entry in entries
    ]


def check(documents: Sequence[Any]) -> bool:
    """Tell whether all entries of a file are as the schema wants them.

    Parameters
    ----------
    documents : sequence of object
        What the JSON parser gave.

    Returns
    -------
    bool
        False where `decode_entry` may find something: it tells what.

    Examples
    --------
    >>> check([{"op": "matmul"}])
    False
    """
    try:
        return _all_right(documents)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return False


def _all_right(documents: Sequence[Any]) -> bool:
    if not _only(map(type, documents), frozenset({dict})):
        return False
    texts = [one[name] for name in ("op", "dtype", "layout") for one in documents]
    shapes = list(chain.from_iterable([one["shapes"] for one in documents]))
    sizes = list(chain.from_iterable(shapes))
    threads = [one["threads"] for one in documents]
    paths = [one["paths"] for one in documents]
    params = [one["params"] for one in documents if "params" in one]
    flags = [one["in_place"] for one in documents if "in_place" in one]
    return (
        _only(map(type, texts), _TEXT)
        and _only(map(type, shapes), frozenset({list}))
        and _only(map(type, [one["shapes"] for one in documents]), frozenset({list}))
        and _counts(sizes, 0)
        and _counts(threads, 1)
        and _only(map(type, (*paths, *params)), frozenset({dict}))
        and _only(map(type, flags), frozenset({bool}))
        and _only((type(value) for one in params for value in one.values()), _PARAMS)
        and _only(
            (type(size) for one in params for value in one.values() if type(value) is list for size in value),
            _WHOLE,
        )
        and _results([result for one in paths for result in one.values()])
    )


def _results(results: Sequence[Any]) -> bool:
    if not _only(map(type, results), frozenset({dict})):
        return False
    seconds = [one["seconds"] for one in results]
    low = [one.get("low", one["seconds"]) for one in results]
    high = [one.get("high", one["seconds"]) for one in results]
    if not _only(map(type, (*seconds, *low, *high)), frozenset({float, int})):
        return False
    bounds = np.array([low, seconds, high], dtype=np.float64).reshape(3, -1)
    ordered = (bounds[0] > 0) & (bounds[0] <= bounds[1]) & (bounds[1] <= bounds[2]) & (bounds[2] < math.inf)
    return (
        bool(ordered.all())
        and _counts([one["n"] for one in results if "n" in one], 1)
        and _counts([one[name] for name in ("allocations", "bytes") for one in results if name in one], 0)
        and _only((type(one.get("hotspot")) for one in results), frozenset({str, type(None)}))
    )


def _only(kinds: Iterable[type], allowed: frozenset[Any]) -> bool:
    return set(kinds) <= allowed


def _counts(values: Sequence[Any], least: int) -> bool:
    return not values or (
        _only(map(type, values), _WHOLE) and min(values) >= least and max(values) < _LARGEST
    )
