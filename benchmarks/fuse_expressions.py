"""Ten expressions as users write them, and what numexpr calls the same.

The functions are plain NumPy; the benchmark fuses them, compiles them with Numba, or runs them with
``jax.numpy`` in the place of ``np``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator, int], tuple[Any, ...]]


def black_scholes(spot: Any, strike: Any, years: Any) -> Any:
    """Return a call option's price; the normal distribution by Abramowitz and Stegun, 26.2.17."""
    rate = 0.02
    volatility = 0.3
    root = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / root
    d2 = d1 - root
    k1 = 1.0 / (1.0 + 0.2316419 * np.abs(d1))
    k2 = 1.0 / (1.0 + 0.2316419 * np.abs(d2))
    p1 = k1 * (0.31938153 + k1 * (-0.356563782 + k1 * (1.781477937 + k1 * (-1.821255978 + k1 * 1.330274429))))
    p2 = k2 * (0.31938153 + k2 * (-0.356563782 + k2 * (1.781477937 + k2 * (-1.821255978 + k2 * 1.330274429))))
    t1 = 0.3989422804014327 * np.exp(-0.5 * d1 * d1) * p1
    t2 = 0.3989422804014327 * np.exp(-0.5 * d2 * d2) * p2
    n1 = np.where(d1 > 0, 1.0 - t1, t1)
    n2 = np.where(d2 > 0, 1.0 - t2, t2)
    return spot * n1 - strike * np.exp(-rate * years) * n2


def leaky_integrate_and_fire(potential: Any, current: Any) -> Any:
    """Return a neuron's membrane potential one step later."""
    moved = potential + 0.1 * (-(potential + 65.0) + 10.0 * current) / 20.0
    return np.where(moved >= -50.0, -70.0, moved)


def haversine(latitude1: Any, longitude1: Any, latitude2: Any, longitude2: Any) -> Any:
    """Return the distance of two places on the earth in km."""
    north = np.sin((latitude2 - latitude1) * 0.5)
    east = np.sin((longitude2 - longitude1) * 0.5)
    a = north * north + np.cos(latitude1) * np.cos(latitude2) * east * east
    return 12742.0 * np.arcsin(np.sqrt(np.minimum(a, 1.0)))


def mish(x: Any) -> Any:
    """Return Mish of x."""
    return x * np.tanh(np.log1p(np.exp(x)))


def focal_loss(logit: Any, target: Any) -> Any:
    """Return the focal loss of a binary classifier, gamma 2 and alpha 1/4."""
    p = 1.0 / (1.0 + np.exp(-logit))
    right = target * p + (1.0 - target) * (1.0 - p)
    alpha = target * 0.25 + (1.0 - target) * 0.75
    return -alpha * (1.0 - right) ** 2 * np.log(right + 1e-7)


def huber(prediction: Any, target: Any) -> Any:
    """Return Huber's loss, delta 1."""
    residual = prediction - target
    size = np.abs(residual)
    return np.where(size <= 1.0, 0.5 * residual * residual, size - 0.5)


def gelu(x: Any) -> Any:
    """Return the tanh form of gelu."""
    return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


def lennard_jones(distance: Any) -> Any:
    """Return the potential of two argon atoms, in Kelvin and Angstrom."""
    ratio = 3.4 / distance
    return 4.0 * 120.0 * (ratio**12 - ratio**6)


def logistic_map(x: Any) -> Any:
    """Return the logistic map's value five steps on."""
    x1 = 3.7 * x * (1.0 - x)
    x2 = 3.7 * x1 * (1.0 - x1)
    x3 = 3.7 * x2 * (1.0 - x2)
    x4 = 3.7 * x3 * (1.0 - x3)
    return 3.7 * x4 * (1.0 - x4)


def luma(red: Any, green: Any, blue: Any) -> Any:
    """Return the luma of linear RGB, by the curve of BT.709."""
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)


@dataclass(frozen=True, slots=True)
class Expression:
    """One of the ten.

    Attributes
    ----------
    function : callable
        In NumPy.
    draw : callable
        ``draw(rng, n)`` returns its operands in float64.
    numexpr : tuple of str
        The same for numexpr: each line but the last is a local name and its text, put in brackets
        wherever the name stands.
    tolerance : float
        Error allowed in float32, relative to the largest result, where an operand may cross a threshold.
    """

    function: Callable[..., Any]
    draw: Draw
    numexpr: tuple[tuple[str, str], ...]
    tolerance: float = 0.0

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    @property
    def numexpr_text(self) -> str:
        """The whole expression for numexpr."""
        *names, (_, text) = self.numexpr
        for name, value in reversed(names):
            text = text.replace(name, f"({value})")
        return text


