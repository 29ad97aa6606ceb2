"""Differences in NLL under corruption, occlusion and mollification, paired by seed.

A seed is one replicate of the whole profile of a run: it moves all conditions together. So a target's difference (the
mean over its conditions) is taken within each seed, and its law over seeds is Student's t with the target's own
variance, whatever conditions share. Holm's p-values allow for all cells and all targets of a family: the mean over the
corruptions; categories; single corruptions; severities; occluded shares; temperatures.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray

from auglik.inference.differences.verdict import difference, nats, p_text
from auglik.inference.law import Law, below, interval, p_of_none
from auglik.inference.posterior import targets_tree
from auglik.inference.references import compared
from auglik.inference.rule import outcome
from auglik.scoring.conditions import ALL, MEAN, Score
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.scoring.intervals import holm, standard_errors
from auglik.system.array_types import Float64Array

OVERALL, CATEGORIES, SINGLE = "all corruptions", "category", "corruption"
SEVERITIES, OCCLUSION, MOLLIFIED = "severity", "occlusion", "mollified"
FAMILIES = (OVERALL, CATEGORIES, SINGLE, SEVERITIES, OCCLUSION, MOLLIFIED)

Profile = Mapping[str, Mapping[str, float]]
"""family -> target -> NLL in nats, the mean over the target's conditions."""


class UnderCorruption(NamedTuple):
    """What was measured of a run: `conditions` identifies images and settings, only runs that share it are paired."""

    conditions: str
    profile: Profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Posited:
    """One difference in NLL for new seeds on these images, in nats, less is better; NaN where the data cannot tell."""

    mean: float
    lower: float
    upper: float
    """95% interval of this cell and target alone."""
    p_better: float
    """P(difference < 0 given the data)."""
    p_adjusted: float
    """Of no difference, by Holm over the family's cells and targets."""

    @property
    def outcome(self) -> str:
        """better, worse, undecided or unknown."""
        return outcome(self.p_adjusted, 1.0, self.mean)


@dataclass(frozen=True, kw_only=True, slots=True)
class CorruptedCell:
    """A cell less its reference, on the seeds that both were measured with under the same conditions."""

    cell: str
    reference: str
    seeds: tuple[int, ...]
    families: Mapping[str, Mapping[str, Posited]]
    """By family and target; a family is there where it was measured."""
    verdict: str

    @property
    def overall(self) -> Posited | None:
        """Of the mean over the corruptions."""
        return self.families.get(OVERALL, {}).get(MEAN)

    @property
    def categories(self) -> Mapping[str, Posited]:
        return self.families.get(CATEGORIES, {})

    @property
    def corruptions(self) -> Mapping[str, Posited]:
        return self.families.get(SINGLE, {})


class Corrupted(NamedTuple):
    """Exploratory: all conclusions about the cells under corruption, in the order of the runs."""

    cells: list[CorruptedCell]
    left_out: list[str]
    """A sentence for each cell that could not be compared, and for seeds that were not paired."""
    sizes: Mapping[str, int]
    """How many comparisons a family's p-values allow for."""
    data: xarray.DataTree
    """posterior: theta, seed_sd [chain,draw,cell,target], a target `family: name`."""


def under_corruption(scores: Iterable[Score], conditions: str) -> UnderCorruption:
    """From a run's robustness scores: means over severities, but for the severities' own family."""
    found: dict[str, dict[str, float]] = {family: {} for family in FAMILIES}
    for score in scores:
        if placed := _target(score):
            family, target = placed
            found[family][target] = score.nll
    order = {name: place for place, name in enumerate(CORRUPTIONS)}
    found[SINGLE] = dict(sorted(found[SINGLE].items(), key=lambda item: order.get(item[0], len(order))))
    return UnderCorruption(conditions, {family: targets for family, targets in found.items() if targets})


