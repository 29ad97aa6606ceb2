"""The papers' figures next to ours, if data set, network and augmentation match, and what else differs."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources

from auglik.report.collect import Cell, Collected
from auglik.report.content import Row, Section, Shown, Table, number, words
from auglik.report.sections.measured import scores_under, suite_of
from auglik.report.sections.scores import over_seeds
from auglik.runs.settings import RunConfig
from auglik.runs.view_settings import ViewConfig
from auglik.scoring.conditions import ALL, MEAN, Score
from auglik.scoring.intervals import summary
from auglik.scoring.metrics import expected_calibration_error
from auglik.settings.names import names

PUBLISHED = "published_results.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A row of the published tables."""

    source: str
    table: str
    network: str
    augmentation: str
    mollification: str
    dataset: str
    split: str
    metric: str
    value: str
    """A number, with `±` and its error where one is given."""
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How the papers trained; None where they don't say."""

    epochs: int
    seeds: int | None
    images: Mapping[str, int]
    batch: int | None
    rotation: float
    """In degrees, of flip, crop and rotation."""
    soft_objective: str
    """Of mollified or softened cells; others are trained with cross-entropy."""


SMALL = {"cifar10": 50_000, "cifar100": 50_000, "tiny-imagenet": 100_000}
PUBLISHED_PROTOCOLS = {
    "heinonen2025": Protocol(
        epochs=300,
        seeds=None,
        images=SMALL,
        batch=128,
        rotation=15.0,
        soft_objective="cross-entropy with smoothed labels",
    ),
    "liu2023": Protocol(
        epochs=500, seeds=3, images=SMALL, batch=None, rotation=0.0, soft_objective="cross-entropy with softened labels"
    ),
}
NETWORKS = {
    "preact_resnet50": "preact-resnet-50",
    "ResNet-18": "resnet-18",
    "ResNet-50": "resnet-50",
    "WideResNet-28": "wide-resnet-28-10",
    "PyramidNet + ShakeDrop": "pyramidnet-272",
    "EfficientNet-B0": "efficientnet-b0",
}
NETWORKS_OF_IMAGENET = {"ResNet-50": "torchvision:resnet50", "ResNet-101": "torchvision:resnet101"}
DATASETS = {"imagenet-1k": "imagenet"}
"""The names here of published data sets that are called otherwise."""
HEINONEN = {
    frozenset(): "none",
    frozenset({"fcr"}): "FCR",
    frozenset({"fcr", "rand-augment"}): "FCR+RandAug",
    frozenset({"fcr", "auto-augment"}): "FCR+AutoAug",
    frozenset({"fcr", "augmix"}): "FCR+AugMix",
    frozenset({"fcr", "trivial-augment"}): "FCR+TrivAug",
    frozenset({"fcr", "mixup"}): "FCR+MixUp",
    frozenset({"fcr", "cutmix"}): "FCR+CutMix",
}
LIU = {
    frozenset({"fcr"}): "baseline",
    frozenset({"fcr", "mixup"}): "mixup",
    frozenset({"fcr", "cutout"}): "cutout",
    frozenset({"fcr", "rand-augment"}): "rand-augment",
    frozenset({"fcr", "soft-crop"}): "soft-augmentation",
    frozenset({"fcr", "rand-augment", "soft-crop"}): "soft-augmentation+rand-augment",
    frozenset({"fcr", "trivial-augment", "soft-crop"}): "soft-augmentation+trivial-augment",
}


def published(collected: Collected) -> Section:
    """A row for every published figure that one of our cells has a counterpart of."""
    rows = [row for cell in collected.cells.values() for row in _of_cell(cell)]
    title = "Against the published figures"
    if not rows:
        return Section("published", title, (f"Nothing published matches: {_ours(collected)}.",), ())
    sentence = (
        "Rows match in data set, network, augmentation and mollification; the last column says what else differs. A "
        "difference between ours and theirs also reflects the protocols."
    )
    columns = ("cell and figure", "published", "ours", "ours minus theirs", "what differs in protocol")
    note = "ECE of Heinonen et al. is averaged over batches of 100 images; so is ours on clean images."
    return Section(
        "published",
        title,
        (sentence,),
        (Table(key="published", caption="Theirs and ours", columns=columns, rows=tuple(rows), note=note),),
    )


def read_published() -> list[Figure]:
    """All figures of the published tables."""
    text = (resources.files("auglik.report") / "data" / PUBLISHED).read_text(encoding="utf-8")
    return [Figure(**row) for row in csv.DictReader(text.splitlines())]


