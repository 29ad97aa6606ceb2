"""The settings of a run: frozen, checked when made, each with one flat name on the command line and in TOML.

The defaults are the fields' own and are defined nowhere else. A setting that is None depends on the data set or network
until `resolve` fills it in; a run saves its resolved settings.
"""

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from auglik.confidence import MAPS, canonical_rules, map_of_pairs, parse_rules
from auglik.confidence.distributions import ONLINE, UNIFORM
from auglik.confidence.rules import ALL
from auglik.data import DATASETS, canonical_dataset
from auglik.networks import NETWORKS, canonical_network
from auglik.objectives import AGGREGATORS, LIKELIHOODS, InputError, Objective
from auglik.objectives.toward import degrades
from auglik.objectives.view_counts import DrawsViews, check_drawn_views
from auglik.optimization.registry import canonical_optimizer, canonical_schedule
from auglik.optimization.settings import OptimizationConfig
from auglik.runs.adaptive_settings import AdaptiveConfig
from auglik.runs.view_settings import ViewConfig
from auglik.sampling.registry import OF_SAMPLING
from auglik.sampling.settings import SamplingConfig
from auglik.settings.fields import PREFIXES, Scalar, Setting, check_choices, expect, in_type, option, settings_of
from auglik.settings.groups import Group
from auglik.settings.names import nearest
from auglik.settings.objectives import AGGREGATOR_NAMES, LIKELIHOOD_NAMES
from auglik.views.couplings import COUPLINGS, INDEPENDENT
from auglik.views.registry import canonical_augmentations

C = TypeVar("C")
Make = Callable[[type, dict[str, object], tuple[str, ...]], object]
"""Of a dataclass, its values by field and its path in the settings: an instance."""

SOFTENED = ("target", "weight", "both")


@dataclass(frozen=True)
class EvaluationConfig:
    """How every run is scored, however it was trained: one distribution and one draw of evaluation views."""

    views: int = option(64, "Views M of each test image for the augmented marginal log-likelihood.")
    folded_views: int = option(4, "Test views folded as the objective predicts: the first of the M.")
    images: int | None = option(None, "Number of test images to score on, the same for all runs [all].")
    seed: int = option(0, "Seed of the evaluation views (and images), shared by all runs.")
    view: ViewConfig = field(default_factory=ViewConfig)

    def __post_init__(self) -> None:
        if self.view.augmentations()[0] is not None:
            raise InputError(f"evaluation_augment: expected no mixing of test images, got {self.view.augment}")
        if self.view.orbit() is not None:
            raise InputError(f"evaluation_augment: expected views that are drawn, as errors of scores take them to be,"
                             f" got {self.view.augment}")  # fmt: skip
        expect(self.views >= 2, "evaluation_views", "an integer >= 2", self.views)
        expect(1 <= self.folded_views <= self.views, "evaluation_folded_views", f"1..{self.views}", self.folded_views)
        expect(self.images is None or self.images >= 1, "evaluation_images", "an integer >= 1", self.images)
        expect(self.seed >= 0, "evaluation_seed", "an integer >= 0", self.seed)


