"""How the papers trained, and what our runs did otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from auglik.confidence.distributions import UNIFORM
from auglik.report.collect import Cell
from auglik.report.sections.published_figures import DATASETS, ONLINE_SMOOTHED, Figure, augmented, regularizer
from auglik.runs.settings import RunConfig, get
from auglik.runs.view_settings import ViewConfig
from auglik.sampling.registry import POINT
from auglik.settings.fields import Scalar
from auglik.views.couplings import INDEPENDENT
from auglik.views.proposal import NO_PROPOSAL


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How the papers trained."""

    settings: Mapping[str, Scalar]
    """Those of TRAINING and CROPPED that are stated, by flat name."""
    precisions: tuple[str, ...]
    """Any of these; all where none is stated."""
    seeds: int | None
    """None where it is not stated."""
    images: Mapping[str, int]
    soft_objective: str
    """Of mollified or softened cells; others are trained with cross-entropy."""


TRAINING = {
    "epochs": "epochs",
    "batch_size": "batch size",
    "optimizer": "optimizer",
    "learning_rate": "learning rate",
    "rate_schedule": "rate schedule",
    "warmup": "warm-up",
    "momentum": "momentum",
    "nesterov": "Nesterov momentum",
    "weight_decay": "weight decay",
}
CROPPED = {"flip": "flip", "crop_padding": "crop padding", "rotation": "rotation in degrees"}
"""What flip, crop and rotation do."""
NEITHER_HAS: Mapping[str, tuple[str, Scalar]] = {
    "views": ("views", 1),
    "inference": ("inference", POINT),
    "weights": ("weights to start from", None),
    "gradient_clip": ("gradient clip", None),
    "average": ("average of weights", None),
    "coupling": ("coupling of views", INDEPENDENT),
    "proposal": ("proposal", NO_PROPOSAL),
    "degrade_toward": ("labels degrade toward", UNIFORM),
}
"""What no published figure is of, by flat name, with what stands for that."""
SMALL = {"cifar10": 50_000, "cifar100": 50_000, "tiny-imagenet": 100_000}
IMAGENET = 1_281_167
TESTED = {"cifar10": 10_000, "cifar100": 10_000, "tiny-imagenet": 10_000, "imagenet": 50_000}
PUBLISHED_PROTOCOLS = {
    "heinonen2025": Protocol(
        settings={
            "epochs": 300, "batch_size": 128, "optimizer": "sgd", "learning_rate": 0.01, "rate_schedule": "cosine",
            "momentum": 0.9, "weight_decay": 5e-4, "flip": 0.5, "crop_padding": 4, "rotation": 15.0,
        },
        precisions=("bf16", "mixed"),
        seeds=None,
        images=SMALL,
        soft_objective="cross-entropy with smoothed labels",
    ),
    "liu2023": Protocol(
        settings={"epochs": 500, "rate_schedule": "cosine", "crop_padding": 4, "rotation": 0.0},
        precisions=(),
        seeds=3,
        images={**SMALL, "imagenet": IMAGENET},
        soft_objective="cross-entropy with softened labels",
    ),
}  # fmt: skip


def not_stated(source: str) -> str:
    """The settings of a paper's training that are not known."""
    theirs = PUBLISHED_PROTOCOLS[source]
    found = [label for key, label in {**TRAINING, **CROPPED}.items() if key not in theirs.settings]
    if not theirs.precisions:
        found.append("precision")
    if source == "liu2023":
        found += ["level of label smoothing", "parameters of augmentations but its crop"]
    found.append("seeds" if theirs.seeds is None else "seeds of ImageNet")
    return ", ".join([*found, "order of augmentations"])


