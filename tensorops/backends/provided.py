"""The kernels that the boundaries give to the backend ``blocked``, each for its own operation."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["PROVIDED", "Kernel", "provide"]

Kernel = Callable[..., object]
PROVIDED: dict[str, Kernel] = {}
"""By operation."""


def provide(op: str, kernel: Kernel) -> None:
    """Give the backend ``blocked`` the kernel of an operation: a boundary does so for each of its own.

    Parameters
    ----------
    op : str
        Name in the operation registry.
    kernel : callable
        ``kernel(arrays, out, threads=0, **params)``: computes into `out`, a tuple of arrays where the
        operation has several results, on at most so many threads (0: as many as the library may use).

    Examples
    --------
    >>> provide("nothing", lambda arrays, out, threads=0: None)
    >>> _ = PROVIDED.pop("nothing")
    """
    PROVIDED[op] = kernel
