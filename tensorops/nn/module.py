"""What all layers share: parameters with gradients, training or not, and saving."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tensorops.boundary.elementwise import add_

Array = NDArray[Any]


class Parameter:
    """An array that is trained, and its gradient.

    Parameters
    ----------
    data : ndarray
        float32 or float64; used as it is, and changed in place by optimizers.

    Attributes
    ----------
    data : ndarray
        The values.
    grad : ndarray or None
        Sum of the gradients since `zero_grad`; None before the first.

    Examples
    --------
    >>> import numpy as np
    >>> weight = Parameter(np.zeros(2))
    >>> weight.add_gradient(np.ones(2))
    >>> weight.add_gradient(np.ones(2))
    >>> weight.grad
    array([2., 2.])
    """

    def __init__(self, data: Array) -> None:
        self.data = data
        self.grad: Array | None = None

    def add_gradient(self, grad: Array) -> None:
        """Add to the gradient; the array is kept where it is the first."""
        if self.grad is None:
            self.grad = grad
        else:
            add_(self.grad, grad)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def __repr__(self) -> str:
        """Return shape and dtype."""
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype})"


class Module:
    """A layer, or several: `forward`, `backward`, parameters by name.

    Parameters and modules in attributes, and in lists in attributes, belong to it.

    Attributes
    ----------
    training : bool
        Whether layers behave as in training (Dropout does); `train` and `eval` set it.

    Examples
    --------
    >>> from tensorops.nn import Linear, ReLU, Sequential
    >>> model = Sequential(Linear(4, 3), ReLU())
    >>> [name for name, _ in model.named_parameters()]
    ['layers.0.weight', 'layers.0.bias']
    """

    training = True

    def forward(self, x: Array) -> Array:
        """Return the result for `x`, and keep what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, grad: Array) -> Array:
        """Add to the parameters' gradients and return the gradient of the input.

        Parameters
        ----------
        grad : ndarray
            Gradient of the last result, of its shape. It is used up: layers write into it.

        Returns
        -------
        ndarray
            Gradient of the last input, of its shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, x: Array) -> Array:
        """Return ``forward(x)``."""
        return self.forward(x)

    def children(self) -> Iterator[tuple[str, Module | Parameter]]:
        """Yield what the module is made of, with its name."""
        for name, value in vars(self).items():
            if isinstance(value, Module | Parameter):
                yield name, value
            elif isinstance(value, list):
                for place, part in enumerate(value):
                    if isinstance(part, Module | Parameter):
                        yield f"{name}.{place}", part

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter with its dotted name; one that is shared comes once."""
        seen: set[int] = set()
        for name, parameter in self._named():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def _named(self) -> Iterator[tuple[str, Parameter]]:
        for name, child in self.children():
            if isinstance(child, Parameter):
                yield name, child
            else:
                yield from ((f"{name}.{inner}", parameter) for inner, parameter in child._named())

    def parameters(self) -> list[Parameter]:
        """Return every parameter once."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self, mode: bool = True) -> Module:
        """Set `training` here and below; return the module."""
        self.training = mode
        for _, child in self.children():
            if isinstance(child, Module):
                child.train(mode)
        return self

    def eval(self) -> Module:
        """Leave training; return the module."""
        return self.train(False)

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters by name."""
        return {name: parameter.data.copy() for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Write values into the parameters.

        Parameters
        ----------
        state : mapping of str to ndarray
            As `state_dict` returns it; dtypes are converted.

        Raises
        ------
        ValueError
            If names are missing or too many, or a shape differs; nothing is written then.

        Examples
        --------
        >>> from tensorops.nn import Linear
        >>> first, second = Linear(2, 2), Linear(2, 2)
        >>> second.load_state_dict(first.state_dict())
        >>> bool((first.weight.data == second.weight.data).all())
        True
        """
        own = dict(self.named_parameters())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise ValueError(
                f"the state does not fit {type(self).__name__}: missing {', '.join(missing) or 'nothing'}, "
                f"unknown {', '.join(unknown) or 'nothing'}"
            )
        for name, parameter in own.items():
            if np.shape(state[name]) != parameter.data.shape:
                raise ValueError(f"{name} has shape {parameter.data.shape}, got {np.shape(state[name])}")
        for name, parameter in own.items():
            parameter.data[...] = state[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all parameters to an ``.npz`` file, which appears whole or not at all.

        Parameters
        ----------
        path : path-like
            The file; its folder must exist.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **self.state_dict())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the parameters from a file that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Raises
        ------
        ValueError
            If it does not fit the module.
        """
        with np.load(path, allow_pickle=False) as file:
            self.load_state_dict(dict(file.items()))


def uniform(shape: tuple[int, ...], limit: float, dtype: DTypeLike, rng: np.random.Generator) -> Parameter:
    """Return a parameter of uniform numbers between ``-limit`` and ``limit``."""
    return Parameter(rng.uniform(-limit, limit, shape).astype(dtype))
