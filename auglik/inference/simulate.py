"""Do the intervals hold what they promise? Runs with known differences are simulated, and coverage is counted.

Scores of S seeds and N images: score[c,s,i] = mu_c + seed[c,s] + image[c,i] + residual[c,s,i], normal, for cells and
their reference alike: a paired difference has the given standard deviations, two of them correlate by 1/2.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from auglik.inference.components import Bounds, components, new_images, new_seeds, new_seeds_and_images
from auglik.inference.hierarchical import sample, summarize
from auglik.inference.model_data import model_data
from auglik.inference.simultaneous import simultaneous
from auglik.keys import host_generator

Array = npt.NDArray[np.float64]


class Truth(NamedTuple):
    """Known differences [C] and standard deviations of one paired difference, for S seeds and N images."""

    differences: tuple[float, ...]
    seed_sd: float
    image_sd: float
    residual_sd: float
    seeds: int
    images: int


class Simulated(NamedTuple):
    """Paired differences [C,S,N], and the effects of the seeds [C,S] and of the images [C,N] that are in them."""

    differences: Array
    seed_effects: Array
    image_effects: Array


class Coverage(NamedTuple):
    """How often intervals held the truth: `share` of the simulations (cells counted apart, or all cells at once)."""

    interval: str
    question: str
    level: float
    share: float
    standard_error: float
    """Monte Carlo, over simulations."""
    half_width: float
    simulations: int


def simulate(truth: Truth, generator: np.random.Generator) -> Simulated:
    """One experiment."""
    C, S, N = len(truth.differences), truth.seeds, truth.images

    def effect(deviation: float, *shape: int) -> Array:
        scores = generator.normal(0, deviation / np.sqrt(2), (C + 1, *shape))
        return scores[1:] - scores[0]

    seeds, images = effect(truth.seed_sd, S), effect(truth.image_sd, N)
    residual = effect(truth.residual_sd, S, N)
    known = np.array(truth.differences)[:, None, None]
    return Simulated(known + seeds[:, :, None] + images[:, None] + residual, seeds, images)


def coverage(truth: Truth, simulations: int, *, seed: int = 0, level: float = 0.95) -> list[Coverage]:
    """Of the closed-form intervals, each for the question it answers, and of max-t for all cells at once."""
    known = np.array(truth.differences)
    held: dict[tuple[str, str], list[float]] = {}
    widths: dict[tuple[str, str], list[float]] = {}
    for number in range(simulations):
        found = simulate(truth, host_generator(seed, "simulated", number))
        theta = known + found.image_effects.mean(1)
        estimates = [components(cell) for cell in found.differences]
        questions = {
            ("Student's t over seeds", "these test images, new seeds"): (new_seeds, theta),
            ("over images", "these networks, new test images"): (new_images, known + found.seed_effects.mean(1)),
            ("crossed", "new seeds and new test images"): (new_seeds_and_images, known),
        }
        for key, (interval, target) in questions.items():
            bounds = [interval(one, level) for one in estimates]
            held.setdefault(key, []).append(float(np.mean(_covered(bounds, target))))
            widths.setdefault(key, []).append(float(np.mean([one.upper - one.lower for one in bounds])))
        key = "max-t", "these test images, new seeds, all cells at once"
        jointly = simultaneous(
            found.differences.mean(2).T, generator=host_generator(seed, "max-t", number), level=level, draws=4000
        )
        held.setdefault(key, []).append(float(((jointly.lower <= theta) & (theta <= jointly.upper)).all()))
        widths.setdefault(key, []).append(float((jointly.upper - jointly.lower).mean()))
    return [counted(name, question, level, held[name, question], widths[name, question]) for name, question in held]


def posterior_coverage(truth: Truth, simulations: int, *, seed: int = 0, level: float = 0.95) -> list[Coverage]:
    """Of the hierarchical model's HDI of delta and of theta; it is compiled once."""
    questions = {"delta": "new seeds and new test images", "theta": "these test images, new seeds"}
    held: dict[str, list[float]] = {name: [] for name in questions}
    widths: dict[str, list[float]] = {name: [] for name in questions}
    names = [str(cell) for cell in range(len(truth.differences))]
    for number in range(simulations):
        found = simulate(truth, host_generator(seed, "simulated", number))
        known = np.array(truth.differences)
        targets = {"delta": known, "theta": known + found.image_effects.mean(1)}
        data = model_data(list(found.differences), [range(truth.seeds)] * len(names), ["reference"] * len(names))
        posterior = sample(data, cells=names, seed=number)
        for name, target in targets.items():
            interval = summarize(posterior, 0.0, variable=name, level=level)
            held[name].append(float(((interval.lower <= target) & (target <= interval.upper)).mean()))
            widths[name].append(float((interval.upper - interval.lower).mean()))
    return [counted("95% HDI", questions[name], level, held[name], widths[name]) for name in questions]


def counted(interval: str, question: str, level: float, held: list[float], widths: list[float]) -> Coverage:
    """From the share of intervals that held in each simulation, and their mean widths."""
    values = np.array(held)
    error = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")
    return Coverage(interval, question, level, float(values.mean()), error, float(np.mean(widths)) / 2, values.size)


def _covered(bounds: list[Bounds], target: Array) -> list[bool]:
    return [one.lower <= value <= one.upper for one, value in zip(bounds, target, strict=True)]
