"""The cells: objective, views, how soft their labels were, and whether their settings were tuned."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from auglik.experiments.cells import remarks
from auglik.experiments.tuning import TUNING_CSV
from auglik.objectives import InputError
from auglik.report.collect import Cell, Collected
from auglik.report.content import Row, Section, Shown, Table, count, number, words
from auglik.report.run_files import Run
from auglik.report.sections.scores import over_seeds


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A row of tuning.csv."""

    cell: str
    setting: str
    value: float
    validation_nll: float
    seeds: int
    chosen: bool


def cells(collected: Collected) -> Section:
    """Objectives and views of all cells; remarks on them; the tuning table if there is one."""
    tuning = read_tuning(collected.folder)
    said = [f"{name}: {text}." for name, cell in collected.cells.items() for text in _remarks(cell)]
    items = [_objectives(collected), _views(collected)] + ([_tuning(tuning)] if tuning else [])
    return Section("cells", "Cells", tuple(said), tuple(items))


def _remarks(cell: Cell) -> list[str]:
    """Those on its objective and views, or that there are none as a user's own code has moved since."""
    try:
        return remarks(cell.config)
    except InputError as error:
        return [f"no remarks on it, as its code is not found ({error})"]


def read_tuning(folder: Path) -> list[Tried]:
    """The rows of tuning.csv; none where cells were not tuned. Raises InputError if it cannot be read."""
    path = folder / TUNING_CSV
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        try:
            return [_tried(row) for row in csv.DictReader(file)]
        except (KeyError, ValueError, TypeError) as error:
            said = " ".join(str(error).split())
            raise InputError(f"{path}: expected the table that `auglik compare --tune` writes ({said})") from None


def _tried(row: Mapping[str, str]) -> Tried:
    nll = float(row["validation_nll"] or "inf")
    return Tried(
        cell=row["cell"], setting=row["setting"], value=float(row["value"]), validation_nll=nll,
        seeds=int(row["seeds"]), chosen=row["chosen"] == "True",
    )  # fmt: skip


def tuning_warning(collected: Collected) -> str | None:
    """That cells were not tuned, or which were not; None if all were. A chain's rate is a step, not to be tuned."""
    tuned = {row.cell for row in read_tuning(collected.folder) if row.chosen}
    points = {name: cell for name, cell in collected.cells.items() if cell.config.sampling.sampler() is None}
    rest = [name for name in points if name not in tuned]
    if not rest or len(points) == 1:
        return None
    if tuned:
        return f"not tuned, unlike the other cells: {', '.join(rest)}"
    rates = {cell.config.optimization.learning_rate for cell in points.values()}
    same = f"all use learning rate {next(iter(rates))}" if len(rates) == 1 else "they use the rates given"
    return (
        f"cells were not tuned: {same}, though objectives differ in the scale of their gradients "
        "(auglik compare --tune learning_rate=0.003,0.01,0.03 gives each the same grid)"
    )


def rate(value: float | None) -> Shown:
    """A learning rate, however small."""
    return words("") if value is None else Shown(f"{value:g}", (("", value),))


def _objectives(collected: Collected) -> Table:
    named = collected.named()
    rows = tuple(
        Row(
            name,
            (
                words(named(cell.config.likelihood)),
                words(named(cell.config.aggregator)),
                count(cell.config.views),
                over_seeds(cell.last_epoch("label_entropy"), 3),
                over_seeds(cell.last_epoch("negative_share"), 2, 100),
                rate(cell.config.optimization.learning_rate),
                words(", ".join(map(str, cell.runs))),
            ),
        )
        for name, cell in collected.cells.items()
    )
    return Table(
        key="objectives",
        caption="Objectives, and their labels in the last epoch",
        columns=("cell", "likelihood", "aggregator", "views K", "label entropy, nats", "negative gradient weights %",
         "learning rate", "seeds"),
        rows=rows,
        note="Label entropy is the mean over views of the entropy of the label (1-γ) e + γ/C (or toward what labels "
        "degrade) that the likelihood trains with: 0 where it ignores decay. A cell that differs in it is trained with "
        "more or less smoothing, so that its difference is not due to how view and label are coupled alone. `sink` has "
        "a class of its own for γ and `label-relaxation` any class: theirs is what `smoothed` would have.",
    )  # fmt: skip


def _views(collected: Collected) -> Table:
    named = collected.named()
    rows = tuple(
        Row(
            name,
            (
                words(named(cell.config.dataset)),
                words(named(cell.config.network)),
                count(cell.config.epochs or 0),
                words(named(cell.first.pipeline)),
                words(pairing(cell, collected.cells[collected.references[name]])),
            ),
        )
        for name, cell in collected.cells.items()
    )
    return Table(
        key="pipelines",
        caption="Views",
        columns=("cell", "data set", "network", "epochs", "views in training", "shares with the reference"),
        rows=rows,
        note="By the digests of every seed's draws: whether every step had the same images, in the same "
        "views, and whether the scores are on the same test images and evaluation views.",
    )


def pairing(cell: Cell, reference: Cell) -> str:
    """Which draws a cell shares with its reference, on all seeds that both have."""
    if cell is reference:
        return "is the reference"
    shared = [(run, reference.runs[seed]) for seed, run in cell.runs.items() if seed in reference.runs]
    if not shared:
        return "no seed"

    def same(key: str) -> bool:
        return all(getattr(own.results, key) == getattr(other.results, key) for own, other in shared)

    scored = {"test images": "test_digest", "evaluation views": "evaluation_views_digest"}
    batches = ["batches"] if same("batches_digest") else []
    return ", ".join(["seeds", *batches, *_shared_views(shared), *(what for what, key in scored.items() if same(key))])


def _shared_views(shared: Sequence[tuple[Run, Run]]) -> list[str]:
    """Of the views of training: all, the first few where cells differ in their number, or none."""
    pairs = [[run.results.view_digests for run in pair] for pair in shared]
    counts = {len(list(takewhile(lambda same: same, map(str.__eq__, *pair)))) for pair in pairs}
    most = max(len(digests) for pair in pairs for digests in pair)
    count = min(counts)
    return [] if count == 0 else ["views"] if count == most else [f"the first {count} of {most} views"]


def _tuning(rows: Sequence[Tried]) -> Table:
    return Table(
        key="tuning",
        caption=f"Tuning: every cell chose its {rows[0].setting} from one grid by validation NLL, on separate seeds",
        columns=("trial", "validation NLL", "seeds", "chosen"),
        rows=tuple(
            Row(
                f"{row.cell}, {row.value:g}",
                (number(row.validation_nll, 4), count(row.seeds), words("yes" if row.chosen else "no")),
            )
            for row in rows
        ),
    )
