"""A call that a backend's Python object computes, and what happens when it fails."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tensorops.backends import run_path
from tensorops.backends.base import Array, Call, layout_letter
from tensorops.dispatch import selection
from tensorops.runtime import openmp

__all__ = ["BackendWarning", "compute"]


class BackendWarning(UserWarning):
    """A backend failed, and another one has computed the result in its place.

    Examples
    --------
    >>> issubclass(BackendWarning, UserWarning)
    True
    """


def compute(
    path: str,
    op: str,
    arrays: Sequence[Array],
    out: Array,
    params: Mapping[str, Any],
    *,
    ours: bool,
    backend: str | None = None,
) -> None:
    """Compute `op` into `out` by one path; where that fails and may be replaced, by the next best.

    The path was chosen for the call's size class: its backend is asked about the call itself first.

    Parameters
    ----------
    path : str
        The path chosen.
    op : str
        Name in the operation registry.
    arrays : sequence of ndarray
        The operands, as `ComputeBackend.run` expects them.
    out : ndarray
        The result.
    params : mapping
        The operation's parameters, and "threads".
    ours : bool
        Whether `out` is no memory of the user's.
    backend : str, optional
        The backend that the call names. What was asked for, so or by ``use_backend``, is not replaced.

    Raises
    ------
    ValueError
        If the backend was asked for and cannot compute the call; nothing is written.
    Exception
        What the backend raises, where it is not to be replaced or nothing is left to replace it.

    Warns
    -----
    BackendWarning
        If the path failed and another one computed the result. The path is not chosen again in this
        process, until a backend comes or goes.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((2, 2))
    >>> compute("numpy", "matmul", [np.eye(2), np.eye(2)], out, {"threads": 1}, ours=True)
    >>> out
    array([[1., 0.],
           [0., 1.]])
    """
    call = Call.of(
        op,
        arrays[0].dtype.name,
        [x.shape for x in arrays],
        "".join(map(layout_letter, arrays)),
        params,
        openmp.get_num_threads(),
    )
    refused = selection.refusal(call, path, backend)
    if refused is not None:
        reason, asked = refused
        if asked:
            raise ValueError(reason)
        path = selection.choose_path(call).path
    while True:
        try:
            _run(path, op, arrays, out, params)
        except Exception as error:
            if not ours or backend is not None or selection.active_backend() is not None:
                raise
            reason = f"it failed in this process: {type(error).__name__}: {error}"
            selection.exclude_path(path, reason)
            try:
                other = selection.choose_path(call).path
            except ValueError:
                raise error from None
            warnings.warn(
                f"tensorops: path {path!r} is replaced by {other!r}: {reason}", BackendWarning, stacklevel=2
            )
            path = other
        else:
            return


def _run(path: str, op: str, arrays: Sequence[Array], out: Array, params: Mapping[str, Any]) -> None:
    result = run_path(path, op, arrays, out, **params)
    if result is not out:
        shape = getattr(result, "shape", None)
        described = f"an array of shape {shape}" if shape is not None else type(result).__name__
        raise RuntimeError(
            f"backend {path.partition('/')[0]!r} returned {described} for {op}, not the `out` of shape "
            f"{out.shape} that it was given to write"
        )
