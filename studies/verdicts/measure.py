"""How often the product says what is not so, in worlds whose truth is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.stats import ttest_1samp

from auglik.inference import infer
from auglik.inference.components import mean_squares
from auglik.inference.corruption import CATEGORIES, OVERALL, SINGLE, Profile, UnderCorruption, infer_cells
from auglik.inference.differences.infer import ROPE, skewness_counts
from auglik.inference.law import below, law_of, p_of_none
from auglik.inference.rule import decide
from auglik.scoring.intervals import FAMILY_WISE, holm
from auglik.scoring.predictions import Predictions
from auglik.studies.verdicts import worlds as verdicts_worlds
from auglik.studies.verdicts.worlds import CELLS, Noise, World
from auglik.system.array_types import Float64Array

CHUNK = 250_000
"""Differences of one cell at a time: a batch of experiments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Of one world at one number of seeds, over E experiments of C cells."""

    word: float
    """A cell is called better or worse. False where there is no difference."""
    family: float
    """Any of the cells is."""
    right: Float64Array
    """Each cell is called better or worse, with the right sign [C]."""
    equal: float
    """Any of the cells is called practically equal."""
    covered: npt.NDArray[np.bool_]
    """Whether each cell's own 95% interval for new seeds and new test images holds the truth [E,C]."""

    @property
    def coverage(self) -> Float64Array:
        """[C]."""
        return self.covered.mean(0)

    @property
    def experiments(self) -> int:
        return len(self.covered)


def student_gap(world: World, rng: np.random.Generator, experiments: int, seeds: int) -> float:
    """The most that p of no difference is off that of scipy's t test over seeds, where images don't count."""
    d = world.differences(rng, experiments, seeds, world.difference_sds)
    return float(np.abs(p_of_none(law_of(d)) - ttest_1samp(d[..., 0], 0, axis=-1).pvalue).max())


