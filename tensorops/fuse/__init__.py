"""Expressions of the user's own as compiled kernels.

``tensorops.fuse`` is the decorator, an object of this package. ``import tensorops`` reads no more of it than
this file; everything else is imported when the first function is decorated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from tensorops.fuse.function import Fused

__all__ = ["fuse"]


class _Fuse:
    """The decorator, and what belongs to it."""

    @overload
    def __call__(self, function: Callable[..., Any], /, *, strict: bool = False) -> Fused: ...
    @overload
    def __call__(
        self, function: None = None, /, *, strict: bool = False
    ) -> Callable[[Callable[..., Any]], Fused]: ...

    def __call__(
        self, function: Callable[..., Any] | None = None, /, *, strict: bool = False
    ) -> Fused | Callable[[Callable[..., Any]], Fused]:
        """Compile an elementwise expression of NumPy into one pass over the data.

        Parameters
        ----------
        function : function, optional
            A ``def`` of arrays and numbers: assignments to local names and one return.
        strict : bool
            Raise an error that points at what cannot be fused. Without it NumPy runs the function, and
            one warning says why.

        Returns
        -------
        Fused
            A function that is called as before, with ``out=`` beside its arguments; or, without
            `function`, a decorator.

        Raises
        ------
        tensorops.fuse.errors.FuseError
            If `strict` and something in the function cannot be fused.

        Examples
        --------
        >>> import numpy as np
        >>> import tensorops
        >>> @tensorops.fuse
        ... def huber(x, y):
        ...     size = np.abs(x - y)
        ...     return np.where(size <= 1, 0.5 * size * size, size - 0.5)
        >>> huber(np.array([1.0, 5.0]), 1.5)
        array([0.125, 3.   ])
        """
        from tensorops.fuse.function import Fused

        if function is None:
            return lambda function: Fused(function, strict)
        return Fused(function, strict)

    def clear(self) -> int:
        """Remove all compiled expressions from the cache folder.

        Returns
        -------
        int
            How many there were. Those that this process has loaded stay in use.
        """
        from tensorops.fuse import store

        return store.clear()

    @property
    def folder(self) -> Path:
        """Where compiled expressions are kept."""
        from tensorops.fuse import store

        return store.folder()


fuse = _Fuse()
fuse.__doc__ = _Fuse.__call__.__doc__
