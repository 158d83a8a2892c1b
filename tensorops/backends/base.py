"""What a backend is: the call it is asked about, and the few methods it has to offer.

A backend only computes. The boundary has validated the operands, broadcast them to one batch shape
and allocated the result before a backend sees them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tensorops.backends.layout import layout_letter
from tensorops.operations import NO_PARAMS, OPERATIONS

__all__ = ["FLOAT_DTYPES", "Array", "Call", "ComputeBackend", "layout_letter", "only_float_matmul"]

Array = NDArray[Any]

FLOAT_DTYPES = ("float32", "float64")

# The cost class whose operations are told apart by the layouts of two matrices.
PRODUCTS = "product"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation, as far as the choice of a path depends on it.

    Attributes
    ----------
    op : str
        Name in the operation registry.
    dtype : str
        The dtype that is computed in.
    shapes : tuple of tuple of int
        Shapes of the operands.
    layout : str
        One letter for each operand, see `layout_letter`.
    params : tuple of (str, object)
        Parameters that change the work, sorted by name.
    in_place : bool
        Whether the first operand is changed.
    threads : int
        Threads the kernels may use.

    Examples
    --------
    >>> Call("matmul", "float32", ((64, 784), (784, 128))).layout
    'CC'
    """

    op: str
    dtype: str
    shapes: tuple[tuple[int, ...], ...]
    layout: str = "CC"
    params: tuple[tuple[str, object], ...] = ()
    in_place: bool = False
    threads: int = 1

    @classmethod
    def of(
        cls,
        op: str,
        dtype: str,
        shapes: Sequence[tuple[int, ...]],
        layout: str = "",
        params: Mapping[str, object] = NO_PARAMS,
        threads: int = 1,
    ) -> Call:
        """Return a call of a registered operation as the dispatcher compares it with others.

        Parameters
        ----------
        op : str
            Name in the operation registry.
        dtype : str
            The dtype that is computed in.
        shapes : sequence of tuple of int
            Shapes of the operands.
        layout : str, optional
            One letter for each operand; those left out are "C". Products are told apart by the letters of
            their two matrices, other operations by the worst one of all.
        params : mapping, optional
            The call's parameters; the ones that decide nothing are left out.
        threads : int, optional
            Threads the kernels may use.

        Returns
        -------
        Call
            The call.

        Examples
        --------
        >>> Call.of("axpy_", "float32", ((8, 4), (4,)), "FC", {"alpha": 2.0}).layout
        'FF'
        """
        spec = OPERATIONS[op]
        letters = layout.ljust(len(shapes), "C")
        if spec.cost_class == PRODUCTS:
            letters = letters[:2].ljust(len(shapes), "C")
        else:
            letters = max(letters, default="C") * len(shapes)
        return cls(op, dtype, tuple(shapes), letters, spec.params_of_call(params), spec.in_place, threads)