@dataclass(frozen=True)
class RunConfig:
    """One run: a cell of an ablation with a seed."""

    dataset: str = option(
        "digits", "Data set by name or path (see `auglik datasets`).", group=Group.DATA, names=DATASETS
    )
    train_images: int | None = option(None, "Number of training images to use [all].")
    validation_fraction: float = option(0.1, "Share of the training images held out for validation.")
    split_seed: int = option(0, "Seed of the choice of training and validation images, shared by all runs.")
    network: str | None = option(
        None, "Network by name, e.g. small-cnn:width=16 [the data set's].", group=Group.NETWORK, names=NETWORKS
    )
    likelihood: str = option(
        "smoothed", "Likelihood by name (see `auglik objectives`).", group=Group.OBJECTIVE, names=LIKELIHOODS
    )
    aggregator: str = option(
        "jensen", "Aggregator by name, e.g. geometric:T=2 (see `auglik objectives`).", names=AGGREGATORS
    )
    views: int = option(4, "Views K of each image per step.", group=Group.VIEWS)
    coupling: str = option(
        INDEPENDENT,
        "How views of an image depend on each other: not, or so that roles and temperatures (under sobol flips, crops"
        " and rotations too) cover their distributions more evenly.",
        INDEPENDENT,
        *COUPLINGS,
    )
    adaptive: AdaptiveConfig = field(default_factory=AdaptiveConfig)
    epochs: int | None = option(None, "Epochs [the data set's].", group=Group.OPTIMIZATION)
    batch_size: int = option(128, "Images per step; under --budget views, views per step.")
    budget: str = option(
        "images", "Images per step: batch-size, at K times the cost of one view, or batch-size/K.", "images", "views"
    )
    optimization: OptimizationConfig = field(default_factory=OptimizationConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = option(0, "Seed of weights, batches and views.")
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", group=Group.MACHINE)
    precision: str = option(
        "auto",
        "Of the forward pass; auto is mixed on CUDA and fp32 on a CPU; mixed trains in bf16 and scores in fp32.",
        "auto",
        "fp32",
        "bf16",
        "mixed",
    )
    deterministic: bool = option(
        False, "On CUDA, use only kernels that give the same numbers every time, even if slower; CPU runs do anyway."
    )
    cuda_graphs: bool = option(
        True, "On CUDA, record a step's kernels once and repeat them: faster, and the same numbers to rounding."
    )
    batch_norm: str = option("global", "Batch norm over a step, or a process's share of it.", "global", "local")
    compile: bool = option(False, "Compile network, objective and augmentation with torch.compile.")
    soften: str = option(
        "none",
        "Label confidence by operation, comma-separated: OPERATION:MAP, e.g. crop:polynomial:k=2; or none.",
        group=Group.LABELS,
        names=("none", *(f"{ALL}:{name}" for name in MAPS)),
    )
    soften_into: str = option("target", "What that confidence changes: the target, the weight or both.", *SOFTENED)
    compose: str = option(
        "kept",
        "How operations on one view go together: the label masses that they keep multiply or, as published, p does; the"
        " smallest mass counts; or what was measured of pairs of them.",
        "kept",
        "published",
        "minimum",
        "measured",
    )
    degrade_toward: str = option(
        UNIFORM,
        "What a label degrades toward: uniform; a .csv or .npy file of a distribution for each class, as `auglik"
        " confusions` writes it; or online, what the network takes validation images of the class for.",
    )
    online_labels: float = option(
        1.0, "Online label smoothing: the share of the hard label, 0.5 as published; 1 turns it off."
    )
    broadcast_weights: bool = option(
        False, "Give every view of a step the step's mean weight, as the published code does by broadcasting."
    )
    view: ViewConfig = field(default_factory=ViewConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig, metadata={"group": Group.EVALUATION})

    def __post_init__(self) -> None:
        check_choices(self)
        expect(
            self.train_images is None or self.train_images >= 1, "train_images", "an integer >= 1", self.train_images
        )
        expect(0 <= self.validation_fraction < 1, "validation_fraction", "a share in [0,1)", self.validation_fraction)
        expect(self.views >= 1, "views", "an integer >= 1", self.views)
        expect(self.epochs is None or self.epochs >= 1, "epochs", "an integer >= 1", self.epochs)
        expect(self.batch_size >= 1, "batch_size", "an integer >= 1", self.batch_size)
        expect(0 <= self.online_labels <= 1, "online_labels", "a share in [0,1]", self.online_labels)
        expect(self.seed >= 0, "seed", "an integer >= 0", self.seed)
        expect(self.split_seed >= 0, "split_seed", "an integer >= 0", self.split_seed)
        if self.budget == "views" and self.batch_size % self.views:
            raise InputError(
                f"budget views: expected a batch size divisible by {self.views} views, got {self.batch_size}:"
                " a step takes batch-size/K images"
            )
        objective = self.objective()
        objective.check_trains()
        objective.check_view_count(self.views)
        weighted = self.soften != "none" and self.soften_into != "target"
        check_drawn_views(objective.aggregator, self.views, weighted=weighted, compiled=self.compile)
        self._check_orbit(objective)
        self._check_labels(objective)
        several = self.adaptive.mean_views is not None
        self.adaptive.check_beside(
            objective, self.views,
            aggregator=self.aggregator, mollified=self.view.schedule().clean < 1,
            chain=self.sampling.sampler() is not None,
            others={"an orbit": self.view.orbit() is not None, "online_labels": self.online_labels < 1,
                    "compile": several and self.compile, "budget views": several and self.budget == "views"},
        )  # fmt: skip

    def _check_orbit(self, objective: Objective) -> None:
        """Checks that all views of an orbit are seen, each once."""
        if (orbit := self.view.orbit()) is None:
            return
        if self.views != orbit.size:
            raise InputError(f"views: expected {orbit.size}, all views of {self.view.augment}, got {self.views}")
        if self.coupling != INDEPENDENT:
            raise InputError(f"coupling: expected {INDEPENDENT} with {self.view.augment}, got {self.coupling}:"
                             " its views are not drawn")  # fmt: skip
        if isinstance(objective.aggregator, DrawsViews):
            raise InputError(f"aggregator: expected one of all views with {self.view.augment}, got {self.aggregator},"
                             " which draws how many an image has")  # fmt: skip

    def _check_labels(self, objective: Objective) -> None:
        """Checks that the objective can be trained with the labels of the views."""
        rules, (mixing, _) = parse_rules(self.soften), self.view.augmentations()
        if mixing is not None and not objective.likelihood.soft_labels:
            raise InputError(
                f"{self.likelihood} needs one-hot labels, but {type(mixing).__name__} mixes two: its constants depend"
                " on the label; train without mixing, or use smoothed"
            )
        if self.compose == "measured" and rules:
            map_of_pairs(rules)
        if self.degrade_toward != UNIFORM and not degrades(objective.likelihood):
            raise InputError(f"degrade_toward: {self.likelihood} spreads no label mass over classes; smoothed does")
        if self.degrade_toward == ONLINE and not self.validation_fraction:
            raise InputError(f"degrade_toward {ONLINE}: needs validation images, got none: set validation_fraction=0.1")
        if self.degrade_toward == ONLINE and self.sampling.sampler() is not None:
            raise InputError(f"degrade_toward {ONLINE}: needs a point estimate, as a chain has one density")
        if self.online_labels < 1 and (mixing is not None or not objective.likelihood.soft_labels):
            reason = "mixed images have no class" if mixing is not None else f"{self.likelihood} needs one-hot labels"
            raise InputError(f"online_labels: needs images of a single class and soft labels, but {reason}")
        if rules and self.soften_into != "weight" and objective.likelihood.schedule is not None:
            raise InputError(
                f"{self.likelihood} normalizes over the decay of mollification alone: --soften would change decay too;"
                " use --soften-into weight, or smoothed-normalized"
            )

    def objective(self) -> Objective:
        """The named objective, with the schedule of the run's own mollification."""
        likelihood = LIKELIHOOD_NAMES.parse(self.likelihood)
        if likelihood.schedule is not None:
            likelihood = replace(likelihood, schedule=self.view.schedule())  # type: ignore[type-var]
        return Objective(likelihood, AGGREGATOR_NAMES.parse(self.aggregator))

    def images_per_step(self) -> int:
        return self.batch_size if self.budget == "images" else self.batch_size // self.views


SETTINGS: dict[str, Setting] = {setting.key: setting for setting in settings_of(RunConfig)}


def get(config: RunConfig, key: str) -> Scalar:
    """The value of a setting by its flat name."""
    value: object = config
    for name in SETTINGS[key].path:
        value = getattr(value, name)
    return typing.cast(Scalar, value)


def flatten(config: RunConfig) -> dict[str, Scalar]:
    """Every setting by its flat name, in the order of the fields."""
    return {key: get(config, key) for key in SETTINGS}


def change(config: RunConfig, changes: Mapping[str, object]) -> RunConfig:
    """`config` with settings replaced by flat name, checked once after all changes.

    Raises InputError for an unknown name, and for a value of the wrong type or out of range.
    """
    flat: dict[str, object] = {**flatten(config)}
    for key, value in changes.items():
        flat[key] = coerced(key, value)
    return nested(RunConfig, flat, _checked)


def nested(config: type[C], flat: Mapping[str, object], make: Make, path: tuple[str, ...] = ()) -> C:
    """The dataclass of the settings at and below `path`, from all settings by flat name."""
    values = {setting.path[-1]: flat[key] for key, setting in SETTINGS.items() if setting.path[:-1] == path}
    for item in fields(config):  # type: ignore[arg-type]
        if item.name not in values:
            values[item.name] = nested(typing.cast(type, item.type), flat, make, (*path, item.name))
    return typing.cast(C, make(config, values, path))


def _checked(config: type, values: dict[str, object], path: tuple[str, ...]) -> object:
    """What the dataclass makes of them; its errors name settings by their flat names."""
    try:
        return config(**values)
    except InputError as error:
        if (prefix := "".join(PREFIXES[name] for name in path)) and str(error).partition(" ")[0].rstrip(":") in values:
            raise InputError(f"{prefix}{error}") from None
        raise


def coerced(key: str, value: object) -> Scalar:
    """`value` in the setting's own type, names in their canonical form. Raises InputError as `change` does."""
    value = typed(key, value)
    return CANONICAL[key](value) if key in CANONICAL and isinstance(value, str) else value


def typed(key: str, value: object) -> Scalar:
    """`value` in the setting's own type. Raises InputError for an unknown name, and for a value of another type."""
    if key not in SETTINGS:
        raise InputError(f"unknown setting {key!r}{nearest(key, SETTINGS)}")
    return in_type(SETTINGS[key], value)


CANONICAL: dict[str, Callable[[str], str]] = {
    "likelihood": LIKELIHOOD_NAMES.canonical,
    "aggregator": AGGREGATOR_NAMES.canonical,
    "dataset": canonical_dataset,
    "network": canonical_network,
    "optimizer": canonical_optimizer,
    "rate_schedule": canonical_schedule,
    **OF_SAMPLING,
    "augment": canonical_augmentations,
    "evaluation_augment": canonical_augmentations,
    "soften": lambda text: canonical_rules(text) or "none",
}
"""The canonical form of settings that are names with parameters, so that equal settings are equal text."""
