"""Worlds with known truth: scores of a reference and eight cells over seeds and images, without the product's code.

A world draws E experiments of S seeds: differences [E,C,S,N] of every cell to the shared reference, per seed and image,
in nats. Worlds whose images don't matter have N = 2 that are alike. Seeds' standard deviations are those of a cell's
score; digits show 0.0004 to 0.03.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from scipy import special
from scipy.optimize import brentq
from scipy.stats import chi2, nct  # type: ignore[attr-defined]
from scipy.stats import t as student  # type: ignore[attr-defined]

from auglik.system.array_types import Float64Array

Noise = Callable[[np.random.Generator, tuple[int, ...]], Float64Array]
"""Draws of mean 0 and variance 1."""

CELLS = 8
STEADY, VARIABLE = 0.0004, 0.03
LOG_SD = 0.75
IMAGES_LOG_SD = 1.045
"""Of image effects of skewness 7, about that of the normalized likelihood less label smoothing on CIFAR-10."""
SHARED_BY_IMAGES = 0.8
"""Of the variance of an image's effect, what images of one kind have in common."""
LEVELS = (np.arange(2000) + 0.5) / 2000


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return rng.standard_normal(shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    """Student's t of 3 degrees of freedom."""
    return rng.standard_t(3, shape) / np.sqrt(3)


def skewed(rng: np.random.Generator, shape: tuple[int, ...], log_sd: float = LOG_SD) -> Float64Array:
    """Log-normal: a few are much worse than the others."""
    variance = log_sd**2
    scale = np.sqrt((np.exp(variance) - 1) * np.exp(variance))
    return np.asarray((rng.lognormal(0, log_sd, shape) - np.exp(variance / 2)) / scale)


class World(NamedTuple):
    """How seeds and images move scores. Standard deviations of the seeds: of the reference, and of the cells [C]."""

    name: str
    reference_sd: float
    sds: tuple[float, ...]
    noise: Noise = normal
    reference_noise: Noise = normal
    outlier: float = 0.0
    """Sds by which one seed of the middle cell is off, with either sign."""
    image_sd: float = 0.0
    """Of an image's effect on a cell's score."""
    image_noise: Noise = normal
    reference_images: bool = True
    """Whether images have an effect on the reference's score too."""
    alike: int = 1
    """Images of one kind, which share SHARED_BY_IMAGES of the variance of their effects."""
    residual_sd: float = 0.0
    images: int = 2
    exact: bool = True
    """Whether differences are normal over seeds and images don't count: Student's intervals are then exact."""
    honest: bool = True
    """Whether the promise is made: False where seeds or a few images are skewed, and where images are alike."""

    @property
    def difference_sds(self) -> Float64Array:
        """Over seeds, of a difference to the reference [C]."""
        return np.hypot(self.sds, self.reference_sd)

    def differences(
        self, rng: np.random.Generator, experiments: int, seeds: int, effects: Float64Array
    ) -> Float64Array:
        """[E,C,S,N] where the truth of new seeds and new images is `effects` [C]."""
        E, C, S, N = experiments, len(self.sds), seeds, self.images
        cells = np.array(self.sds)[:, None] * self.noise(rng, (E, C, S))
        if self.outlier:
            place = rng.integers(S, size=E)
            cells[np.arange(E), C // 2, place] += self.outlier * self.sds[C // 2] * rng.choice([-1, 1], E)
        reference = self.reference_sd * self.reference_noise(rng, (E, 1, S))
        d = np.repeat((effects[:, None] + cells - reference)[..., None], N, -1)
        if self.image_sd:
            images = self.image_sd * self.image_effects(rng, (E, C + 1, 1, N))
            d += images[:, 1:] - self.reference_images * images[:, :1]
        if self.residual_sd:
            residual = rng.normal(0, self.residual_sd, (E, C + 1, S, N))
            d += residual[:, 1:] - residual[:, :1]
        return d

    def image_effects(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
        """[...,N], of mean 0 and variance 1."""
        own = self.image_noise(rng, shape)
        if self.alike == 1:
            return own
        kinds = self.image_noise(rng, (*shape[:-1], shape[-1] // self.alike)).repeat(self.alike, -1)
        return np.asarray(np.sqrt(SHARED_BY_IMAGES) * kinds + np.sqrt(1 - SHARED_BY_IMAGES) * own)


DECADES = tuple(float(sd) for sd in np.geomspace(STEADY, VARIABLE, CELLS))
ALIKE = (0.01,) * CELLS

WORLDS = (
    World("equal variances", 0.01, ALIKE),
    World("two decades of variances", STEADY, DECADES),
    World("noisy reference", VARIABLE, DECADES),
    World("one outlier seed", 0.01, ALIKE, outlier=10.0, exact=False),
    World(name="t with 3 degrees", reference_sd=0.01, sds=ALIKE, noise=heavy, reference_noise=heavy, exact=False),
    World(name="skewed seeds of all", reference_sd=0.01, sds=ALIKE, noise=skewed, reference_noise=skewed, exact=False),
    World("skewed seeds, steady reference", 0.001, ALIKE, skewed, exact=False, honest=False),
    World("some image noise", 0.01, ALIKE, image_sd=0.03, residual_sd=0.02, images=100, exact=False),
    World("image noise", 0.003, (0.003,) * CELLS, image_sd=0.2, residual_sd=0.2, images=100, exact=False),
    World("image noise, two decades", STEADY, DECADES, image_sd=0.03, residual_sd=0.1, images=100, exact=False),
)


def of_skewed_images(images: int) -> World:
    """A cell is much worse on a few images in a hundred, and its reference is not."""
    return World(
        f"skewed images, {images:,}", 0.005, (0.005,) * CELLS, image_sd=0.5, images=images, exact=False,
        honest=images > SKEWED[0], image_noise=partial(skewed, log_sd=IMAGES_LOG_SD), reference_images=False,
    )  # fmt: skip


def of_images_alike(alike: int) -> World:
    """1,000 test images, of which each `alike` are of one kind."""
    name = f"1,000 images, {alike} of a kind" if alike > 1 else "1,000 independent images"
    return World(name, 0.005, (0.005,) * CELLS, image_sd=0.5, images=1000, exact=False, honest=alike == 1, alike=alike)


SKEWED, ALIKE_IMAGES = (100, 360, 1000), (1, 2, 5, 20)
IMAGE_WORLDS = (*map(of_skewed_images, SKEWED), *map(of_images_alike, ALIKE_IMAGES))
"""Worlds in which the draw of the images is what counts."""


CATEGORIES = ("noise",) * 3 + ("blur",) * 4 + ("weather",) * 3 + ("digital",) * 5
SHARED = 0.98
"""Of the variance of a seed's luck: the correlation between corruptions."""


def profiles(rng: np.random.Generator, experiments: int, seeds: int, shared: float = SHARED) -> Float64Array:
    """Differences [E,C,S,K] under K corruptions that are all 0 in truth; cells' sds are two decades apart."""
    shape = (experiments, CELLS + 1, seeds)
    of_seed, own = rng.standard_normal((*shape, 1)), rng.standard_normal((*shape, len(CATEGORIES)))
    sds = np.array([10 * STEADY, *DECADES])[:, None, None]
    scores = sds * (np.sqrt(shared) * of_seed + np.sqrt(1 - shared) * own)
    return np.asarray(scores[:, 1:] - scores[:, :1])


def t_power(effect: float, seeds: int, family: int) -> float:
    """The chance that a t test of an effect in sds rejects at 5% / family, by scipy's noncentral t."""
    critical, found = student.ppf(1 - 0.025 / family, seeds - 1), nct(seeds - 1, effect * np.sqrt(seeds))
    return float(found.sf(critical) + found.cdf(-critical))


def seeds_that_tell(effect: float, family: int, power: float = 0.8) -> int:
    """The least number of seeds by which a t test of an effect in sds rejects at 5% / family with that chance."""
    for n in range(2, 1000):
        if t_power(effect, n, family) >= power:
            return n
    raise ValueError(f"expected an effect that 1000 seeds tell, got {effect} standard deviations")


@cache
def effect_that_takes(seeds: int, family: int, power: float = 0.8) -> float:
    """The least effect in sds that so many seeds tell with that chance.

    P(|effect sqrt(n) + z| > t s) over quantiles of s, as scipy's noncentral t is NaN for the effects that 2 seeds tell.
    """
    widths = student.ppf(1 - 0.025 / family, seeds - 1) * np.sqrt(chi2(seeds - 1).ppf(LEVELS) / (seeds - 1))

    def excess(effect: float) -> float:
        reached = effect * np.sqrt(seeds)
        return float((special.ndtr(reached - widths) + special.ndtr(-reached - widths)).mean()) - power

    return float(brentq(excess, 0, 1000))
