"""The papers' figures next to ours, if data set, network and augmentation match, and what else differs."""

from auglik.report.collect import Cell, Collected
from auglik.report.content import Row, Section, Shown, Table, number, words
from auglik.report.sections.measured import scores_under, suite_of
from auglik.report.sections.published_figures import (
    DATASETS,
    Figure,
    augmentation_names,
    mollification_name,
    network_of,
    read_published,
)
from auglik.report.sections.published_protocols import not_stated, protocol_differences
from auglik.report.sections.scores import over_seeds
from auglik.scoring.conditions import ALL, MEAN, Score
from auglik.scoring.intervals import summary
from auglik.scoring.metrics import expected_calibration_error


def published(collected: Collected) -> Section:
    """A row for every published figure that one of our cells has a counterpart of."""
    pairs = [pair for cell in collected.cells.values() for pair in _of_cell(cell)]
    rows = [row for _, row in pairs]
    title = "Against the published figures"
    if not rows:
        return Section("published", title, (f"Nothing published matches: {_ours(collected)}.",), ())
    sentence = (
        "Rows match in data set, network, augmentation and mollification; the last column says what else differs. A "
        "difference between ours and theirs also reflects the protocols."
    )
    columns = ("cell and figure", "published", "ours", "ours minus theirs", "what differs in protocol")
    silent = "; ".join(f"{source}: {not_stated(source)}" for source in dict.fromkeys(one.source for one, _ in pairs))
    note = (
        "ECE of Heinonen et al. is averaged over batches of 100 images; so is ours on clean images. What is not stated"
        f" there is not compared: {silent}."
    )
    return Section(
        "published",
        title,
        (sentence,),
        (Table(key="published", caption="Theirs and ours", columns=columns, rows=tuple(rows), note=note),),
    )


def _of_cell(cell: Cell) -> list[tuple[Figure, Row]]:
    called, config = augmentation_names(cell.config), cell.config
    rows = []
    for figure in read_published():
        matches = (
            called.get(figure.source) == figure.augmentation
            and network_of(figure) == config.network
            and DATASETS.get(figure.dataset, figure.dataset) == config.dataset
            and (figure.source != "heinonen2025" or figure.mollification == mollification_name(config, figure.table))
        )
        values = measured(cell, figure) if matches else []
        if values:
            rows.append((figure, _row(cell, figure, values)))
    return rows


def measured(cell: Cell, figure: Figure) -> list[float]:
    """Our score over seeds in the figure's units (% for errors and accuracies); empty where we have none."""
    clean = {"error": ("clean_error", 100), "nll": ("clean_nll", 1), "ece": ("clean_ece_batches_of_100", 1)}
    if figure.split == "clean":
        if figure.metric == "ece_percent_10_bins":
            runs = [run.predictions for run in cell.runs.values()]
            return [100 * expected_calibration_error(run.log_probabilities, run.labels, bins=10) for run in runs]
        name, scale = clean[figure.metric]
        return [scale * value for value in cell.scores(name)]
    suite = suite_of({cell.name: cell})  # runs under other conditions have no scores
    found = [
        [score for score in scores_under(run, suite) if _is_split(score, figure.split)] for run in cell.runs.values()
    ]
    if not all(found):
        return []
    if figure.metric == "accuracy":
        return [100 * (1 - scores[0].error) for scores in found]
    scale = 100 if figure.metric == "error" else 1
    return [scale * float(getattr(scores[0], figure.metric)) for scores in found]


def _is_split(score: Score, split: str) -> bool:
    if split.startswith("occluded_"):
        return score.kind == "occlusion" and score.severity == int(split.removeprefix("occluded_")) / 100
    if split in ("corrupted", "mean"):
        return score.condition == ("corruption", MEAN, ALL, None)
    return score.kind == "corruption" and score.name == split and score.severity is None


def _row(cell: Cell, figure: Figure, values: list[float]) -> Row:
    theirs = float(figure.value.partition("±")[0])
    digits = 4 if figure.metric in ("nll", "ece") else 2
    where = f"{figure.source} {figure.table}, {figure.split} {figure.metric}"
    note = [figure.note] if figure.note else []
    return Row(
        f"{cell.name}: {where}",
        (
            Shown(figure.value, (("", theirs),)),
            over_seeds(values, digits),
            number(summary(values).mean - theirs, digits, sign=True),
            words("; ".join(note + protocol_differences(cell, figure))),
        ),
    )


def _ours(collected: Collected) -> str:
    found = {f"{c.config.dataset}, {c.config.network}, {c.config.view.augment}" for c in collected.cells.values()}
    return "; ".join(sorted(found))
