"""From what runs predicted to what can be said of their differences."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from auglik.inference.components import (
    components,
    new_images,
    new_seeds,
    new_seeds_and_images,
)
from auglik.inference.hierarchical import Posterior, Summary, sample, summarize
from auglik.inference.model_data import Data, model_data
from auglik.inference.pairing import Pair, Runs, pairs, same_views
from auglik.inference.power import SeedsNeeded, seeds_needed
from auglik.inference.rows import Diagnostics, Effect, Inference, Metric, Primary
from auglik.inference.sampled import convergence_warnings, diagnostics_of, tree_of
from auglik.inference.scored import PRIMARY, image_nll, run_scores
from auglik.inference.simultaneous import Simultaneous, simultaneous
from auglik.inference.verdict import one_seed_verdict, other_verdict, verdict
from auglik.keys import host_generator
from objectives.errors import InputError

Floats = npt.NDArray[np.float64]

ROPE = 0.005
"""Nats of clean NLL, either way, that count as practically nothing unless the user says otherwise."""


def infer(runs: Runs, references: Mapping[str, str], *, rope: float = ROPE, seed: int = 0) -> Inference:
    """Compares every cell with its reference, `references[cell]`; `runs[cell][seed]` is what a run predicted.

    Cells of one test set are one family for the intervals and one hierarchical model. Raises InputError for a cell
    without a reference and for a negative rope.
    """
    if not rope >= 0:
        raise InputError(f"expected a region of practical equivalence of half-width >= 0, got {rope}")
    found, warnings = pairs(runs, references)
    families: dict[str, list[Pair]] = {}
    for pair in found:
        families.setdefault(pair.images, []).append(pair)
    posteriors: dict[str, Posterior] = {}
    primary: dict[str, Primary] = {}
    metrics: list[Metric] = []
    for images, family in families.items():
        differences = [paired_nll(runs, pair) for pair in family]
        effects, posterior = _posterior(family, differences, rope, seed)
        if posterior:
            posteriors[images] = posterior
        for place, (pair, d) in enumerate(zip(family, differences, strict=True)):
            primary[pair.cell] = _primary(pair, d, effects.get(place), rope)
        metrics += _metrics(runs, family, seed)
    order = {cell: place for place, cell in enumerate(runs)}
    diagnostics = diagnostics_of(list(posteriors.values()))
    warnings += _warnings(list(primary.values()), diagnostics)
    return Inference(
        sorted(primary.values(), key=lambda row: order[row.cell]),
        sorted(metrics, key=lambda row: order[row.cell]),
        diagnostics,
        rope,
        tree_of({f"test_set_{images}": one for images, one in posteriors.items()}),
        warnings,
    )


def paired_nll(runs: Runs, pair: Pair) -> Floats:
    """Clean NLL of the cell less its reference's [S,N]; not finite where either is not."""
    with np.errstate(invalid="ignore"):
        rows = [image_nll(runs[pair.cell][seed]) - image_nll(runs[pair.reference][seed]) for seed in pair.seeds]
    return np.stack(rows)


def _posterior(
    family: Sequence[Pair], differences: Sequence[Floats], rope: float, seed: int
) -> tuple[dict[int, tuple[Effect, SeedsNeeded]], Posterior | None]:
    """By place in the family, the cells that the model can take."""
    taken = [
        place for place, d in enumerate(differences) if len(d) > 1 and np.isfinite(d).all() and (d.mean(1) != 0).any()
    ]
    if not taken:
        return {}, None
    data = model_data(
        [differences[place] for place in taken],
        [family[place].seeds for place in taken],
        [family[place].reference for place in taken],
    )
    posterior = sample(data, cells=[family[place].cell for place in taken], seed=seed)
    summary = summarize(posterior, rope)
    return {place: _effect(k, summary, posterior, data) for k, place in enumerate(taken)}, posterior


