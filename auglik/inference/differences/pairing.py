"""Which runs can be compared: same seed, same test images. The others are named and left out."""

from collections.abc import Mapping
from typing import NamedTuple

from auglik.inference.references import compared
from auglik.scoring.predictions import Predictions

RunsByCell = Mapping[str, Mapping[int, Predictions]]
"""cell -> seed -> what the run predicted."""


class Pair(NamedTuple):
    """A cell and its reference on the seeds that both have, in order; all runs of the same test images."""

    cell: str
    reference: str
    seeds: tuple[int, ...]
    images: str
    """Digest of the test images: their pixels, labels and positions in the whole test set."""


def pairs(runs: RunsByCell, references: Mapping[str, str]) -> tuple[list[Pair], list[str]]:
    """Every cell that is not its own reference, and one warning for each thing that was left out.

    Raises InputError for a cell without a reference, or whose reference is not a cell.
    """
    digests = {cell: {seed: run.images_digest for seed, run in of_cell.items()} for cell, of_cell in runs.items()}
    found, warnings = [], []
    for cell, reference in compared(runs, references, runs):
        pair, said = _pair(cell, reference, digests[cell], digests[reference])
        warnings += said
        if pair:
            found.append(pair)
            if not same_views(runs, pair):
                warnings.append(
                    f"{cell} against {reference}: only clean scores are compared, as their evaluation views differ"
                )
    return found, warnings


def same_views(runs: RunsByCell, pair: Pair) -> bool:
    """Whether a pair's runs were scored on the same evaluation views, as all scores but those of clean images need."""
    views = {runs[cell][seed].evaluation_views_digest for cell in (pair.cell, pair.reference) for seed in pair.seeds}
    return len(views) == 1


def _pair(cell: str, reference: str, own: Mapping[int, str], other: Mapping[int, str]) -> tuple[Pair | None, list[str]]:
    shared = sorted(own.keys() & other.keys())
    said = []
    for lacking, seeds in ((reference, sorted(own.keys() - other.keys())), (cell, sorted(other.keys() - own.keys()))):
        if seeds:
            why = f"{lacking} has no finished run with it on the same test images"
            said.append(f"{cell} against {reference}: {_seeds(seeds)} left out, as {why}")
    first = other[shared[0]] if shared else ""
    same = [seed for seed in shared if own[seed] == other[seed] == first]
    if others := [seed for seed in shared if seed not in same]:
        said.append(f"{cell} against {reference}: {_seeds(others)} left out, as the test images differ")
    if not same:
        return None, [*said, f"{cell} is not compared with {reference}: they share no seed on the same test images"]
    return Pair(cell, reference, tuple(same), first), said


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
