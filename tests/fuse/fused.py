"""Fused functions that several tests call: each dtype of each costs a compilation."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorops

OFFSET = 0.25


@tensorops.fuse(strict=True)
def scaled(x: Any, y: Any, factor: Any = 2.0) -> Any:
    """Return arithmetic that NumPy rounds in the same way."""
    z = x * y
    z += factor * x
    return np.where(x > y, z - OFFSET, np.maximum(y, z))


@tensorops.fuse(strict=True)
def shifted(x: Any) -> Any:
    """Return what is worth to be named."""
    return x * 3.0 - OFFSET


@tensorops.fuse(strict=True)
def outer(x: Any, *, low: Any = -1.0) -> Any:
    """Call other fused functions."""
    return np.clip(shifted(x) * shifted(x), low, None) + scaled(y=x, x=2.0 * x)


@tensorops.fuse(strict=True)
def inside(x: Any, low: Any, high: Any) -> Any:
    """Return a mask."""
    return (x >= low) & ~(x > high) | (x == 7)


@tensorops.fuse(strict=True)
def masked(x: Any, mask: Any) -> Any:
    """Mix masks and numbers."""
    return (x > 0) * x + mask * 2.0 + np.where(mask, 1, 0)


@tensorops.fuse(strict=True)
def total(x: Any, y: Any) -> Any:
    """Sum over all."""
    return np.sum(x * y)


@tensorops.fuse(strict=True)
def root_mean_square(x: Any, y: Any, scale: Any = 1.0) -> Any:
    """Compute on after the reduction."""
    return scale * np.sqrt(np.mean((x - y) ** 2, axis=-1, keepdims=True))


@tensorops.fuse(strict=True)
def largest(x: Any, y: Any) -> Any:
    """Reduce the first axis."""
    return (x - y).max(axis=0)


@tensorops.fuse(strict=True)
def smallest(x: Any) -> Any:
    """Reduce the outer axes."""
    return np.min(x * 2.0, axis=(0, 2))


@tensorops.fuse(strict=True)
def count(x: Any) -> Any:
    """Count."""
    return np.sum(x > 0, axis=1)


@tensorops.fuse(strict=True)
def whole_powers(x: Any) -> Any:
    """Take powers that become products."""
    return x**2 + x**3 + x**-1 + x**0 + x**1 + x**0.5 + x**-2 + x**5