def augmentation_names(config: RunConfig) -> dict[str, str]:
    """What each paper calls the augmentation of these settings; a paper that has no such is left out."""
    items = frozenset(item.partition(":")[0] for item in names(config.view.augment) if item != "none")
    found = {}
    if config.soften == "none" and items in HEINONEN:
        found["heinonen2025"] = HEINONEN[items]
    if (
        items in LIU
        and ("soft-crop" in items) == (config.soften != "none")
        and config.view.mollify == "none"
        and config.view.rotation == 0
    ):
        found["liu2023"] = _regularizer(config) or LIU[items] if items == {"fcr"} else LIU[items]
    return found


def published_item(item: str) -> str:
    """An augmentation as the papers have it."""
    name = item.partition(":")[0]
    return {"auto-augment": "auto-augment:policy=imagenet", "cutout": "cutout:size=8"}.get(name, name)


def _regularizer(config: RunConfig) -> str | None:
    """What Liu et al. 2023, Table 1, calls an objective that regularizes."""
    if config.online_labels < 1:
        return "online-label-smoothing"
    name, _, parameters = config.likelihood.partition(":")
    if name == "focal":
        return f"focal-{parameters.rpartition('=')[2] or '2'}"
    return name if name == "label-smoothing" else None


def mollification_name(config: RunConfig, table: str) -> str:
    """Of a paper's table: by roles in Table 2, else yes or no."""
    roles = set(config.view.mollify.split(",")) - {"none"}
    if not roles:
        return "no"
    named = "+".join(role for role in ("noise", "blur", "both") if role in roles)
    return named if table == "table2" else "yes" if named == "noise+blur" else named


def _of_cell(cell: Cell) -> list[Row]:
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
            rows.append(_row(cell, figure, values))
    return rows


def network_of(figure: Figure) -> str | None:
    """The name here of a figure's network: for images of CIFAR's size ResNets have another stem than for ImageNet's."""
    return (NETWORKS_OF_IMAGENET if figure.dataset in DATASETS else NETWORKS).get(figure.network)


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


def protocol_differences(cell: Cell, figure: Figure) -> list[str]:
    """What our runs did otherwise, one item each; `as published` where nothing that is known differs."""
    config, theirs = cell.config, PUBLISHED_PROTOCOLS[figure.source]
    if figure.dataset in DATASETS:
        theirs = replace(theirs, epochs=270, seeds=None)
    images = cell.first.training_images
    soft = config.view.mollify != "none" or config.soften != "none"
    objective = theirs.soft_objective if soft else "cross-entropy"
    likelihoods = ("smoothed", *(() if soft else ("categorical",)))
    if figure.augmentation == _regularizer(config):  # as its row is called
        likelihoods = (config.likelihood,)
    as_theirs = config.likelihood in likelihoods and config.aggregator == "jensen"
    augmented = [item for item in names(config.view.augment) if item != "none"]
    pairs = [
        ("epochs", config.epochs, theirs.epochs),
        ("training images", images, theirs.images.get(config.dataset, images)),
        ("batch size", config.batch_size, theirs.batch or config.batch_size),
        ("views", config.views, 1),
        ("rotation in degrees", config.view.rotation if "fcr" in augmented else theirs.rotation, theirs.rotation),
        *(("augmentation", item, published_item(item)) for item in augmented),
        *softened_by(config),
        ("mollification", mollified_by(config.view), mollified_by(ViewConfig(mollify=config.view.mollify))),
        ("seeds", len(cell.runs), theirs.seeds or f"not stated, ours {len(cell.runs)}"),
        (
            "objective",
            "theirs" if as_theirs else f"{config.likelihood} + {config.aggregator}",
            "theirs" if as_theirs else objective,
        ),
    ]
    said = [f"{what}: {ours}, theirs {other}" for what, ours, other in pairs if ours != other]
    if figure.split not in ("clean",) and figure.metric == "ece":
        said.append("ECE: over all images, theirs over batches of 100")
    if figure.split not in ("clean",):
        suite = next(iter(cell.runs.values())).measured
        said.append(f"corruptions: {suite.corruptions if suite else None}")
    return said or ["as published"]


def mollified_by(view: ViewConfig) -> str:
    """The schedule of mollified views; empty without any."""
    schedule = view.schedule()
    if not (clean := schedule.shares()[0]) < 1:
        return ""
    law = f"Beta({schedule.alpha:g},{schedule.beta:g})"
    return f"{law}, k {schedule.k_noise:g} and {schedule.k_blur:g}, {clean:.3g} of views clean"


def softened_by(config: RunConfig) -> list[tuple[str, str, str]]:
    """How labels are softened, ours and Liu et al.'s."""
    if config.soften == "none":
        return []
    theirs = ("crop:polynomial:k=2", "crop:polynomial")
    rule = theirs[0] if config.soften in theirs else config.soften
    return [("soften", rule, theirs[0]), ("soften into", config.soften_into, "target")]


def _ours(collected: Collected) -> str:
    found = {f"{c.config.dataset}, {c.config.network}, {c.config.view.augment}" for c in collected.cells.values()}
    return "; ".join(sorted(found))
