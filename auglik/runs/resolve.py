"""From settings to what training needs: the data on the device, and the settings that depend on it."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.confidence import Compose, MapOfImages, Rules, check_rules, decay_of
from auglik.confidence.distributions import ONLINE, UNIFORM, check_classes, read_distributions
from auglik.data import (
    Arrays,
    ClassNames,
    LazyArrays,
    Source,
    absent_classes,
    by_number,
    channel_statistics,
    digest,
    first_rows,
    least_images,
    open_dataset,
    opened,
    some,
    split_rows,
    take,
)
from auglik.networks import build_network, check_images, find_network
from auglik.networks.weights import begin_from
from auglik.objectives import InputError, Objective
from auglik.objectives.probes import check_degrading
from auglik.objectives.toward import degrading
from auglik.runs.demands import check_memory
from auglik.runs.resolved import ResolvedRun, ViewDistribution, resolved
from auglik.runs.settings import RunConfig
from auglik.runs.view_settings import ViewConfig
from auglik.sampling.settings import SHARED
from auglik.system.compiling import check_compiler
from auglik.system.devices import choose_device, choose_precision, send
from auglik.system.notices import say_once
from auglik.views import Gallery, Pipeline, Shape, Softening

CROP_PADDING = 4
"""The papers' padding of the random crop; images smaller than theirs (28 pixels) get an eighth of their side."""

COMPOSED: dict[Compose, str] = {
    "kept": "", "published": ", p multiplied as published", "minimum": ", the smallest mass kept",
    "measured": ", measured of pairs",
}  # fmt: skip

OF_CHAINS, ANY_OF_CHAINS = {"small-cnn": "small-cnn:norm=frn"}, "resnet-20-frn"
"""The networks that are sampled by default, by those that are trained by default: without batch statistics."""


class Facts(NamedTuple):
    """What the plan of a run needs to know about its data; it reads no test image."""

    digest: str
    images: int
    channels: int
    height: int
    width: int
    classes: int
    class_names: ClassNames
    least_images: int
    """The smallest number of training images that is certain to keep every class."""

    def shape(self) -> Shape:
        """Of one image."""
        return Shape(self.channels, self.height, self.width)


class Split(NamedTuple):
    """Images, on the device or streamed to it, with their labels [N] on the device."""

    gallery: Gallery
    labels: Tensor


class TrainingData(NamedTuple):
    """The training and validation images of a run, standardized by the training images' statistics."""

    training: Split
    validation: Split
    classes: int
    mean: list[float]
    std: list[float]
    class_names: ClassNames
    validation_indices: NDArray[np.int64]
    """The validation images' positions in the data set's training part [V]."""
    rows: NDArray[np.int64] | None = None
    """Likewise the training images' [N]; None where they are images of no data set."""


def read_facts(source: Source) -> Facts:
    """Reads the training images and checks the test set as far as possible without its images."""
    source.check()
    arrays = opened(source, "train")
    N, c, H, W = arrays.images.shape
    if absent := absent_classes(source.class_names or by_number(source.classes), arrays.labels):
        raise InputError(f"{source.name} (train): expected images of every class, got none of {some(absent)}")
    return Facts(
        digest=digest(arrays), images=N, channels=c, height=H, width=W, classes=source.classes,
        class_names=source.class_names, least_images=least_images(arrays.labels),
    )  # fmt: skip


