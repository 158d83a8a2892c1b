"""The bytes that the judge and the box exchange.

Every message has a head of 24 bytes: kind, length of what follows, and a token. The answer to a
request carries the request's token, so that nothing can be answered before it was asked.
"""

from __future__ import annotations

import os
import struct

HEAD = struct.Struct("=B3xI16s")
PREPARE, CALL, NOTHING, INSPECT, LINES = 1, 2, 3, 4, 5
READY, DONE, FAILED = 101, 102, 103
TOKEN = 16
NO_TOKEN = bytes(TOKEN)
ALIGNMENT = 64
MARGIN = 4096
"""Bytes behind every result that must stay as they are."""


def message(kind: int, token: bytes = NO_TOKEN, content: bytes = b"") -> bytes:
    """Return a message.

    Examples
    --------
    >>> len(message(CALL))
    24
    """
    return HEAD.pack(kind, len(content), token) + content


def read_exactly(handle: int, count: int) -> bytes:
    """Read `count` bytes, waiting for them.

    Raises
    ------
    EOFError
        Where the other side is gone.
    """
    parts = []
    while count:
        part = os.read(handle, count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def receive(handle: int, begun: bytes = b"") -> tuple[int, bytes, bytes]:
    """Read one message.

    Parameters
    ----------
    handle : int
        Where from.
    begun : bytes
        What has been read of its head.

    Returns
    -------
    kind, token, content : int, bytes, bytes
        As they were sent.

    Raises
    ------
    EOFError
        Where the other side is gone.
    """
    kind, length, token = HEAD.unpack(begun + read_exactly(handle, HEAD.size - len(begun)))
    return kind, token, read_exactly(handle, length) if length else b""
