"""What the library knows of one operation, and the names of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = Sequence[int]
Params = Mapping[str, Any]
Sizes = tuple[int, int, int, int]
NO_PARAMS: Params = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OpSpec:
    """What the library knows of one operation.

    Attributes
    ----------
    name : str
        Public name, as in ``tensorops.<name>``.
    signature : str
        Parameters of the public function.
    cost_class : str
        "product", "elementwise", "rows" or "optimizer": operations of one class share a cost model.
    flops : callable
        ``flops(shapes, params={}) -> int``: floating-point operations on operands of these shapes.
    bytes : callable
        ``bytes(shapes, itemsize, params={}) -> int``: the least memory traffic, each operand read
        once and the result written once.
    sizes : callable
        ``sizes(shapes, params={})``: the four sizes that the time depends on, the unused ones 1.
        Products: m, k, n and the number of matrices. Elementwise: the elements, and the run length
        of a broadcast operand. Rows: rows and columns.
    shapes_of : callable
        ``shapes_of(sizes, params={})``: shapes of the operands of a call with these sizes.
    out_shape : callable
        ``out_shape(shapes, params={})``: shape of the result; of each result where there are several.
    reference : callable
        The float64 definition, called with the operands and the parameters.
    numpy_twin : str, callable or None
        Name of NumPy's function with the same meaning, or one of ``tensorops.numpy_twins``.
    error_bound : callable
        ``error_bound(*operands, **params) -> ndarray``: the largest absolute error allowed in each
        element, for operands of the dtype that is computed in; a tuple where there are several results.
    backward : str or None
        Name of the operation that computes the gradients, if the library has one.
    outputs : int
        Number of results; where there are several, they come as a tuple.
    changed : tuple of int
        Places of the operands that the call writes.
    operands : callable or None
        ``operands(shapes, dtype, rng, params={})``: arrays that the operation accepts; None where any
        reals will do.
    example_shapes : tuple
        Typical shapes of the operands, from small to large, for reports, tests and tuning.
    example_params : tuple of mapping
        Parameters of the call that reports and tests go through; the first are the usual ones.
    path_params : mapping
        The parameters on which the choice of a path depends, with their defaults: those that change the
        work, not mere numbers in it.
    size_params : mapping
        The parameters without which the operands' shapes do not tell the sizes, with their defaults. Calls of
        equal sizes are alike whatever these are.

    Examples
    --------
    >>> from tensorops.operations import OPERATIONS
    >>> OPERATIONS["matmul"].flops([(64, 784), (784, 128)])
    12845056
    >>> OPERATIONS["matmul"].shapes_of(OPERATIONS["matmul"].sizes([(64, 784), (784, 128)]))
    ((64, 784), (784, 128))
    """

    name: str
    signature: str
    cost_class: str
    flops: Callable[..., int]
    bytes: Callable[..., int]
    sizes: Callable[..., Sizes]
    shapes_of: Callable[..., tuple[tuple[int, ...], ...]]
    out_shape: Callable[..., Any]
    reference: Callable[..., Any]
    numpy_twin: str | Callable[..., Any] | None
    error_bound: Callable[..., Any]
    backward: str | None = None
    outputs: int = 1
    changed: tuple[int, ...] = ()
    operands: Callable[..., tuple[NDArray[Any], ...]] | None = None
    example_shapes: tuple[tuple[tuple[int, ...], ...], ...] = ()
    example_params: tuple[Params, ...] = (NO_PARAMS,)
    path_params: Params = field(default_factory=lambda: NO_PARAMS)
    size_params: Params = field(default_factory=lambda: NO_PARAMS)

    @property
    def in_place(self) -> bool:
        """Whether the call changes an operand."""
        return bool(self.changed)

    def params_of_path(self, params: Params = NO_PARAMS) -> tuple[tuple[str, Any], ...]:
        """Return what a call's parameters say to the choice of its path.

        Parameters
        ----------
        params : mapping
            The call's parameters.

        Returns
        -------
        tuple of (str, object)
            Those of `path_params`, sorted by name; the default where one is not given.

        Examples
        --------
        >>> from tensorops.operations import OPERATIONS
        >>> OPERATIONS["gelu"].params_of_path({"approximate": "tanh"}), OPERATIONS["relu"].params_of_path()
        ((('approximate', 'tanh'),), ())
        """
        return tuple(sorted((name, params.get(name, value)) for name, value in self.path_params.items()))

    def params_of_call(self, params: Params = NO_PARAMS) -> tuple[tuple[str, Any], ...]:
        """Return what a call's parameters say of its sizes and to the choice of its path.

        Parameters
        ----------
        params : mapping
            The call's parameters.

        Returns
        -------
        tuple of (str, object)
            Those of `path_params` and `size_params`, sorted by name; the default where one is not given. One
            number stands for as many as the default has.

        Examples
        --------
        >>> from tensorops.operations import OPERATIONS
        >>> OPERATIONS["conv2d"].params_of_call({"stride": 2})
        (('activation', None), ('padding', (0, 0)), ('stride', (2, 2)))
        """
        if not self.size_params:
            return self.params_of_path(params)
        known = {**self.path_params, **self.size_params}
        given = ((name, params.get(name, default)) for name, default in known.items())
        return tuple(sorted((name, _like(value, known[name])) for name, value in given))

    def numpy_function(self) -> Callable[..., Any] | None:
        """Return the operation as NumPy users write it.

        Returns
        -------
        callable or None
            ``f(*operands, out=None, **params)``: NumPy's own function, or one of
            ``tensorops.numpy_twins``; None where there is neither.

        Examples
        --------
        >>> from tensorops.operations import OPERATIONS
        >>> OPERATIONS["matmul"].numpy_function() is np.matmul
        True
        """
        if self.numpy_twin is None or callable(self.numpy_twin):
            return self.numpy_twin
        twin: Callable[..., Any] = getattr(np, self.numpy_twin)
        return twin


def _like(value: Any, default: Any) -> Any:
    """Return a parameter's value in the form of its default, so that equal calls have equal parameters."""
    if not isinstance(default, tuple):
        return value
    return tuple(map(int, value)) if isinstance(value, list | tuple | np.ndarray) else (value,) * len(default)
