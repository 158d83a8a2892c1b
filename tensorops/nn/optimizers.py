"""Optimizers: one pass over a parameter and all its state, in place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tensorops.boundary.optim import adam_step_, adamw_step_, sgd_step_
from tensorops.nn.module import Array, Parameter


class Optimizer:
    """What optimizers share.

    Parameters
    ----------
    parameters : iterable of Parameter
        What is trained.

    Raises
    ------
    ValueError
        If there is none.
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("there are no parameters to train")

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def step(self) -> None:
        """Change the parameters that have a gradient."""
        raise NotImplementedError


class SGD(Optimizer):
    """Steps against the gradient, with momentum if asked for; PyTorch's definition.

    Parameters
    ----------
    parameters : iterable of Parameter
        What is trained.
    lr : float
        Length of a step.
    momentum : float, default 0
        Share of the last steps that is kept.
    weight_decay : float, default 0
        Times the parameter, added to the gradient.
    nesterov : bool, default False
        Whether to look ahead.

    Examples
    --------
    >>> import numpy as np
    >>> weight = Parameter(np.ones(2))
    >>> weight.add_gradient(np.array([1.0, 0.0]))
    >>> SGD([weight], lr=0.5).step()
    >>> weight.data
    array([0.5, 1. ])
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters)
        self.lr, self.momentum, self.weight_decay, self.nesterov = lr, momentum, weight_decay, nesterov
        self._velocity: list[Array | None] = [
            np.zeros_like(parameter.data) if momentum else None for parameter in self.parameters
        ]

    def step(self) -> None:
        """Change the parameters that have a gradient."""
        for parameter, velocity in zip(self.parameters, self._velocity, strict=True):
            if parameter.grad is not None:
                sgd_step_(
                    parameter.data,
                    parameter.grad,
                    lr=self.lr,
                    momentum=self.momentum,
                    velocity=velocity,
                    weight_decay=self.weight_decay,
                    nesterov=self.nesterov,
                )


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square; PyTorch's definition.

    Parameters
    ----------
    parameters : iterable of Parameter
        What is trained.
    lr : float, default 1e-3
        Length of a step.
    beta1, beta2 : float
        Shares of the means that are kept at each step.
    eps : float, default 1e-8
        Added to the root of the mean square.
    weight_decay : float, default 0
        Times the parameter, added to the gradient.
    """

    _step = staticmethod(adam_step_)

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters)
        self.lr, self.beta1, self.beta2, self.eps, self.weight_decay = lr, beta1, beta2, eps, weight_decay
        self._means = [
            (np.zeros_like(parameter.data), np.zeros_like(parameter.data)) for parameter in self.parameters
        ]
        self.steps = 0

    def step(self) -> None:
        """Change the parameters that have a gradient."""
        self.steps += 1
        for parameter, (mean, square) in zip(self.parameters, self._means, strict=True):
            if parameter.grad is not None:
                self._step(
                    parameter.data,
                    parameter.grad,
                    mean,
                    square,
                    step=self.steps,
                    lr=self.lr,
                    beta1=self.beta1,
                    beta2=self.beta2,
                    eps=self.eps,
                    weight_decay=self.weight_decay,
                )


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself.

    Parameters
    ----------
    parameters, lr, beta1, beta2, eps
        As of `Adam`.
    weight_decay : float, default 0.01
        Times `lr`, the share that the parameter loses at each step.
    """

    _step = staticmethod(adamw_step_)

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, beta1, beta2, eps, weight_decay)
