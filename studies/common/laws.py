"""Laws of a view's likelihood p with a known log I = log E p: Beta, log-normal and two-point."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, polygamma

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Law(NamedTuple):
    """The law of p, its moments in closed form, and itself as atoms for common.exact.

    The atoms are a trapezoidal rule in a variable in which the density vanishes at both ends doubly fast or is exact.
    """

    title: str
    log_integral: float
    """log I = log E p."""
    mean_log: float
    """E log p."""
    deviation_log: float
    """The standard deviation of log p."""
    relative_variance: float
    """V = Var p / I^2."""
    atoms: np.ndarray
    """log p [m]."""
    weights: np.ndarray
    """[m], summing to one."""
    draw: Draw
    """log p of a shape."""
    probabilities: bool
    """Whether p <= 1, so that 1-p can be another label's likelihood."""


def beta(a: float, b: float) -> Law:
    """p ~ Beta(a,b): log I = log a/(a+b), E log p = psi(a) - psi(a+b). Atoms in log-odds."""
    odds = np.arange(-40 / min(a, b), 40 / min(a, b), 0.1)
    density = np.exp(-a * np.log1p(np.exp(-odds)) - b * np.log1p(np.exp(odds)))
    return Law(
        title=f"Beta({a:g},{b:g}) views", log_integral=float(np.log(a / (a + b))),
        mean_log=float(digamma(a) - digamma(a + b)),
        deviation_log=float(np.sqrt(polygamma(1, a) - polygamma(1, a + b))), relative_variance=b / (a * (a + b + 1)),
        atoms=-np.log1p(np.exp(-odds)), weights=density / density.sum(),
        draw=lambda generator, shape: np.log(generator.beta(a, b, shape)), probabilities=True,
    )  # fmt: skip


def log_normal(mean: float, deviation: float) -> Law:
    """log p ~ N(mean, deviation^2): log I = mean + deviation^2/2. Atoms in log p."""
    z = np.arange(-12, 12, 0.05)
    density = np.exp(-(z**2) / 2)
    return Law(
        title=f"log-normal({mean:g}, {deviation:g}) views", log_integral=mean + deviation**2 / 2, mean_log=mean,
        deviation_log=deviation, relative_variance=float(np.expm1(deviation**2)), atoms=mean + deviation * z,
        weights=density / density.sum(),
        draw=lambda generator, shape: mean + deviation * generator.standard_normal(shape), probabilities=False,
    )  # fmt: skip


def two_point(low: float, high: float, share: float) -> Law:
    """p is `high` with probability `share`, else `low`."""
    mean, spread = share * high + (1 - share) * low, high - low
    log_low, log_high = float(np.log(low)), float(np.log(high))
    return Law(
        title=f"two-point views ({low:g} or {high:g})", log_integral=float(np.log(mean)),
        mean_log=share * log_high + (1 - share) * log_low,
        deviation_log=float(np.sqrt(share * (1 - share))) * (log_high - log_low),
        relative_variance=share * (1 - share) * spread**2 / mean**2, atoms=np.array([log_low, log_high]),
        weights=np.array([1 - share, share]),
        draw=lambda generator, shape: np.where(generator.random(shape) < share, log_high, log_low),
        probabilities=True,
    )  # fmt: skip
