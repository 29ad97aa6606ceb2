"""From runs' predictions to conclusions about their differences."""

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
from scipy import special

from auglik.inference.components import components, new_images, new_seeds
from auglik.inference.differences.pairing import Pair, RunsByCell, pairs, same_views
from auglik.inference.differences.power import SeedsNeeded, seeds_needed
from auglik.inference.differences.rows import Effect, Inference, Metric, Primary
from auglik.inference.differences.scored import image_nll, run_scores
from auglik.inference.differences.verdict import unknown_verdict, verdict
from auglik.inference.law import Law, below, interval, law_of
from auglik.inference.posterior import cells_tree
from auglik.inference.rule import decide, outcome
from auglik.objectives.errors import InputError
from auglik.scoring.intervals import FAMILY_WISE, holm, p_of, summary
from auglik.scoring.metrics import PRIMARY
from auglik.system.array_types import Float64Array
from auglik.system.keys import host_generator

ROPE = 0.005
"""Half-width in nats of clean NLL of what counts as practically equal, by default."""
SKEWED_IMAGES = 0.15
"""Skewness of the images' differences over sqrt(N) from which on a decided comparison is noted: `auglik verify
verdicts` says of how many of those that are wrong."""


def infer(runs: RunsByCell, references: Mapping[str, str], *, rope: float = ROPE, seed: int = 0) -> Inference:
    """Compares every cell with its reference, `references[cell]`; `runs[cell][seed]` are a run's predictions.

    All cells that have a reference are one family. Raises InputError for a cell without a reference and for a
    negative rope.
    """
    found, differences, warnings = paired_differences(runs, references)
    family = family_of(runs, references)
    primary = decided(found, differences, rope=rope, family=family, seed=seed)
    laws = {row.cell: law_of(d) for row, d in zip(primary, differences, strict=True) if row.effect is not None}
    tree = cells_tree(
        laws,
        {pair.cell: pair.seeds for pair in found},
        {pair.cell: d.mean(1) for pair, d in zip(found, differences, strict=True)},
        seed,
    )
    return Inference(
        primary=primary, metrics=_metrics(runs, found, primary, family), rope=rope, family=family, data=tree,
        warnings=warnings + _warnings(primary, family) + _of_few_images(primary, differences),
    )  # fmt: skip


def primary_differences(runs: RunsByCell, references: Mapping[str, str], *, rope: float = ROPE) -> list[Primary]:
    """Clean NLL alone: as `infer` has it."""
    found, differences, _ = paired_differences(runs, references)
    return decided(found, differences, rope=rope, family=family_of(runs, references))


def family_of(runs: RunsByCell, references: Mapping[str, str]) -> int:
    """How many cells have another cell for their reference."""
    return sum(references[cell] != cell for cell in runs)


def paired_differences(
    runs: RunsByCell, references: Mapping[str, str]
) -> tuple[list[Pair], list[Float64Array], list[str]]:
    """Pairs, their differences in clean NLL [S,N], not finite where a run's is not, and what was left out."""
    found, warnings = pairs(runs, references)
    with np.errstate(invalid="ignore"):
        differences = [
            np.stack([image_nll(runs[pair.cell][s]) - image_nll(runs[pair.reference][s]) for s in pair.seeds])
            for pair in found
        ]
    return found, differences, warnings


def decided(
    found: Sequence[Pair], differences: Sequence[Float64Array], *, rope: float, family: int, seed: int = 0
) -> list[Primary]:
    """The rows of the primary endpoint, from per-image differences [S,N] of each pair."""
    if not rope >= 0:
        raise InputError(f"expected a region of practical equivalence of half-width >= 0, got {rope}")
    unknown = Law(mean=nan, seed_error=nan, image_error=nan, seeds=1, images=1)
    each = [law_of(d) if np.isfinite(d).all() else unknown for d in differences]
    each += [unknown] * (family - len(each))  # cells that are not paired are of the family all the same
    if not each:
        return []
    laws = Law(*(np.array(part, np.float64) for part in zip(*each, strict=True)))
    decision = decide(laws, rope)
    undecided = max(1, family - int(decision.decided.sum()))
    inside = below(laws, rope) - below(laws, -rope)
    columns = (laws.mean, *interval(laws), below(laws, 0.0), inside, decision.p_none, decision.p_more)
    effects = [
        Effect(
            mean=mean,
            lower=lower,
            upper=upper,
            p_better=better,
            p_in_rope=equal,
            p_adjusted=p,
            p_equal_adjusted=p_equal,
        )
        for mean, lower, upper, better, equal, p, p_equal in np.stack([np.asarray(one) for one in columns], -1).tolist()
    ]
    return [
        _row(pair, d, law, effect, rope, family, undecided, seed)
        for pair, d, law, effect in zip(found, differences, each, effects, strict=False)
    ]