def _target(score: Score) -> tuple[str, str] | None:
    """The family and target that a score is of, None for one that is of none: a part of a mean, or not changed."""
    kind, name, category, severity = score.condition
    if kind == "corruption" and name == MEAN:
        if severity is not None:
            return SEVERITIES, f"{severity:g}"
        return (OVERALL, MEAN) if category == ALL else (CATEGORIES, category)
    if kind == "corruption" and severity is None:
        return SINGLE, name
    if kind == "occlusion" and severity:
        return OCCLUSION, f"{severity:.0%}"
    return (MOLLIFIED, f"{name} {severity:g}") if kind == "mollified" and severity else None


def infer_corrupted(
    runs: Mapping[str, Mapping[int, UnderCorruption]], references: Mapping[str, str], *, seed: int = 0
) -> Corrupted:
    """Compares every cell with its reference. Raises InputError for a cell without a reference."""
    rows, left_out, sizes, laws = infer_cells(runs, references)
    known = {
        cell: {
            f"{family}: {name}": law
            for family, targets in found.items()
            for name, law in targets.items()
            if np.isfinite(law.seed_error)
        }
        for cell, found in laws.items()
    }
    return Corrupted(rows, left_out, sizes, targets_tree(known, seed))


def infer_cells(
    runs: Mapping[str, Mapping[int, UnderCorruption]], references: Mapping[str, str]
) -> tuple[list[CorruptedCell], list[str], dict[str, int], dict[str, dict[str, dict[str, Law]]]]:
    """All but the draws: rows, what was left out, the families' sizes, and the laws by cell, family and target."""
    left_out: list[str] = []
    paired_cells: dict[str, tuple[int, ...]] = {}
    differences: dict[str, dict[str, dict[str, Float64Array]]] = {}
    for cell, reference in compared(runs, references, references):
        seeds, unpaired = paired(runs[cell], runs.get(reference, {}))
        said = f"{cell} against {reference} under corruption: "
        if unpaired and seeds:
            left_out.append(
                f"{said}seed {', '.join(map(str, unpaired))} not measured under the same conditions, so left out."
            )
        own = [runs[cell][s].profile for s in seeds]
        other = [runs[reference][s].profile for s in seeds]
        d = _less(own, other)
        if seeds and not d:  # none but human labels, which no family is of
            continue
        if why := _unfit(seeds, [values for targets in d.values() for values in targets.values()]):
            left_out.append(f"{said}no verdict: {why}.")
            continue
        paired_cells[cell], differences[cell] = seeds, d
    laws = {
        cell: {family: {name: _law(values) for name, values in targets.items()} for family, targets in found.items()}
        for cell, found in differences.items()
    }
    told, sizes = _told(laws, sum(references[cell] != cell for cell in runs))
    rows = [
        CorruptedCell(
            cell=cell,
            reference=references[cell],
            seeds=seeds,
            families=told[cell],
            verdict=corruption_verdict(cell, references[cell], told[cell]),
        )
        for cell, seeds in paired_cells.items()
    ]
    return rows, left_out, sizes, laws


def _less(own: Sequence[Profile], other: Sequence[Profile]) -> dict[str, dict[str, Float64Array]]:
    """Differences [S] by family and target; not finite where a score is not."""
    if not own:
        return {}
    with np.errstate(invalid="ignore"):
        return {
            family: {
                name: np.array([a[family][name] for a in own]) - np.array([b[family][name] for b in other])
                for name in targets
            }
            for family, targets in own[0].items()
        }


def _law(values: Float64Array) -> Law:
    with np.errstate(invalid="ignore"):
        return Law(
            mean=float(values.mean()), seed_error=float(standard_errors(values)), image_error=0.0, seeds=len(values),
            images=2,
        )  # fmt: skip


