"""The settings of a pretraining run, and where they come from when they are left open."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace

from auglik.data import DATASETS, Source
from auglik.networks import NETWORKS, canonical_network
from auglik.objectives import InputError
from auglik.pretraining.pair_weights import PAIR_WEIGHTS, PairWeight
from auglik.pretraining.views import PairViews
from auglik.runs.identity import hash_of
from auglik.runs.own_code import identified, own_code
from auglik.runs.resolve import Facts
from auglik.runs.resolve import resolve as resolve_run
from auglik.runs.resolved import ResolvedRun, given
from auglik.runs.resolved import resolved as resolved_run
from auglik.runs.settings import EvaluationConfig, RunConfig, change, get
from auglik.runs.view_settings import ViewConfig
from auglik.settings.fields import Scalar, option
from auglik.settings.groups import Group
from auglik.settings.names import canonical, parse

PRETRAINING_FORMAT = 2
"""Increased whenever the same settings would give other numbers."""
MOST_NEIGHBOURS = 200


@dataclass(frozen=True)
class PretrainConfig:
    """SimSiam on one data set with one seed. Defaults are those of SimSiam on CIFAR-10 and of soft augmentation."""

    dataset: str = option(
        "digits", "Data set by name or path (see `auglik datasets`).", group=Group.DATA, names=DATASETS
    )
    train_images: int | None = option(None, "Train on this many of the training images [all].")
    validation_fraction: float = option(0.1, "Share of the training images held out for validation.")
    split_seed: int = option(0, "Seed of the choice of training and validation images, shared by all runs.")
    network: str | None = option(
        None, "Backbone by name, used without its head [the data set's].", group=Group.NETWORK, names=NETWORKS
    )
    projection: int | None = option(None, "Width of projector and output [4 times the features, at most 2048].")
    bottleneck: int | None = option(None, "Hidden width of the predictor [a quarter of the projection].")
    soften: str = option(
        "none",
        "Weight of a pair by the IoU of its crops, e.g. sa1:k=4:p_min=0.1.",
        group=Group.LABELS,
        names=PAIR_WEIGHTS,
    )
    smallest_crop: float = option(
        0.2, "Smallest area of a crop, as a share of the image; the largest is all of it.", group=Group.VIEWS
    )
    flip: float | None = option(None, "Probability of a horizontal flip [0.5, or 0 where a flip changes the class].")
    jitter: float = option(0.8, "Probability of colour jitter, for images of three channels.")
    jitter_strength: float = option(0.4, "Largest relative change of brightness, contrast and saturation.")
    jitter_hue: float = option(0.1, "Largest shift of the hue, in turns.")
    grey: float = option(0.2, "Probability of greyscale, for images of three channels.")
    epochs: int | None = option(None, "Epochs [the data set's].", group=Group.OPTIMIZATION)
    batch_size: int = option(512, "Images in a step, two views of each.")
    learning_rate: float | None = option(None, "Highest learning rate, falling as a cosine [0.2; 0.1 under sa2].")
    warmup: float = option(0.0, "Share of the steps over which the learning rate rises.")
    momentum: float = option(0.9, "Momentum of SGD.")
    weight_decay: float = option(5e-4, "Weight decay of SGD on all parameters, biases and batch-norm scales too.")
    neighbours: int | None = option(
        None, "Neighbours that vote [200, at most the images of an average class].", group=Group.EVALUATION
    )
    neighbour_temperature: float = option(0.1, "Temperature of the neighbours' votes.")
    probe_every: int = option(1, "Epochs between two looks at the nearest neighbours of validation images.")
    seed: int = option(0, "Seed of weights, batches and views.", group=Group.OPTIMIZATION)
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", group=Group.MACHINE)
    precision: str = option(
        "auto",
        "Of the forward pass; auto is mixed on CUDA, fp32 on a CPU; mixed trains in bf16 and scores in fp32.",
        "auto",
        "fp32",
        "bf16",
        "mixed",
    )

    def __post_init__(self) -> None:
        self.run()
        self.pair_weight()
        for name in ("flip", "jitter", "grey"):
            value = getattr(self, name)
            _check(value is None or 0 <= value <= 1, name, "a probability in [0,1]", value)
        _check(0 < self.smallest_crop <= 1, "smallest_crop", "a share in (0,1]", self.smallest_crop)
        _check(0 <= self.jitter_strength <= 1, "jitter_strength", "a number in [0,1]", self.jitter_strength)
        _check(0 <= self.jitter_hue <= 0.5, "jitter_hue", "turns in [0,0.5]", self.jitter_hue)
        _check(self.batch_size >= 2, "batch_size", "at least 2 images (batch norm compares them)", self.batch_size)
        for name in ("projection", "bottleneck", "neighbours", "probe_every"):
            value = getattr(self, name)
            _check(value is None or value >= 1, name, "an integer >= 1", value)
        _check(
            0 < self.neighbour_temperature < float("inf"),
            "neighbour_temperature",
            "a number > 0",
            self.neighbour_temperature,
        )

    def run(self) -> RunConfig:
        """The settings that pretraining shares with supervised runs, which says how both read, split and step.

        Its two views are not made by these settings: they are left as they are.
        """
        plain = ViewConfig("none", flip=0.0, crop_padding=0, mollify="none", clean_share=1.0)
        known = RunConfig(views=2, view=plain, evaluation=EvaluationConfig(view=plain))
        return change(known, {"nesterov": False, **{name: getattr(self, name) for name in SHARED_SETTINGS}})

    def pair_weight(self) -> PairWeight:
        return parse("soften", self.soften, PAIR_WEIGHTS)

    def flat(self) -> dict[str, Scalar]:
        """Every setting by its name."""
        return dataclasses.asdict(self)


SHARED_SETTINGS = (
    "dataset", "train_images", "validation_fraction", "split_seed", "network", "epochs", "batch_size", "learning_rate",
    "warmup", "momentum", "weight_decay", "seed", "device", "precision",
)  # fmt: skip


def _check(holds: bool, name: str, expected: str, value: object) -> None:
    if not holds:
        raise InputError(f"{name}: expected {expected}, got {value}")


@dataclass(frozen=True, kw_only=True)
class ResolvedPretraining:
    """Made by `resolve` from settings that may be open, by `resolved` from complete ones; pickled as its settings."""

    config: PretrainConfig
    shared: ResolvedRun
    """What it shares with supervised runs."""
    pair_weight: PairWeight
    views: PairViews
    neighbours: int

    def __reduce__(self) -> "tuple[Callable[[PretrainConfig], ResolvedPretraining], tuple[PretrainConfig]]":
        return resolved, (self.config,)


def resolved(config: PretrainConfig) -> ResolvedPretraining:
    """The run of complete settings; no data set is opened. Raises InputError for a setting that is still open.

    The widths of projector and predictor stay open where they follow the network.
    """
    return ResolvedPretraining(
        config=config,
        shared=resolved_run(config.run()),
        pair_weight=config.pair_weight(),
        views=PairViews(
            smallest_crop=config.smallest_crop,
            flip=given("flip", config.flip),
            jitter=config.jitter,
            jitter_strength=config.jitter_strength,
            jitter_hue=config.jitter_hue,
            grey=config.grey,
        ),
        neighbours=given("neighbours", config.neighbours),
    )


def resolve(config: PretrainConfig, source: Source, facts: Facts) -> ResolvedPretraining:
    """The run of `config`, open settings filled in from the data set and the machine, names in their canonical form.

    Raises InputError as a supervised run's settings do, and for more neighbours than training images.
    """
    rate = config.learning_rate if config.learning_rate is not None else config.pair_weight().learning_rate
    shared = resolve_run(replace(config, learning_rate=rate).run(), source, facts)
    images = shared.trained_on(facts.classes)
    if (config.neighbours or 1) > images:
        raise InputError(f"neighbours: expected at most the {images} training images, got {config.neighbours}")
    known = {name: get(shared.config, name) for name in SHARED_SETTINGS}
    run = resolved(
        replace(
            config,
            **{**known, "network": canonical_network(shared.network_name)},  # type: ignore[arg-type]
            soften=canonical("soften", config.soften, PAIR_WEIGHTS),
            flip=config.flip if config.flip is not None else 0.5 * source.traits.flip,
            neighbours=config.neighbours or max(1, min(MOST_NEIGHBOURS, images // facts.classes)),
        )
    )
    run.views.check(facts.shape())
    return run


def settings_hash(run: ResolvedPretraining, data_digest: str) -> str:
    """SHA-256 of all that decides the numbers: the settings, the training data by content, the format."""
    flat = run.config.flat()
    named = identified(flat, own_code(flat, ("network",)))
    return hash_of({**named, "dataset": data_digest, "pretraining_format": PRETRAINING_FORMAT})