def _row(
    pair: Pair, d: Float64Array, law: Law, effect: Effect, rope: float, family: int, undecided: int, seed: int
) -> Primary:
    parts = components(d)
    with np.errstate(invalid="ignore"):
        mean = float(d.mean())
    over_seeds, over_images, (S, N) = new_seeds(parts), new_images(parts), d.shape
    kind = outcome(effect.p_adjusted, effect.p_equal_adjusted, mean)
    needed: SeedsNeeded | None = None
    if kind == "unknown":
        sentence = unknown_verdict(pair.cell, pair.reference, mean, over_seeds, over_images, S, N)
    else:
        if kind == "undecided":
            needed = seeds_needed(law, undecided, host_generator(seed, "seeds needed", pair.cell))
        sentence = verdict(pair.cell, pair.reference, kind, effect, rope, family, needed)
    return Primary(
        cell=pair.cell, reference=pair.reference, seeds=pair.seeds, images=N, mean=mean, components=parts,
        seed_sd=float(np.sqrt(parts.seed_variance)), image_sd=float(np.sqrt(parts.image_variance)),
        residual_sd=float(np.sqrt(parts.residual_variance)), new_seeds=over_seeds, new_images=over_images,
        effect=None if kind == "unknown" else effect, seeds_needed=needed, between_seeds=S > 1, outcome=kind,
        verdict=sentence,
    )  # fmt: skip


def _metrics(runs: RunsByCell, found: Sequence[Pair], primary: Sequence[Primary], family: int) -> list[Metric]:
    """Every metric of every cell; each metric's p-values are one family of cells.

    Scores on views are NaN where the evaluation views of a cell and its reference differ.
    """
    cells = {name for row in primary for name in (row.cell, row.reference)}
    scored = {cell: {number: run_scores(run) for number, run in runs[cell].items()} for cell in cells}
    of_metric: dict[str, list[Metric]] = {}
    for metric in next(iter(next(iter(scored.values())).values())) if scored else ():
        if metric == PRIMARY:
            of_metric[metric] = [_of_primary(row) for row in primary]
            continue
        d = [
            np.array([_less(scored[pair.cell][s][metric], scored[pair.reference][s][metric]) for s in pair.seeds])
            if metric.startswith("clean_") or same_views(runs, pair)
            else np.full(len(pair.seeds), nan)
            for pair in found
        ]
        intervals = [summary(values) for values in d]
        adjusted = holm([p_of(one) for one in intervals] + [nan] * (family - len(d)))
        of_metric[metric] = [
            Metric(
                cell=row.cell,
                reference=row.reference,
                metric=metric,
                exploratory=True,
                mean=one.mean,
                standard_error=one.standard_error,
                lower=one.lower,
                upper=one.upper,
                p_adjusted=float(p),
                seeds=len(row.seeds),
            )
            for row, one, p in zip(primary, intervals, adjusted, strict=False)
        ]
    return [rows[place] for place in range(len(primary)) for rows in of_metric.values()]


def _less(own: float, other: float) -> float:
    return own - other if np.isfinite([own, other]).all() else nan


def _of_primary(row: Primary) -> Metric:
    lower, upper, p = (row.effect.lower, row.effect.upper, row.effect.p_adjusted) if row.effect else (nan, nan, nan)
    mean = row.mean if np.isfinite(row.mean) else nan
    return Metric(
        cell=row.cell, reference=row.reference, metric=PRIMARY, exploratory=False, mean=mean,
        standard_error=row.new_seeds.standard_error, lower=lower, upper=upper, p_adjusted=p, seeds=len(row.seeds),
    )  # fmt: skip


def skewness_counts(d: Float64Array) -> bool:
    """Whether differences [S,N] are so skewed over images, and these count for so much, that Student's t is rough."""
    law, centred = law_of(d), d.mean(0) - d.mean()
    variance = float(np.square(centred).mean())
    if variance == 0 or not law.image_error > law.seed_error:
        return False
    return bool(abs((centred**3).mean()) / variance**1.5 / np.sqrt(d.shape[1]) > SKEWED_IMAGES)


def _of_few_images(primary: Sequence[Primary], differences: Sequence[Float64Array]) -> list[str]:
    found = [
        row.cell
        for row, d in zip(primary, differences, strict=False)
        if row.outcome in ("better", "worse") and skewness_counts(d)
    ]
    return (
        [
            "a few test images count for much of the difference, and other test sets may lack them or have more:"
            f" intervals hold less often than 95% ({', '.join(found)})"
        ]
        if found
        else []
    )


def _warnings(primary: Sequence[Primary], family: int) -> list[str]:
    said = []
    if alone := [row.cell for row in primary if not row.between_seeds]:
        said.append(f"one seed only, so nothing is claimed about other seeds: {', '.join(alone)}")
    for S in sorted({len(row.seeds) for row in primary if 1 < len(row.seeds) < 5}):
        few = [row.cell for row in primary if len(row.seeds) == S]
        least = float(special.stdtrit(S - 1, 1 - FAMILY_WISE / family / 2))
        first = f"the first of {family} cells" if family > 1 else "a cell"
        said.append(
            f"{S} seeds show little: {first} is called better or worse only beyond {least:.3g} standard errors "
            f"({', '.join(few)})"
        )
    if lost := [row.cell for row in primary if not np.isfinite(row.mean)]:
        said.append(f"NLL not finite, so no comparison: {', '.join(lost)}")
    return said
