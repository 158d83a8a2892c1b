"""The libraries that ours is measured beside: a file for each; ``RIVALS`` is THE list of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..libraries import Library
from .jax_rival import JaxLibrary
from .numba_rival import NumbaLibrary
from .numexpr_rival import NumexprLibrary
from .numpy_rival import NumpyLibrary
from .torch_rival import TorchLibrary

RIVALS: Mapping[str, Library] = MappingProxyType(
    {
        library.name: library
        for library in (NumpyLibrary(), TorchLibrary(), NumbaLibrary(), NumexprLibrary(), JaxLibrary())
    }
)
"""By the name on the command line. A new one costs a file and a place here."""

__all__ = ["RIVALS", "JaxLibrary", "NumbaLibrary", "NumexprLibrary", "NumpyLibrary", "TorchLibrary"]