def _uniform(*bounds: tuple[float, float]) -> Draw:
    return lambda rng, n: tuple(rng.uniform(low, high, n) for low, high in bounds)


def _normal(scale: float, count: int = 1) -> Draw:
    return lambda rng, n: tuple(scale * rng.standard_normal(n) for _ in range(count))


def _cdf(d: str, k: str) -> str:
    poly = f"{k}*(0.31938153+{k}*(-0.356563782+{k}*(1.781477937+{k}*(-1.821255978+{k}*1.330274429))))"
    tail = f"(0.3989422804014327*exp(-0.5*{d}*{d})*({poly}))"
    return f"where({d}>0, 1-{tail}, {tail})"


EXPRESSIONS = (
    Expression(
        black_scholes,
        _uniform((50, 150), (50, 150), (0.1, 2)),
        (
            ("ROOT", "0.3*sqrt(years)"),
            ("D1", "(log(spot/strike)+0.065*years)/ROOT"),
            ("D2", "D1-ROOT"),
            ("K1", "1/(1+0.2316419*abs(D1))"),
            ("K2", "1/(1+0.2316419*abs(D2))"),
            ("", f"spot*{_cdf('D1', 'K1')}-strike*exp(-0.02*years)*{_cdf('D2', 'K2')}"),
        ),
    ),
    Expression(
        leaky_integrate_and_fire,
        _uniform((-70, -49), (0, 3)),
        (
            ("MOVED", "potential+0.1*(-(potential+65)+10*current)/20"),
            ("", "where(MOVED>=-50, -70, MOVED)"),
        ),
        # A potential at the threshold may fall on either side of it.
        1.0,
    ),
    Expression(
        haversine,
        _uniform((-1.5, 1.5), (-3, 3), (-1.5, 1.5), (-3, 3)),
        (
            ("NORTH", "sin((latitude2-latitude1)*0.5)"),
            ("EAST", "sin((longitude2-longitude1)*0.5)"),
            ("AREA", "NORTH*NORTH+cos(latitude1)*cos(latitude2)*EAST*EAST"),
            ("", "12742*arcsin(sqrt(where(AREA<1, AREA, 1)))"),
        ),
    ),
    Expression(mish, _normal(3), (("", "x*tanh(log1p(exp(x)))"),)),
    Expression(
        focal_loss,
        lambda rng, n: (3 * rng.standard_normal(n), rng.integers(0, 2, n).astype(np.float64)),
        (
            ("PROBABILITY", "1/(1+exp(-logit))"),
            ("RIGHT", "target*PROBABILITY+(1-target)*(1-PROBABILITY)"),
            ("ALPHA", "target*0.25+(1-target)*0.75"),
            ("", "-ALPHA*(1-RIGHT)**2*log(RIGHT+1e-7)"),
        ),
    ),
    Expression(
        huber,
        _normal(1.5, 2),
        (
            ("RESIDUAL", "prediction-target"),
            ("", "where(abs(RESIDUAL)<=1, 0.5*RESIDUAL*RESIDUAL, abs(RESIDUAL)-0.5)"),
        ),
    ),
    Expression(gelu, _normal(2), (("", "0.5*x*(1+tanh(0.7978845608028654*(x+0.044715*x**3)))"),)),
    Expression(
        lennard_jones, _uniform((3, 12)), (("RATIO", "3.4/distance"), ("", "480*(RATIO**12-RATIO**6)"))
    ),
    Expression(
        logistic_map,
        _uniform((0, 1)),
        (
            ("XA", "3.7*x*(1-x)"),
            ("XB", "3.7*XA*(1-XA)"),
            ("XC", "3.7*XB*(1-XB)"),
            ("XD", "3.7*XC*(1-XC)"),
            ("", "3.7*XD*(1-XD)"),
        ),
    ),
    Expression(
        luma,
        _uniform((0, 1), (0, 1), (0, 1)),
        (
            ("LIGHT", "0.2126*red+0.7152*green+0.0722*blue"),
            ("", "where(LIGHT<0.018, 4.5*LIGHT, 1.099*LIGHT**0.45-0.099)"),
        ),
    ),
)