def protocol_differences(cell: Cell, figure: Figure) -> list[str]:
    """What our runs did otherwise, one item each; `as published` where nothing that is stated differs."""
    config, theirs = cell.config, PUBLISHED_PROTOCOLS[figure.source]
    if figure.dataset in DATASETS:
        theirs = replace(theirs, settings={**theirs.settings, "epochs": 270}, seeds=None)
    images = cell.first.training_images
    tested = len(next(iter(cell.runs.values())).predictions.labels)
    online = 0.5 if figure.augmentation == ONLINE_SMOOTHED else 1.0
    pairs = [
        *trained_by(config, theirs),
        ("training images", images, theirs.images.get(config.dataset, images)),
        ("test images", tested, TESTED.get(config.dataset, tested) if figure.split == "clean" else tested),
        *cropped_by(config, theirs),
        *(("augmentation", item, published_item(item, figure.source)) for item in augmented(config)),
        *softened_by(config),
        ("mollification", mollified_by(config.view), mollified_by(ViewConfig(mollify=config.view.mollify))),
        ("share of hard labels", config.online_labels, online),
        *((label, get(config, key), usual) for key, (label, usual) in NEITHER_HAS.items()),
        ("seeds", len(cell.runs), theirs.seeds or len(cell.runs)),
        ("objective", *objectives(config, figure, theirs)),
    ]
    said = [f"{what}: {_shown(ours)}, theirs {_shown(other)}" for what, ours, other in pairs if ours != other]
    if figure.split != "clean":
        if figure.metric == "ece":
            said.append("ECE: over all images, theirs over batches of 100")
        suite = next(iter(cell.runs.values())).measured
        said.append(f"corruptions: {suite.corruptions if suite else None}")
    return said or ["as published"]


def trained_by(config: RunConfig, theirs: Protocol) -> list[tuple[str, Scalar, Scalar]]:
    """How weights move, ours and theirs; nothing of a chain but its epochs and batches."""
    known = dict(theirs.settings)
    if config.sampling.sampler() is not None:
        known = {key: value for key, value in known.items() if key in ("epochs", "batch_size")}
    elif config.optimization.optimizer != known.get("optimizer", config.optimization.optimizer):
        known.pop("momentum", None)  # which belongs to theirs
    pairs = [(label, get(config, key), known[key]) for key, label in TRAINING.items() if key in known]
    if theirs.precisions and config.precision not in theirs.precisions:
        pairs.append(("precision", config.precision, " or ".join(theirs.precisions)))
    return pairs


def cropped_by(config: RunConfig, theirs: Protocol) -> list[tuple[str, Scalar, Scalar]]:
    """What flip, crop and rotation do, ours and theirs; soft-crop takes the place of their crop."""
    items = [item.partition(":")[0] for item in augmented(config)]
    if "fcr" not in items:
        return []
    known = {**theirs.settings, **({"crop_padding": 0} if "soft-crop" in items else {})}
    return [(label, get(config, key), known[key]) for key, label in CROPPED.items() if key in known]


def published_item(item: str, source: str) -> str:
    """An augmentation as a paper has it: torchvision's defaults in one, in the other stated of its own crop alone."""
    name = item.partition(":")[0]
    known = {"auto-augment": "auto-augment:policy=imagenet", "cutout": "cutout:size=8"}.get(name, name)
    stated = source == "heinonen2025" or name in ("fcr", "soft-crop")
    return known if stated or item == known else "not stated"


def objectives(config: RunConfig, figure: Figure, theirs: Protocol) -> tuple[str, str]:
    """Ours and theirs; equal where their objective goes by several names here."""
    soft = config.view.mollify != "none" or config.soften != "none"
    likelihoods = ("smoothed", *(() if soft else ("categorical",)))
    objective = theirs.soft_objective if soft else "cross-entropy"
    if figure.augmentation == regularizer(config) != ONLINE_SMOOTHED:  # as its row is called
        likelihoods, objective = (config.likelihood,), figure.augmentation
    if config.likelihood in likelihoods and config.aggregator == "jensen":
        return objective, objective
    return f"{config.likelihood} + {config.aggregator}", objective


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


def _shown(value: Scalar) -> str:
    return "none" if value is None else str(value)