def resolve(config: RunConfig, source: Source, facts: Facts) -> ResolvedRun:
    """The run of `config`, every open setting filled in from the data set, the network and the machine.

    Raises InputError for more training images than there are, for validation images where each class has one image, for
    a device that this machine lacks, for images that cannot be augmented or that the network does not take, and if
    memory is too small.
    """
    sampled = config.sampling.sampler() is not None
    default = OF_CHAINS.get(source.traits.network, ANY_OF_CHAINS) if sampled else source.traits.network
    network = config.network if config.network is not None else default
    entry = find_network(network)
    if config.train_images is not None and config.train_images > facts.images:
        raise InputError(
            f"train_images: expected at most the {facts.images} of {source.name}, got {config.train_images}"
        )
    if config.train_images is not None and config.train_images < facts.least_images:
        raise InputError(
            f"train_images: expected at least {facts.least_images}, so that each of the {facts.classes} classes of"
            f" {source.name} keeps an image, got {config.train_images}"
        )
    images = config.train_images if config.train_images is not None else facts.images
    if config.validation_fraction and images == facts.classes:
        raise InputError(
            f"validation_fraction: expected a class of two images or more to hold some out, got {images} images of"
            f" {source.name}, one of each class: give --validation-fraction 0"
        )
    config.sampling.check_beside(config.optimization, config.online_labels)
    shape, flip = facts.shape(), 0.5 * source.traits.flip
    device = choose_device(config.device)
    if config.compile:
        check_compiler(device)
    known = replace(
        config,
        network=network,
        epochs=config.epochs if config.epochs is not None else source.traits.epochs,
        optimization=config.optimization.resolved(entry, SHARED if sampled else None),
        train_images=images,
        device=str(device),
        precision=choose_precision(config.precision, device),
        view=resolve_view(config.view, shape, flip),
        evaluation=replace(config.evaluation, view=resolve_view(config.evaluation.view, shape, flip)),
    )
    run = resolved(known)
    _check_views(run, facts)
    if sampled:
        _say_batch_norm(run, facts)
    check_memory(run, facts.shape(), facts.classes)
    check_images(network, *facts.shape(), config.images_per_step() * config.views)
    if run.config.optimization.weights is not None:
        set_weights(run, initial_network(run, facts.channels, facts.classes))
    return run


def initial_network(run: ResolvedRun, channels: int, classes: int) -> nn.Module:
    """The run's network on the CPU at the initial weights of its seed."""
    outputs = classes + run.objective.likelihood.extra_outputs
    return build_network(run.network, channels, classes, outputs, run.config.seed)


def set_weights(run: ResolvedRun, network: nn.Module) -> None:
    """Loads the weights of the run's file, if it names one. Raises InputError as `begin_from` does."""
    chosen = run.config.optimization
    if chosen.weights is not None:
        begin_from(network, chosen.weights, chosen.weights_digest, chosen.weights_head)


