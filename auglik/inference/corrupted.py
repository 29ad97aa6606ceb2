"""Differences in NLL under corruption, paired by seed and corruption: over all corruptions, by category, and each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray
from arviz_stats import hdi  # type: ignore[attr-defined]

from auglik.inference.corrupted_model import Posterior, sample
from auglik.inference.rows import Diagnostics
from auglik.inference.sampled import convergence_warnings, diagnostics_of, tree_of
from auglik.robustness.protocol import CORRUPTIONS
from auglik.robustness.score import ALL, MEAN, Score
from objectives.errors import InputError

Floats = npt.NDArray[np.float64]

LEAST_SEEDS, LEAST_CORRUPTIONS = 2, 5
LEVEL = 0.95


class UnderCorruption(NamedTuple):
    """What was measured of a run: `conditions` identifies images and settings, only runs that share it are paired."""

    conditions: str
    nll: Mapping[str, float]
    """By corruption, in nats, the mean over severities."""


class Posited(NamedTuple):
    """The posterior of one difference in NLL for new seeds on these corrupted images, in nats; less is better."""

    mean: float
    lower: float
    upper: float
    """95% HDI."""
    p_better: float
    """P(difference < 0 given the data)."""


class CorruptedCell(NamedTuple):
    """A cell less its reference, on the seeds that both were measured with under the same conditions."""

    cell: str
    reference: str
    seeds: tuple[int, ...]
    overall: Posited
    """Of the mean over the corruptions."""
    categories: Mapping[str, Posited]
    corruptions: Mapping[str, Posited]
    verdict: str


class Corrupted(NamedTuple):
    """Exploratory: all that can be said of the cells under corruption, in the order of the runs."""

    cells: list[CorruptedCell]
    left_out: list[str]
    """A sentence for each cell that the model was not given, and for seeds that were not paired."""
    diagnostics: Diagnostics
    warnings: list[str]
    data: xarray.DataTree
    """Draws; a child `conditions_<digest>` for each model where there are several."""


def under_corruption(scores: Iterable[Score], conditions: str) -> UnderCorruption:
    """From a run's robustness scores: the means over severities of each corruption."""
    found = {
        score.name: score.nll
        for score in scores
        if score.kind == "corruption" and score.severity is None and score.name != MEAN
    }
    return UnderCorruption(conditions, {name: found[name] for name in CORRUPTIONS if name in found})


def infer_corrupted(
    runs: Mapping[str, Mapping[int, UnderCorruption]], references: Mapping[str, str], *, seed: int = 0
) -> Corrupted:
    """Compares every cell with its reference; cells of the same conditions are one hierarchical model.

    One seed, or fewer than 5 corruptions, is not modelled. Raises InputError for a cell without a reference.
    """
    families: dict[str, list[tuple[str, tuple[int, ...], Floats]]] = {}
    names: dict[str, list[str]] = {}
    left_out: list[str] = []
    for cell in runs:
        reference = references.get(cell)
        if reference is None or reference not in references:
            raise InputError(f"expected a reference among the cells for {cell!r}, got {reference!r}: is it misspelt?")
        if cell == reference:
            continue
        conditions, seeds, unpaired = paired(runs[cell], runs.get(reference, {}))
        said = f"{cell} against {reference} under corruption: "
        if unpaired and seeds:
            left_out.append(f"{said}seed {', '.join(map(str, unpaired))} not measured alike, so left out.")
        corruptions = list(runs[cell][seeds[0]].nll) if seeds else []
        d = np.array([[runs[cell][s].nll[k] - runs[reference][s].nll[k] for k in corruptions] for s in seeds])
        if why := _unfit(seeds, d):
            left_out.append(f"{said}no model, as {why}.")
            continue
        families.setdefault(conditions, []).append((cell, seeds, d))
        names[conditions] = corruptions
    rows, posteriors = [], dict[str, Posterior]()
    for conditions, family in families.items():
        categories = {name: CORRUPTIONS[name] for name in names[conditions]}
        posterior = sample([d for *_, d in family], categories, cells=[cell for cell, *_ in family], seed=seed)
        posteriors[conditions] = posterior
        told = _told(posterior)
        rows += [_row(cell, references[cell], seeds, told[cell], categories) for cell, seeds, _ in family]
    order = {cell: place for place, cell in enumerate(runs)}
    diagnostics = diagnostics_of(list(posteriors.values()))
    return Corrupted(
        sorted(rows, key=lambda row: order[row.cell]),
        left_out,
        diagnostics,
        convergence_warnings("the sampler of differences under corruption", diagnostics),
        tree_of({f"conditions_{key[:16]}": one for key, one in posteriors.items()}),
    )