def _effect(k: int, summary: Summary, posterior: Posterior, data: Data) -> tuple[Effect, SeedsNeeded]:
    effect = Effect(*(float(column[k]) for column in summary))
    seed_sd = posterior.data["posterior"].to_dataset()["seed_sd"].values[..., k]
    image_variance, seeds = float(data.image_covariance[k, k]), int(data.there[k].sum())
    return effect, seeds_needed(effect.mean, float(np.square(seed_sd).mean()), image_variance, seeds)


def _primary(pair: Pair, d: Floats, told: tuple[Effect, SeedsNeeded] | None, rope: float) -> Primary:
    parts = components(d)
    with np.errstate(invalid="ignore"):
        mean = float(d.mean())
    over_images, S = new_images(parts), len(pair.seeds)
    effect, needed = told or (None, None)
    if effect and needed:
        sentence = verdict(pair.cell, pair.reference, effect.mean, effect.lower, effect.upper, rope, needed)
    elif S == 1 and np.isfinite(d).all():
        sentence = one_seed_verdict(pair.cell, pair.reference, mean, over_images.lower, over_images.upper)
    else:
        sentence = other_verdict(pair.cell, pair.reference, mean)
    undecided = effect is not None and effect.lower <= 0 <= effect.upper
    return Primary(
        pair.cell,
        pair.reference,
        pair.seeds,
        d.shape[1],
        mean,
        parts,
        float(np.sqrt(parts.seed_variance)),
        float(np.sqrt(parts.image_variance)),
        float(np.sqrt(parts.residual_variance)),
        new_seeds(parts),
        over_images,
        new_seeds_and_images(parts),
        effect,
        needed if undecided else None,
        S > 1,
        sentence,
    )


def _metrics(runs: Runs, family: Sequence[Pair], seed: int) -> list[Metric]:
    cells = {name for pair in family for name in (pair.cell, pair.reference)}
    scored = {cell: {number: run_scores(run) for number, run in runs[cell].items()} for cell in sorted(cells)}
    columns = sorted({number for pair in family for number in pair.seeds})
    found = []
    for metric in next(iter(next(iter(scored.values())).values())):
        d = np.full((len(columns), len(family)), np.nan)
        for place, pair in enumerate(family):
            paired = metric.startswith("clean_") or same_views(runs, pair)
            for number in pair.seeds:
                own, other = scored[pair.cell][number][metric], scored[pair.reference][number][metric]
                d[columns.index(number), place] = own - other if paired and np.isfinite([own, other]).all() else np.inf
        found += _metric_rows(metric, family, simultaneous(d, generator=host_generator(seed, "max-t", metric)))
    return found


def _metric_rows(metric: str, family: Sequence[Pair], jointly: Simultaneous) -> list[Metric]:
    return [
        Metric(
            pair.cell,
            pair.reference,
            metric,
            metric != PRIMARY,
            mean=float(jointly.mean[place]) if np.isfinite(jointly.mean[place]) else float("nan"),
            standard_error=float(jointly.standard_error[place]),
            lower=float(jointly.lower[place]),
            upper=float(jointly.upper[place]),
            p_adjusted=float(jointly.p_values[place]),
            seeds=len(pair.seeds),
        )
        for place, pair in enumerate(family)
    ]


def _warnings(primary: Sequence[Primary], diagnostics: Diagnostics) -> list[str]:
    said = []
    if alone := [row.cell for row in primary if not row.between_seeds]:
        said.append(f"one seed only, so nothing is claimed about other seeds: {', '.join(alone)}")
    if few := [row.cell for row in primary if 1 < len(row.seeds) < 5]:
        said.append(f"fewer than 5 seeds, so intervals are wide: {', '.join(few)}")
    if lost := [row.cell for row in primary if not np.isfinite(row.mean)]:
        said.append(f"NLL not finite, so no comparison: {', '.join(lost)}")
    return said + convergence_warnings("the sampler", diagnostics)
