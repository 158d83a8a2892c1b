"""The names that a course on hardware acceleration looks for, served by what is here.

`matmul_naive`, `matmul_blocked`, `vectorized_add`, `optimized_relu`, `Accelerator`, `OptimizedBackend`,
``set_backend("naive")`` and `AccelerationCompetition`: each is a few lines over tensorops and
`profiling.bench`. A course's tests may import them from here; new code takes `tensorops` itself.

Operands are arrays, or a course's tensors, which keep an array under ``.data``: of two tensors the
result is a tensor of the first one's class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tensorops
from tensorops.adapters.tensors import array_of
from tensorops.kernels import ladder

from .course_competition import AccelerationCompetition, Standing

__all__ = [
    "AccelerationCompetition",
    "Accelerator",
    "ComputeBackend",
    "NaiveBackend",
    "OptimizedBackend",
    "Standing",
    "get_backend",
    "matmul",
    "matmul_blocked",
    "matmul_naive",
    "matmul_numpy",
    "optimized_matmul",
    "optimized_relu",
    "set_backend",
    "vectorized_add",
]

Array = NDArray[Any]


def matmul_naive(a: Any, b: Any) -> Any:
    """Multiply two matrices with three plain Python loops.

    Parameters
    ----------
    a : array_like or tensor of shape (M, K)
        Left operand.
    b : array_like or tensor of shape (K, N)
        Right operand.

    Returns
    -------
    ndarray or tensor of shape (M, N)
        In float32 or float64; integers become the float that NumPy promotes them and float32 to.

    Raises
    ------
    TypeError
        If an operand holds no numbers.
    ValueError
        If an operand is no matrix, or the shapes do not fit.

    Examples
    --------
    >>> matmul_naive([[1, 2], [3, 4]], [[5, 6], [7, 8]])
    array([[19., 22.],
           [43., 50.]])
    """
    return _like(a, tensorops.matmul(*_matrices(a, b), backend="python"))


def matmul_blocked(a: Any, b: Any, block_size: int = 64) -> Any:
    """Multiply two matrices with compiled loops over blocks, `tensorops.kernels.ladder.blocked`.

    Parameters
    ----------
    a : array_like or tensor of shape (M, K)
        Left operand.
    b : array_like or tensor of shape (K, N)
        Right operand.
    block_size : int
        Rows of a block of `b`, at least 1.

    Returns
    -------
    ndarray or tensor of shape (M, N)
        As `matmul_naive`.

    Raises
    ------
    TypeError
        If an operand holds no numbers.
    ValueError
        If an operand is no matrix, the shapes do not fit, or `block_size` is less than 1.

    Examples
    --------
    >>> matmul_blocked(np.ones((2, 3)), np.ones((3, 2)), block_size=2)
    array([[3., 3.],
           [3., 3.]])
    """
    left, right = _matrices(a, b)
    out = np.empty((left.shape[0], right.shape[1]), left.dtype)
    ladder.blocked(left, np.ascontiguousarray(right), out, block_size)
    return _like(a, out)


def matmul_numpy(a: Any, b: Any) -> Any:
    """Multiply with `numpy.matmul`.

    Parameters
    ----------
    a, b : array_like or tensor
        As `numpy.matmul` takes them.

    Returns
    -------
    ndarray or tensor
        The product.

    Examples
    --------
    >>> matmul_numpy([[1, 2]], [[3], [4]])
    array([[11]])
    """
    return _like(a, np.matmul(_array(a), _array(b)))


def optimized_matmul(a: Any, b: Any) -> Any:
    """Multiply with `tensorops.matmul`, by the implementation that its dispatcher chooses.

    Parameters
    ----------
    a, b : array_like or tensor
        As `numpy.matmul` takes them.

    Returns
    -------
    ndarray or tensor
        The product.

    Examples
    --------
    >>> optimized_matmul(np.eye(2), [[1.0], [2.0]])
    array([[1.],
           [2.]])
    """
    return _like(a, tensorops.matmul(_array(a), _array(b)))


def vectorized_add(a: Any, b: Any) -> Any:
    """Add elementwise, with broadcasting, in one pass: `numpy.add`; `tensorops.add_` does it in place.

    Parameters
    ----------
    a, b : array_like or tensor
        Of shapes that broadcast.

    Returns
    -------
    ndarray or tensor
        The sum, in new memory.

    Examples
    --------
    >>> vectorized_add([1.0, 2.0], 3.0)
    array([4., 5.])
    """
    return _like(a, np.add(_array(a), _array(b)))


def optimized_relu(x: Any) -> Any:
    """Return ``max(x, 0)`` elementwise, with `tensorops.relu`.

    Parameters
    ----------
    x : array_like or tensor
        Of any shape.

    Returns
    -------
    ndarray or tensor
        Of the shape of `x`.

    Examples
    --------
    >>> optimized_relu([-1.0, 2.0])
    array([0., 2.])
    """
    return _like(x, tensorops.relu(_array(x)))


class Accelerator:
    """The optimized functions as methods, for tests that make an object first.

    Examples
    --------
    >>> Accelerator().optimized_matmul(np.eye(2), np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """

    optimized_matmul = staticmethod(optimized_matmul)
    vectorized_add = staticmethod(vectorized_add)
    optimized_relu = staticmethod(optimized_relu)


class ComputeBackend(ABC):
    """What the course calls a backend: an object that multiplies matrices.

    The library's own backends are another thing: `tensorops.backends.base.ComputeBackend`.
    """

    name: str

    @abstractmethod
    def matmul(self, a: Any, b: Any) -> Any:
        """Return the product of two matrices."""

    def dispatch(self, op: str, *args: Any, **kwargs: Any) -> Any:
        """Call one of the backend's operations by its name.

        Parameters
        ----------
        op : str
            Name of a method, such as ``"matmul"``.
        *args, **kwargs : object
            Its arguments.

        Returns
        -------
        object
            Its result.

        Raises
        ------
        NotImplementedError
            If the backend has no such operation.
        """
        method = None if op.startswith("_") or op == "dispatch" else getattr(self, op, None)
        if not callable(method):
            raise NotImplementedError(f"the backend {self.name!r} has no operation {op!r}")
        return method(*args, **kwargs)


class NaiveBackend(ComputeBackend):
    """Plain Python loops.

    Examples
    --------
    >>> NaiveBackend().dispatch("matmul", [[2.0]], [[3.0]])
    array([[6.]])
    """

    name = "naive"

    def matmul(self, a: Any, b: Any) -> Any:
        """Return `matmul_naive` of the operands."""
        return matmul_naive(a, b)


class OptimizedBackend(ComputeBackend):
    """The library's own operations, each by the implementation that its dispatcher chooses.

    Examples
    --------
    >>> OptimizedBackend().dispatch("relu", np.array([-1.0, 1.0]))
    array([0., 1.])
    """

    name = "optimized"

    def matmul(self, a: Any, b: Any) -> Any:
        """Return `optimized_matmul` of the operands."""
        return optimized_matmul(a, b)

    def add(self, a: Any, b: Any) -> Any:
        """Return `vectorized_add` of the operands."""
        return vectorized_add(a, b)

    def relu(self, x: Any) -> Any:
        """Return `optimized_relu` of the operand."""
        return optimized_relu(x)

    def conv2d(self, x: Any, weight: Any, stride: int = 1, padding: int = 0) -> Any:
        """Return `tensorops.conv2d` of the operands."""
        return _like(x, tensorops.conv2d(_array(x), _array(weight), stride=stride, padding=padding))


_KNOWN: dict[str, type[ComputeBackend]] = {kind.name: kind for kind in (NaiveBackend, OptimizedBackend)}
_backend: ComputeBackend = OptimizedBackend()


def set_backend(backend: str | ComputeBackend) -> None:
    """Choose what `matmul` of this module computes with from now on.

    Parameters
    ----------
    backend : {"naive", "optimized"} or ComputeBackend
        Its name, or an object of one's own.

    Raises
    ------
    TypeError
        If it is neither a name nor a backend.
    ValueError
        If the name is unknown. The backends of the library itself are chosen by `tensorops.use_backend`.

    Examples
    --------
    >>> set_backend("naive")
    >>> get_backend().name
    'naive'
    >>> set_backend("optimized")
    """
    global _backend
    if isinstance(backend, ComputeBackend):
        _backend = backend
    elif not isinstance(backend, str):
        raise TypeError(f"expected a name or a ComputeBackend, got {type(backend).__name__}")
    elif backend not in _KNOWN:
        raise ValueError(
            f"unknown backend {backend!r}; known: {', '.join(_KNOWN)}. "
            "Backends of the library itself are chosen by tensorops.use_backend"
        )
    else:
        _backend = _KNOWN[backend]()


def get_backend() -> ComputeBackend:
    """Return what `matmul` of this module computes with.

    Returns
    -------
    ComputeBackend
        At first an `OptimizedBackend`.

    Examples
    --------
    >>> get_backend().name
    'optimized'
    """
    return _backend


def matmul(a: Any, b: Any) -> Any:
    """Multiply with the backend that `set_backend` chose.

    Parameters
    ----------
    a, b : array_like or tensor
        As the backend takes them.

    Returns
    -------
    ndarray or tensor
        The product.

    Examples
    --------
    >>> matmul(np.eye(2), np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """
    return _backend.matmul(a, b)


def _array(value: Any) -> Array:
    found = array_of(value)
    return np.asarray(value) if found is None else found


def _like(given: Any, result: Any) -> Any:
    """Return a result in the class of a course's tensor, if that is what was given."""
    if isinstance(given, np.ndarray) or array_of(given) is None:
        return result
    return type(given)(result)


def _matrices(a: Any, b: Any) -> Sequence[Array]:
    """Return two matrices of one floating dtype, of shapes that fit."""
    left, right = _array(a), _array(b)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(f"expected shapes (M, K) and (K, N), got {left.shape} and {right.shape}")
    dtype = np.result_type(left, right, np.float32)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"expected real numbers, got {left.dtype} and {right.dtype}")
    return left.astype(dtype, copy=False), right.astype(dtype, copy=False)
