"""What every cell scored: means over seeds with standard errors."""

from collections.abc import Sequence

import numpy as np

from auglik.inference.calibration.bins import equal_width, outcomes
from auglik.inference.calibration.errors import debiased
from auglik.inference.effective_views import effective_views
from auglik.objectives import InputError
from auglik.report.collect import Cell, Collected
from auglik.report.content import Row, Section, Shown, Table, count, mean_error, number
from auglik.runs.tested import met_before
from auglik.scoring.columns import DEBIASED_ECE, PART_TITLES, PRINTED, REPORTED
from auglik.scoring.ensembles import score
from auglik.scoring.intervals import summary
from auglik.scoring.predictions import Predictions, part_of

TITLED_PARTS = PART_TITLES | {
    "mollified": "Mollified test images: every view is a separate prediction",
    "folded": "Test views folded as each objective predicts",
}
SCORE_COLUMNS = (*PRINTED, DEBIASED_ECE, *REPORTED[len(PRINTED) :])
ECE_BINS = 15


def scores(collected: Collected) -> Section:
    """Clean, mollified and folded scores, and the marginal log-likelihood under the evaluation views."""
    tables = tuple(_part(part, title, collected) for part, title in TITLED_PARTS.items())
    return Section(
        "scores",
        "Scores",
        (
            "All cells are scored alike, however they were trained, by categorical log-probabilities. Means ± "
            "standard errors over seeds.",
            *scored_on(collected),
            *copied(collected),
        ),
        (*tables, _marginal(collected), *_ensembles(collected)),
    )


def scored_on(collected: Collected) -> list[str]:
    """Whether cells of one data set were scored on the same test images and evaluation views; which were not."""
    said = []
    for what, key in (("test images", "test_digest"), ("evaluation views", "evaluation_views_digest")):
        by_data: dict[str, dict[object, list[str]]] = {}
        for name, cell in collected.cells.items():
            found = getattr(cell.first, key)
            by_data.setdefault(cell.config.dataset, {}).setdefault(found, []).append(name)
        several = [groups for groups in by_data.values() if len(groups) > 1]
        if not several:
            said.append(f"All cells of one data set are scored on the same {what}.")
        for groups in several:
            texts = "; ".join(", ".join(names) for names in groups.values())
            said.append(f"Not scored on the same {what}, so comparable only within a group: {texts}.")
    return said


def copied(collected: Collected) -> list[str]:
    """How many test images are copies of another or were trained on, where there are any."""
    return [f"{line}." for line in met_before(cell.first for cell in collected.cells.values())]


def over_seeds(values: Sequence[float], digits: int, scale: float = 1) -> Shown:
    """mean ± standard error of the values, in units of 1/scale."""
    mean, error, *_ = summary([scale * value for value in values])
    return mean_error(mean, error, digits)


def _part(part: str, title: str, collected: Collected) -> Table:
    rows = tuple(Row(name, _scores(part, cell)) for name, cell in collected.cells.items())
    note = (
        ""
        if part != "clean"
        else (
            "ECE: 15 bins of equal width, over all images; the debiased one (data fission) is 0 in expectation for a "
            "calibrated model and may be negative."
        )
    )
    return Table(
        key=f"scores-{part}",
        caption=title,
        columns=("cell", "seeds", *(column.title for column in SCORE_COLUMNS)),
        rows=rows,
        note=note,
    )


def _scores(part: str, cell: Cell) -> tuple[Shown, ...]:
    values = {column: cell.scores(f"{part}_{column.name}") for column in REPORTED}
    values[DEBIASED_ECE] = [_debiased(run.predictions, part) for run in cell.runs.values()]
    return count(len(cell.runs)), *(over_seeds(values[one], one.digits, one.scale) for one in SCORE_COLUMNS)


def _debiased(run: Predictions, part: str) -> float:
    try:
        return debiased(outcomes(*part_of(run, part)), equal_width(ECE_BINS))
    except InputError:  # a diverged run: its NLL says so
        return float("nan")


def _marginal(collected: Collected) -> Table:
    rows = []
    for name, cell in collected.cells.items():
        smoothed = [_smoothed(run.predictions) for run in cell.runs.values()]
        rows.append(
            Row(
                name,
                (
                    count(len(next(iter(cell.runs.values())).predictions.view_log_likelihoods)),
                    over_seeds(cell.scores("marginal_log_likelihood"), 4),
                    over_seeds(cell.scores("marginal_log_likelihood_corrected"), 4),
                    number(float(np.mean(cell.scores("marginal_monte_carlo_error"))), 4),
                    over_seeds(cell.scores("effective_views"), 1),
                    over_seeds([found[0] for found in smoothed], 1),
                    over_seeds([found[1] for found in smoothed], 2, 100),
                ),
            )
        )
    columns = (
        "cell", "views M", "marginal log-likelihood", "bias-corrected", "Monte Carlo error", "effective views",
        "PSIS effective views", "Pareto k > 0.7, % of images",
    )  # fmt: skip
    return Table(
        key="marginal",
        caption="Marginal log-likelihood: log of the mean likelihood over the evaluation views, mean over test images",
        columns=columns,
        rows=tuple(rows),
        note="The plain estimate is biased downwards, by an amount that differs between cells. PSIS: the views' "
        "weights are Pareto-smoothed; where k > 0.7 the views do not cover the tail, and more are needed.",
    )


def _smoothed(run: Predictions) -> tuple[float, float]:
    """Mean effective views and the share of images with k > 0.7."""
    try:
        found = effective_views(run.view_log_likelihoods)
    except InputError:
        return float("nan"), float("nan")
    return found.mean_effective, found.share_unreliable


def _ensembles(collected: Collected) -> tuple[Table, ...]:
    """The seeds of every cell as one classifier; empty if no cell has several."""
    found = [
        score(name, {seed: run.predictions for seed, run in cell.runs.items()})
        for name, cell in collected.cells.items()
        if len(cell.runs) > 1 and np.isfinite(cell.scores("clean_nll")).all()
    ]
    rows = tuple(
        Row(
            one.cell,
            (
                count(len(one.seeds)),
                *(number(column.scale * one.scores[f"clean_{column.name}"], column.digits) for column in REPORTED),
            ),
        )
        for one in found
    )
    caption = "Ensembles: the seeds of a cell as one classifier, by their mean probabilities, on clean test images"
    columns = ("cell", "members", *(column.title for column in REPORTED))
    return (Table(key="ensembles", caption=caption, columns=columns, rows=rows),) if rows else ()
