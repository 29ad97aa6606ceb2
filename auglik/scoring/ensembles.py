"""Deep ensembles: the seeds of a cell as one classifier, that of their mean probabilities.

Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles".
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.objectives.errors import InputError
from auglik.scoring.blocks import blocks
from auglik.scoring.metrics import Scores, joined, judged, scores_of
from auglik.scoring.predictions import PARTS, Predictions, part_of
from auglik.system.files import write_csv

ENSEMBLES_CSV = "ensembles.csv"

ENSEMBLE_COLUMNS = ("cell", "title", "seeds", *(f"{part}_{metric}" for part in PARTS for metric in Scores._fields))


class Ensemble(NamedTuple):
    """The scores of a cell's seeds as one classifier."""

    cell: str
    seeds: tuple[int, ...]
    scores: dict[str, float]
    """By the names that the scores of a run have: clean_nll, folded_error, ..."""

    @property
    def title(self) -> str:
        return f"ensemble of {len(self.seeds)} seeds"


def ensemble(
    members: Mapping[int, Predictions], part: Callable[[Predictions], NDArray[np.float32]] = PARTS["clean"]
) -> NDArray[np.float64]:
    """log of the mean of the members' probabilities, in the shape of their `part` [...,N,C].

    Raises InputError if there are no members, or members of other test images, labels, classes or views.
    """
    _check_members(members, part)
    return _mean([part(run) for run in members.values()])


def score(cell: str, members: Mapping[int, Predictions]) -> Ensemble:
    """The ensemble of a cell's seeds, scored as a run is: each mollified view is a separate prediction.

    Raises InputError as `ensemble` does, naming the cell.
    """
    found: dict[str, float] = {}
    try:
        for name, part in PARTS.items():
            _check_members(members, part)
            rows = [part_of(run, name)[0] for run in members.values()]
            _, labels = part_of(next(iter(members.values())), name)
            seen = joined(judged(_mean([row[some] for row in rows]), labels[some]) for some in blocks(*rows[0].shape))
            found |= {f"{name}_{metric}": value for metric, value in scores_of(seen)._asdict().items()}
    except InputError as error:
        raise InputError(f"cell {cell}: {error}") from None
    return Ensemble(cell, tuple(members), found)


def write_ensembles(output: Path, runs: Mapping[str, Mapping[int, Predictions]]) -> list[Ensemble]:
    """ensembles.csv in `output`, a row for every cell of two seeds and more, in the order of `runs`, and the same.

    Raises InputError as `score` does, and where the system refuses to write.
    """
    found = [score(cell, members) for cell, members in runs.items() if len(members) > 1]
    rows: list[dict[str, object]] = [
        {"cell": item.cell, "title": item.title, "seeds": " ".join(map(str, item.seeds)), **item.scores}
        for item in found
    ]
    write_csv(output / ENSEMBLES_CSV, rows, ENSEMBLE_COLUMNS)
    return found


def _mean(members: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """log of the mean of the members' probabilities."""
    total = functools.reduce(np.logaddexp, (member.astype(np.float64) for member in members))
    return np.asarray(total - np.log(len(members)))


def _check_members(members: Mapping[int, Predictions], part: Callable[[Predictions], NDArray[np.float32]]) -> None:
    if not members:
        raise InputError("expected the predictions of at least one seed, got none")
    first, *others = members
    for seed in others:
        _check_paired(first, members[first], seed, members[seed], part)


def _check_paired(
    first: int, one: Predictions, seed: int, other: Predictions, part: Callable[[Predictions], NDArray[np.float32]]
) -> None:
    """Raises InputError unless two seeds predicted the same images, and as many views of them."""
    same = one.images_digest == other.images_digest and one.evaluation_views_digest == other.evaluation_views_digest
    if not same or part(one).shape != part(other).shape:
        raise InputError(
            f"expected seeds that predicted the same images, got {list(part(one).shape)} of seed {first} and"
            f" {list(part(other).shape)} of seed {seed}: were they scored under one evaluation protocol?"
        )