def paired(
    own: Mapping[int, UnderCorruption], other: Mapping[int, UnderCorruption]
) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Conditions that most seeds share with the same corruptions, those seeds, and the other seeds of either."""
    every = sorted(own.keys() | other.keys())
    keys = {
        seed: (own[seed].conditions, tuple(own[seed].nll))
        for seed in every
        if seed in own
        and seed in other
        and own[seed].conditions == other[seed].conditions
        and own[seed].nll.keys() == other[seed].nll.keys()
    }
    if not keys:
        return "", (), tuple(every)
    [(chosen, _)] = Counter(keys.values()).most_common(1)
    kept = tuple(seed for seed, key in keys.items() if key == chosen)
    return chosen[0], kept, tuple(seed for seed in every if seed not in kept)


def _unfit(seeds: Sequence[int], d: Floats) -> str:
    """Why the model can't take these differences [S,K]; empty where it can."""
    if not seeds:
        return "no seed of both was measured under the same conditions"
    if d.shape[1] < LEAST_CORRUPTIONS:
        return f"{d.shape[1]} corruptions are too few, it takes {LEAST_CORRUPTIONS}"
    if len(seeds) < LEAST_SEEDS:
        return "one seed says nothing about other seeds"
    if not np.isfinite(d).all():
        return "an NLL is not finite"
    return "the scores are the same on every seed: is the one the other under another name?" * (not d.any())


def _told(posterior: Posterior) -> dict[str, dict[str, Posited]]:
    """By cell and target."""
    theta = posterior.data["posterior"].to_dataset()[["theta"]]
    bounds = hdi(theta, prob=LEVEL)["theta"].transpose("ci_bound", "cell", "target").values
    values = theta["theta"]
    means, better = values.mean(("chain", "draw")).values, (values < 0).mean(("chain", "draw")).values
    return {
        str(cell): {
            str(target): Posited(*(float(part[c, j]) for part in (means, *bounds, better)))
            for j, target in enumerate(values["target"].values)
        }
        for c, cell in enumerate(values["cell"].values)
    }


def _row(
    cell: str, reference: str, seeds: tuple[int, ...], told: Mapping[str, Posited], corruptions: Mapping[str, str]
) -> CorruptedCell:
    categories = {name: told[f"{ALL} {name}"] for name in dict.fromkeys(corruptions.values())}
    sentence = corruption_verdict(cell, reference, len(corruptions), told[MEAN], categories)
    return CorruptedCell(
        cell, reference, seeds, told[MEAN], categories, {name: told[name] for name in corruptions}, sentence
    )


def corruption_verdict(
    cell: str, reference: str, corruptions: int, overall: Posited, categories: Mapping[str, Posited]
) -> str:
    """What the data say of the mean over the corruptions and, category by category, where the 95% HDI leaves 0 out."""
    numbers = f"{overall.mean:+.4f} nats, 95% HDI [{overall.lower:+.4f}, {overall.upper:+.4f}]"
    which = f"over {corruptions} corruptions"
    head = {
        "better": f"{cell} is better than {reference} {which}: {numbers}",
        "worse": f"{cell} is worse than {reference} {which}: {numbers}",
        "undecided": f"The data cannot tell {cell} from {reference} {which}: {numbers}",
    }[_outcome(overall)]
    groups: dict[str, list[str]] = {}
    for name, one in categories.items():
        groups.setdefault(_outcome(one), []).append(name)
    parts = [f"{kind} under {', '.join(groups[kind])}" for kind in ("better", "worse", "undecided") if kind in groups]
    return f"{head}; {'; '.join(parts)}."


def _outcome(one: Posited) -> str:
    return "undecided" if one.lower <= 0 <= one.upper else "better" if one.mean < 0 else "worse"