def rates(world: World, rng: np.random.Generator, experiments: int, seeds: int, effects: Float64Array) -> Rates:
    """By the product's law and rule."""
    size = max(1, min(experiments, CHUNK // (seeds * world.images)))
    told, right, equal, covered = [], [], [], []
    for start in range(0, experiments, size):
        law = law_of(world.differences(rng, min(size, experiments - start), seeds, effects))
        decision = decide(law, ROPE)
        told.append(decision.decided)
        right.append(decision.decided & (np.sign(law.mean) == np.sign(effects)))
        equal.append(decision.equal)
        covered.append(np.abs(below(law, effects) - 0.5) <= 0.475)
    every = np.concatenate(told)
    return Rates(
        word=float(every.mean()), family=float(every.any(1).mean()), right=np.concatenate(right).mean(0),
        equal=float(np.concatenate(equal).any(1).mean()), covered=np.concatenate(covered),
    )  # fmt: skip


def noted(images: int, noise: Noise, rng: np.random.Generator, experiments: int) -> tuple[float, float]:
    """Of 5 steady seeds: of intervals that wrongly exclude 0, those noted for skewness; and of all intervals."""
    d = noise(rng, (experiments, 1, images)) + 0.01 * rng.standard_normal((experiments, 5, 1))
    wrong = p_of_none(law_of(d)) <= FAMILY_WISE
    told = np.array([skewness_counts(one) for one in d])
    return float(told[wrong].mean()), float(told.mean())


class CorruptedRates(NamedTuple):
    """Of null profiles: shares of experiments in which any cell gets a false word, and of 95% intervals that hold 0."""

    overall: float
    category: float
    single: float
    covered: Float64Array
    """The share of intervals that hold 0: overall, of categories, of single corruptions [E,3]."""

    @property
    def coverage(self) -> Float64Array:
        """[3]."""
        return np.asarray(self.covered.mean(0))


def corrupted_rates(rng: np.random.Generator, experiments: int, seeds: int) -> CorruptedRates:
    """Through `infer_cells`, as a report does."""
    words, covered = [], []
    for d in verdicts_worlds.profiles(rng, experiments, seeds):
        runs = {"reference": {s: UnderCorruption("suite", _profile(np.zeros(d.shape[-1]))) for s in range(seeds)}}
        runs |= {
            f"cell {c}": {s: UnderCorruption("suite", _profile(row)) for s, row in enumerate(of_cell)}
            for c, of_cell in enumerate(d)
        }
        cells, *_ = infer_cells(runs, dict.fromkeys(runs, "reference"))
        found = [
            [one for row in cells for one in row.families[name].values()] for name in (OVERALL, CATEGORIES, SINGLE)
        ]
        words.append([any(one.outcome in ("better", "worse") for one in family) for family in found])
        covered.append([np.mean([one.lower <= 0 <= one.upper for one in family]) for family in found])
    overall, category, single = map(float, np.mean(words, 0))
    return CorruptedRates(overall, category, single, np.array(covered))


def _profile(nll: Float64Array) -> Profile:
    groups = verdicts_worlds.CATEGORIES
    of_group = {name: [place for place, group in enumerate(groups) if group == name] for name in dict.fromkeys(groups)}
    return {
        OVERALL: {"mean": float(nll.mean())},
        CATEGORIES: {name: float(nll[places].mean()) for name, places in of_group.items()},
        SINGLE: {
            f"{group} {place}": float(value) for place, (group, value) in enumerate(zip(groups, nll, strict=True))
        },
    }


def satterthwaite(world: World, rng: np.random.Generator, experiments: int, seeds: int) -> float:
    """Family-wise rate of false words by the interval that this rule replaced, with Holm: not the product's.

    Variance v_seed / S + v_image / N + v_residual / (S N) by mean squares, with Satterthwaite's degrees of freedom.
    """
    d = world.differences(rng, experiments, seeds, np.zeros(len(world.sds)))
    S, N = d.shape[-2:]
    a, b, residual = mean_squares(d)
    terms = np.stack([np.maximum(a, residual), np.maximum(b, residual), -residual])
    total = terms.sum(0)
    freedom = total**2 / sum(
        term**2 / count for term, count in zip(terms, (S - 1, N - 1, (S - 1) * (N - 1)), strict=True)
    )
    p = 2 * special.stdtr(freedom, -np.abs(d.mean((-2, -1))) / np.sqrt(total / (S * N)))
    return float((holm(p).min(1) <= FAMILY_WISE).mean())


def second_look(world: World, rng: np.random.Generator, experiments: int, looks: Sequence[int]) -> float:
    """Family-wise rate when seeds are added after each look that leaves something undecided."""
    d = world.differences(rng, experiments, looks[-1], np.zeros(len(world.sds)))
    told = [decide(law_of(d[:, :, :seeds]), ROPE).decided.any(1) for seeds in looks]
    return float(np.any(told, 0).mean())


def agreement(world: World, rng: np.random.Generator, experiments: int, seeds: int) -> Iterator[tuple[bool, bool]]:
    """For each cell of a few experiments: told by the vectorized rule, and by `infer` from predictions."""
    effects = 4 * world.difference_sds * (np.arange(CELLS) % 2)
    for d in world.differences(rng, experiments, seeds, effects):
        runs = {"reference": {s: _predictions(np.full(d.shape[-1], 5.0)) for s in range(seeds)}}
        runs |= {f"cell {c}": {s: _predictions(5 + d[c, s]) for s in range(seeds)} for c in range(CELLS)}
        rows = infer(runs, dict.fromkeys(runs, "reference")).primary
        decision = decide(law_of(d), ROPE)
        for row, told, equal in zip(rows, decision.decided, decision.equal, strict=True):
            yield bool(told or equal), row.outcome in ("better", "worse", "equal")


def _predictions(nll: Float64Array) -> Predictions:
    """A run of two classes with these NLLs [N] at label 0."""
    log_p = np.stack([-nll, np.log1p(-np.exp(-nll))], -1)
    labels: npt.NDArray[np.int64] = np.zeros(len(nll), np.int64)
    none = log_p[:0].astype(np.float32)
    views = np.repeat(-nll[None], 3, 0)
    places = np.arange(len(nll))
    return Predictions(
        log_probabilities=log_p,
        labels=labels,
        indices=places,
        folded_log_probabilities=log_p,
        mollified_log_probabilities=log_p[None],
        view_log_likelihoods=views,  # type: ignore[arg-type]  # float64, so that nothing is rounded
        validation_log_probabilities=none,
        validation_labels=labels[:0],
        validation_indices=places[:0],
    )