def _told(
    laws: Mapping[str, Mapping[str, Mapping[str, Law]]], cells: int
) -> tuple[dict[str, dict[str, dict[str, Posited]]], dict[str, int]]:
    """By cell, family and target; and the families' sizes, those of all `cells` that have a reference."""
    told: dict[str, dict[str, dict[str, Posited]]] = {cell: {} for cell in laws}
    sizes: dict[str, int] = {}
    for family in FAMILIES:
        keys = [(cell, name) for cell, found in laws.items() for name in found.get(family, {})]
        if not keys:
            continue
        sizes[family] = max(len(keys), cells * len({name for _, name in keys}))
        each = [laws[cell][family][name] for cell, name in keys]
        stacked = Law(*(np.array(part, np.float64) for part in zip(*each, strict=True)))
        p = np.full(sizes[family], np.nan)
        p[: len(keys)] = p_of_none(stacked)
        columns = zip(stacked.mean, *interval(stacked), below(stacked, 0.0), holm(p), strict=False)  # type: ignore[arg-type]
        for (cell, name), column in zip(keys, columns, strict=True):
            mean, lower, upper, better, adjusted = map(float, column)
            posited = Posited(mean=mean, lower=lower, upper=upper, p_better=better, p_adjusted=adjusted)
            told[cell].setdefault(family, {})[name] = posited
    return told, sizes


def paired(
    own: Mapping[int, UnderCorruption], other: Mapping[int, UnderCorruption]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds that share with the reference's the conditions and targets that most do, and the other seeds."""
    every = sorted(own.keys() | other.keys())
    keys = {seed: _key(own[seed]) for seed in every if seed in own and seed in other and _alike(own[seed], other[seed])}
    if not keys:
        return (), tuple(every)
    [(chosen, _)] = Counter(keys.values()).most_common(1)
    kept = tuple(seed for seed, key in keys.items() if key == chosen)
    return kept, tuple(seed for seed in every if seed not in kept)


def _key(run: UnderCorruption) -> tuple[object, ...]:
    return run.conditions, *((family, frozenset(targets)) for family, targets in sorted(run.profile.items()))


def _alike(own: UnderCorruption, other: UnderCorruption) -> bool:
    return _key(own) == _key(other)


def _unfit(seeds: Sequence[int], differences: Sequence[Float64Array]) -> str:
    """Why nothing can be said; empty where something can."""
    if not seeds:
        return "no seed of both was measured under the same conditions"
    if len(seeds) == 1:
        return "one seed says nothing about other seeds"
    return "the scores are the same on every seed: is it the same cell under two names?" * (
        not any(values.any() for values in differences)
    )


def corruption_verdict(cell: str, reference: str, families: Mapping[str, Mapping[str, Posited]]) -> str:
    """What the data say of the mean over the corruptions, and of each category; without corruptions, of the others."""
    categories = _grouped(families.get(CATEGORIES, {}), "under")
    if overall := families.get(OVERALL, {}).get(MEAN):
        which = f"over {len(families.get(SINGLE, {}))} corruptions"
        kind, mean = overall.outcome, overall.mean
        numbers = difference(mean, overall.lower, overall.upper, kind)
        numbers += f", {p_text(overall.p_adjusted)} after allowing for all cells"
        why = (
            f"{nats(mean)[0]} nats on every seed alike" if math.isfinite(mean) else f"{mean}, as a score is not finite"
        )
        head = {
            "better": f"{cell} is better than {reference} {which}: {numbers}",
            "worse": f"{cell} is worse than {reference} {which}: {numbers}",
            "undecided": f"The data cannot tell {cell} from {reference} {which}: {numbers}",
            "unknown": f"No comparison of {cell} with {reference} {which}: the mean difference is {why}",
        }[kind]
        return f"{head}{'; ' if categories else ''}{categories}."
    parts = [f"{family}: {_grouped(families[family], 'at')}" for family in (OCCLUSION, MOLLIFIED) if family in families]
    return f"{cell} against {reference}, {'; '.join(parts)}."


def _grouped(targets: Mapping[str, Posited], word: str) -> str:
    groups: dict[str, list[str]] = {}
    for name, one in targets.items():
        groups.setdefault(one.outcome, []).append(name)
    kinds = ("better", "worse", "undecided", "unknown")
    return "; ".join(f"{kind} {word} {', '.join(groups[kind])}" for kind in kinds if kind in groups)