def resolve_view(view: ViewConfig, shape: Shape, flip: float) -> ViewConfig:
    """The views of images of one shape, flipped with probability `flip` if the settings leave it open."""
    side = min(shape.height, shape.width)
    padding = CROP_PADDING if side >= 28 else max(1, side // 8)
    return replace(
        view,
        flip=view.flip if view.flip is not None else flip,
        crop_padding=view.crop_padding if view.crop_padding is not None else padding,
        clean_share=view.schedule().shares()[0],
    )


def open_source(config: RunConfig, data_dir: Path, download: bool = False) -> Source:
    """The data set that the settings name."""
    return open_dataset(config.dataset, data_dir, download)


def load_training(run: ResolvedRun, source: Source, arrays: Arrays | LazyArrays | None = None) -> TrainingData:
    """The run's training and validation images on its device; `arrays`, the set's training part if it is open."""
    arrays = opened(source, "train") if arrays is None else arrays
    rows = rows_of(run, arrays.labels)
    training, validation = (take(arrays, part) for part in rows)
    mean, std = channel_statistics(training.images)
    return TrainingData(
        training=on_device(training, mean, std, run.device),
        validation=on_device(validation, mean, std, run.device),
        classes=source.classes,
        mean=mean,
        std=std,
        validation_indices=rows[1],
        rows=rows[0],
        class_names=source.class_names,
    )


def rows_of(run: ResolvedRun, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions of the run's training and validation images among those with these labels [N]."""
    rows, config = np.arange(len(labels)), run.config
    if run.train_images != len(rows):
        rows = first_rows(labels, run.train_images, config.split_seed)
    training, validation = split_rows(labels[rows], config.validation_fraction, config.split_seed)
    return rows[training], rows[validation]


def on_device(arrays: Arrays | LazyArrays, mean: list[float], std: list[float], device: torch.device) -> Split:
    """Labels on the device, and images too if they fit."""
    return Split(Gallery.pack(arrays.images, mean, std, device), send(arrays.labels, device))


def pipeline_of(view: ViewConfig, shape: Shape, softening: Softening | None = None) -> Pipeline:
    """The distribution of views that resolved settings give images of one shape."""
    return ViewDistribution.of(view).pipeline(shape, softening)


def training_pipeline(run: ResolvedRun, shape: Shape, classes: int, rows: NDArray[np.int64] | None = None) -> Pipeline:
    """The views that a run trains on, with the softening of their labels.

    `rows` [N] are its images, as `TrainingData` has them; without them, maps that tell images apart can't be drawn.
    """
    return run.training_views.pipeline(shape, softening_of(run.config, run.rules, classes, rows))


def softening_of(
    config: RunConfig, rules: Rules, classes: int, rows: NDArray[np.int64] | None = None
) -> Softening | None:
    """How labels are softened by `rules`, those of the settings; None if there are none."""
    if not rules:
        return None
    compose = cast(Compose, config.compose)
    decay = partial(decay_of, rules=rules, classes=classes, compose=compose, rows=rows)
    into = config.soften_into
    composed = COMPOSED[compose]
    text = f"softening of {'target and weight' if into == 'both' else into} ({config.soften}{composed})"
    return Softening(
        decay=decay, classes=classes, target=into in ("target", "both"), weight=into in ("weight", "both"), text=text
    )


def _say_batch_norm(run: ResolvedRun, facts: Facts) -> None:
    """Warns of sampling a network in which images of a batch meet."""
    network = initial_network(run, facts.channels, facts.classes)
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        say_once(
            f"{run.network_name} has batch norm: an image's likelihood then depends on the others of its batch, so that"
            " the draws are of no posterior; small-cnn:norm=frn and resnet-20-frn have none"
        )


def _check_views(run: ResolvedRun, facts: Facts) -> None:
    """Raises InputError for images that an augmentation cannot transform, and for rules that do not fit."""
    shape = facts.shape()
    for step in run.training_views.steps:
        step.augmentation.check(shape)
    check_evaluation(run, shape)
    if run.rules:
        check_rules(run.rules, run.training_views.pipeline(shape).operations(), facts.class_names)
        for rule in run.rules:
            if isinstance(rule.map, MapOfImages):
                rule.map.check_images(facts.digest)
    if run.config.degrade_toward != UNIFORM:
        check_degrading(run.objective.likelihood, f"degrade_toward: {run.config.likelihood}")
    if run.config.degrade_toward not in (UNIFORM, ONLINE):
        path = Path(run.config.degrade_toward)
        check_classes(path, read_distributions(path), facts.class_names, softened=bool(run.rules))


def training_objective(run: ResolvedRun, classes: int) -> Objective:
    """The run's objective, its labels degrading toward the distributions that the settings name, on its device."""
    objective, toward = run.objective, run.config.degrade_toward
    if toward != UNIFORM:
        uniform = torch.full((classes, classes), 1 / classes, dtype=torch.float64)
        pi = uniform if toward == ONLINE else read_distributions(Path(toward)).pi
        objective = replace(objective, likelihood=degrading(objective.likelihood, pi))
    return objective.to(run.device)


def check_evaluation(run: ResolvedRun, shape: Shape) -> None:
    """Raises InputError for images that a run cannot be evaluated on."""
    for step in run.evaluation_views.steps:
        step.augmentation.check(shape)
    check_images(run.network_name, *shape, 2)