class ComputeBackend(ABC):
    """One way to compute the operations. A subclass in a file ``*_backend.py`` is found by itself.

    Attributes
    ----------
    name : str
        Name for ``use_backend`` and the profile: an identifier.
    variants : tuple of str
        Names of the ways in which this backend can compute; empty if there is one only.
    array_types : tuple of str
        Full names of the array types that this backend computes on by `apply`, such as
        "dask.array.core.Array".

    Examples
    --------
    >>> class Zeros(ComputeBackend):
    ...     name = "zeros"
    ...     def supports(self, call):
    ...         return None if call.op == "matmul" else f"it has no {call.op}"
    ...     def run(self, op, arrays, out, *, variant=None, **params):
    ...         out[...] = 0
    ...         return out
    >>> Zeros().paths()
    ('zeros',)
    """

    name: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = ()
    array_types: ClassVar[tuple[str, ...]] = ()

    def available(self) -> str | None:
        """Return why this backend cannot be used here, or None if it can.

        Returns
        -------
        str or None
            Such as "torch is not installed". Asked often: a backend keeps an expensive answer.

        Examples
        --------
        >>> from tensorops.backends import get_backend
        >>> get_backend("numpy").available() is None
        True
        """
        return None

    def automatic(self) -> str | None:
        """Return why this backend takes no part in the automatic choice, or None if it does.

        Returns
        -------
        str or None
            A backend with a reason computes only what it is asked for by its name.

        Examples
        --------
        >>> from tensorops.backends import get_backend
        >>> get_backend("blocked").automatic() is None
        True
        """
        return None

    @abstractmethod
    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can.

        Parameters
        ----------
        call : Call
            The call in question.

        Returns
        -------
        str or None
            Such as "dtype int64 is not float32 or float64".

        Examples
        --------
        >>> from tensorops.backends import get_backend
        >>> get_backend("naive").supports(Call("matmul", "int64", ((2, 2), (2, 2))))
        'dtype int64 is not float32 or float64'
        """

    @abstractmethod
    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute `op` into `out`.

        Parameters
        ----------
        op : str
            Name in the operation registry.
        arrays : sequence of ndarray
            The operands: at least two dimensions, one batch shape, one dtype; any strides, and not
            always writeable.
        out : ndarray
            The result, of the right shape and dtype, any strides, not overlapping an operand.
        variant : str, optional
            One of `variants`; required exactly where there are any.
        **params : object
            The operation's parameters, and ``threads`` (0: as many as the library may use), which
            a backend without threads ignores.

        Returns
        -------
        ndarray
            The object `out`.

        Examples
        --------
        >>> import numpy as np
        >>> from tensorops.backends import get_backend
        >>> get_backend("numpy").run("matmul", [np.eye(2), np.eye(2)], np.empty((2, 2)))
        array([[1., 0.],
               [0., 1.]])
        """

    def apply(self, op: str, operands: Sequence[Any], params: Mapping[str, Any], backend: str | None) -> Any:
        """Compute `op` on operands of which at least one is of a type in `array_types`.

        Nothing was validated, broadcast or allocated. Needed exactly where there are `array_types`.

        Parameters
        ----------
        op : str
            Name in the operation registry.
        operands : sequence of array_like
            As the caller gave them.
        params : mapping of str to object
            The operation's parameters.
        backend : str or None
            The backend that the caller asked for, to compute the parts.

        Returns
        -------
        object
            The result, of this backend's own type.

        Raises
        ------
        NotImplementedError
            If the backend has no arrays of its own.
        """
        raise NotImplementedError(f"backend {self.name!r} has no arrays of its own")

    def part_of(self, op: str, operands: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the operands of one part that `apply` computes, a large one.

        Parameters
        ----------
        op : str
            Name in the operation registry.
        operands : sequence of array_like
            As the caller would give them; at least one of a type in `array_types`.

        Returns
        -------
        tuple of tuple of int
            By default the operands' own shapes: all in one part.

        Examples
        --------
        >>> import numpy as np
        >>> from tensorops.backends import get_backend
        >>> get_backend("numpy").part_of("matmul", [np.eye(2), np.eye(2)])
        ((2, 2), (2, 2))
        """
        return tuple(tuple(np.shape(operand)) for operand in operands)

    def paths(self) -> tuple[str, ...]:
        """Return the paths through this backend.

        Returns
        -------
        tuple of str
            The backend's name, or one ``name/variant`` for each variant.

        Examples
        --------
        >>> from tensorops.backends import get_backend
        >>> get_backend("blocked").paths()
        ('blocked/small', 'blocked/packed')
        """
        return tuple(f"{self.name}/{variant}" for variant in self.variants) or (self.name,)

    def paths_of(self, op: str) -> tuple[str, ...]:
        """Return the paths through this backend for one operation.

        Parameters
        ----------
        op : str
            Name in the operation registry.

        Returns
        -------
        tuple of str
            `paths`, unless the variants are of some operations only.

        Examples
        --------
        >>> from tensorops.backends import get_backend
        >>> get_backend("blocked").paths_of("gelu")
        ('blocked',)
        """
        return self.paths()


def only_float_matmul(call: Call) -> str | None:
    """Return why a backend whose one operation is a float matrix product cannot compute `call`.

    Parameters
    ----------
    call : Call
        The call in question.

    Returns
    -------
    str or None
        None if it can.

    Examples
    --------
    >>> only_float_matmul(Call("exp", "float32", ((8,),)))
    'it has no exp'
    """
    if call.op != "matmul":
        return f"it has no {call.op}"
    if call.dtype not in FLOAT_DTYPES:
        return f"dtype {call.dtype} is not {' or '.join(FLOAT_DTYPES)}"
    return None
