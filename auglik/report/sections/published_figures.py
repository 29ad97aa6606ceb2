"""The figures that the papers published, and what of our settings each of them is of."""

import csv
from dataclasses import dataclass
from importlib import resources

from auglik.runs.settings import RunConfig
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
ONLINE_SMOOTHED = "online-label-smoothing"
HEINONEN: dict[tuple[str, ...], str] = {
    (): "none",
    ("fcr",): "FCR",
    ("fcr", "rand-augment"): "FCR+RandAug",
    ("auto-augment", "fcr"): "FCR+AutoAug",
    ("augmix", "fcr"): "FCR+AugMix",
    ("fcr", "trivial-augment"): "FCR+TrivAug",
    ("fcr", "mixup"): "FCR+MixUp",
    ("cutmix", "fcr"): "FCR+CutMix",
}
"""By sorted names, as the papers say no order: one that is named twice is another augmentation."""
LIU: dict[tuple[str, ...], str] = {
    ("fcr",): "baseline",
    ("fcr", "mixup"): "mixup",
    ("cutout", "fcr"): "cutout",
    ("fcr", "rand-augment"): "rand-augment",
    ("fcr", "soft-crop"): "soft-augmentation",
    ("fcr", "rand-augment", "soft-crop"): "soft-augmentation+rand-augment",
    ("fcr", "soft-crop", "trivial-augment"): "soft-augmentation+trivial-augment",
}


def read_published() -> list[Figure]:
    """All figures of the published tables."""
    text = (resources.files("auglik.report") / "data" / PUBLISHED).read_text(encoding="utf-8")
    return [Figure(**row) for row in csv.DictReader(text.splitlines())]


def augmentation_names(config: RunConfig) -> dict[str, str]:
    """What each paper calls the augmentation of these settings; a paper that has no such is left out."""
    items = tuple(sorted(item.partition(":")[0] for item in augmented(config)))
    found = {}
    if config.soften == "none" and items in HEINONEN:
        found["heinonen2025"] = HEINONEN[items]
    if (
        items in LIU
        and ("soft-crop" in items) == (config.soften != "none")
        and config.view.mollify == "none"
        and config.view.rotation == 0
    ):
        found["liu2023"] = regularizer(config) or LIU[items] if items == ("fcr",) else LIU[items]
    return found


def augmented(config: RunConfig) -> list[str]:
    """The augmentations of a run, with their parameters."""
    return [item for item in names(config.view.augment) if item != "none"]


def regularizer(config: RunConfig) -> str | None:
    """What Liu et al. 2023, Table 1, calls an objective that regularizes."""
    if config.online_labels < 1:
        return ONLINE_SMOOTHED
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


def network_of(figure: Figure) -> str | None:
    """The name here of a figure's network: for images of CIFAR's size ResNets have another stem than for ImageNet's."""
    return (NETWORKS_OF_IMAGENET if figure.dataset in DATASETS else NETWORKS).get(figure.network)
