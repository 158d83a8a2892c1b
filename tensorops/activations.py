"""The activations that a layer may apply, by the names that users give them.

A name is that of an elementwise operation, for gelu with the approximation behind it. The order is that of
the epilogues in ``kernels/gemm/kernels.pxd``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACTIVATIONS: tuple[str, ...] = ("relu", "gelu", "gelu_tanh", "gelu_sigmoid", "silu", "sigmoid", "tanh")


def operation_of(activation: str) -> tuple[str, Mapping[str, str]]:
    """Return the elementwise operation that an activation is.

    Parameters
    ----------
    activation : str
        One of `ACTIVATIONS`.

    Returns
    -------
    name : str
        Of the operation.
    params : mapping of str to str
        Its parameters.

    Examples
    --------
    >>> name, params = operation_of("gelu_tanh")
    >>> name, dict(params)
    ('gelu', {'approximate': 'tanh'})
    """
    name, _, approximate = activation.partition("_")
    return name, MappingProxyType({"approximate": approximate} if approximate else {})
