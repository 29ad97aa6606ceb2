"""A run with every setting known and its texts parsed: what training, scoring and counting take."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from auglik.confidence import Rules, parse_rules, rules_identity
from auglik.confidence.distributions import ONLINE, UNIFORM, digest_of
from auglik.networks import Network, find_network
from auglik.objectives import InputError, Objective
from auglik.objectives.view_counts import mean_views
from auglik.optimization.contract import Optimizer, RateSchedule
from auglik.optimization.registry import find_optimizer, find_schedule
from auglik.runs.identity import RESULT_FORMAT, hash_of, identity_of
from auglik.runs.own_code import SOURCES, identified, own_code
from auglik.runs.settings import RunConfig, change, get
from auglik.runs.view_settings import ViewConfig
from auglik.sampling.contract import Prior, Sampler
from auglik.system.devices import available_cores
from auglik.system.process import process_state
from auglik.views import Mollification, Pipeline, Shape, Softening, Step
from auglik.views.couplings import COUPLINGS, INDEPENDENT, Coupling
from auglik.views.mixing.contract import Mixing

T = TypeVar("T")


class ViewDistribution(NamedTuple):
    """The steps of a view, for images of any shape."""

    mixing: Mixing | None
    steps: tuple[Step, ...]
    mollification: Mollification
    coupling: Coupling | None = None
    following: tuple[str, ...] = ()
    """What of it follows earlier views, in words."""

    @classmethod
    def of(cls, view: ViewConfig, coupling: str = INDEPENDENT, following: tuple[str, ...] = ()) -> "ViewDistribution":
        return cls(*view.augmentations(), Mollification(view.schedule()), COUPLINGS.get(coupling), following)

    def pipeline(self, shape: Shape, softening: Softening | None = None) -> Pipeline:
        """The views of images of that shape."""
        return Pipeline(
            shape, self.steps, self.mollification, self.mixing,
            softening=softening, coupling=self.coupling, following=self.following,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ResolvedRun:
    """Made by `resolve` from settings that may be open, by `resolved` from complete ones.

    It is pickled as its settings, which are parsed again on loading.
    """

    config: RunConfig
    """All settings as text and numbers: the run's identity."""
    train_images: int
    """Including those held out for validation."""
    epochs: int
    learning_rate: float
    warmup: float
    rate_schedule: RateSchedule
    optimizer: Optimizer
    sampler: Sampler | None
    """None for the optimizer's point estimate; else the optimizer and its settings have no part."""
    prior: Prior
    momentum: float
    """This and nesterov are 0 and False if the optimizer does not take them."""
    nesterov: bool
    weight_decay: float
    network_name: str
    device: torch.device
    precision: str
    """fp32, bf16 or mixed."""
    objective: Objective
    training_views: ViewDistribution
    evaluation_views: ViewDistribution
    rules: Rules
    """The rules by which operations soften labels."""

    @cached_property
    def network(self) -> Network:
        """Looked up when first needed: its library need not be installed to read about a run."""
        return find_network(self.network_name)

    def trained_on(self, classes: int) -> int:
        """The training images, not counting those held out for validation, of a data set with so many classes."""
        return trained_on(self.train_images, self.config.validation_fraction, classes)

    def mean_views(self) -> float:
        """Views of an image in a step, on average."""
        return self.config.adaptive.mean_views or mean_views(self.objective.aggregator, self.config.views)

    def is_small(self) -> bool:
        """Whether several runs at a time, of one thread each, are faster than one run with all threads."""
        return self.network.small and self.device.type == "cpu"

    def change(self, **settings: object) -> "ResolvedRun":
        """The run with settings replaced by flat name. Raises InputError as `change` and `resolved` do."""
        return resolved(change(self.config, settings))

    def threads(self, asked: int | None) -> int:
        """As many as are asked for, else 1 for small networks on a CPU and all cores for others."""
        return asked or (1 if self.is_small() else available_cores())

    def state(self, threads: int) -> AbstractContextManager[None]:
        """What it asks of its process, whoever trains or scores: raises InputError as `process_state` does."""
        compiles, deterministic = self.config.compile, self.config.deterministic
        return process_state(threads, self.device, compiles=compiles, deterministic=deterministic)

    def __reduce__(self) -> "tuple[Callable[[RunConfig], ResolvedRun], tuple[RunConfig]]":
        return resolved, (self.config,)


def trained_on(images: int, validation_fraction: float, classes: int = 1) -> int:
    """Of so many images, those that are not held out: every class keeps one, where their number is known."""
    return max(classes, images - (max(1, round(images * validation_fraction)) if validation_fraction else 0))


def resolved(config: RunConfig) -> ResolvedRun:
    """The run of complete settings, such as a run's config.toml; no data set is opened.

    Raises InputError for a setting that is still open, and as parsing does.
    """
    for name in ("flip", "crop_padding", "clean_share"):
        for key in (name, f"evaluation_{name}"):
            given(key, get(config, key))
    chosen, optimizer = config.optimization, find_optimizer(config.optimization.optimizer)
    sampling, sampler = config.sampling, config.sampling.sampler()
    of_optimizer = sampler is None
    takes_momentum = of_optimizer and optimizer.takes_momentum
    if chosen.weights is not None:
        given("weights_digest", chosen.weights_digest)
    return ResolvedRun(
        config=config,
        train_images=given("train_images", config.train_images),
        epochs=given("epochs", config.epochs),
        learning_rate=given("learning_rate", chosen.learning_rate),
        warmup=given("warmup", chosen.warmup) if of_optimizer else 0.0,
        rate_schedule=find_schedule(chosen.rate_schedule) if of_optimizer else sampling.parsed_step_sizes(),
        optimizer=optimizer,
        sampler=sampler,
        prior=sampling.parsed_prior(),
        momentum=given("momentum", chosen.momentum) if takes_momentum else 0.0,
        nesterov=given("nesterov", chosen.nesterov) if takes_momentum else False,
        weight_decay=given("weight_decay", chosen.weight_decay) if of_optimizer else 0.0,
        network_name=given("network", config.network),
        device=torch.device(given("device", config.device)),
        precision=given("precision", config.precision),
        objective=config.objective(),
        training_views=ViewDistribution.of(config.view, config.coupling, config.adaptive.describe(config.views)),
        evaluation_views=ViewDistribution.of(config.evaluation.view),
        rules=tuple(parse_rules(config.soften)),
    )


def given(name: str, value: T | None) -> T:
    """`value`, which a resolved run has. Raises InputError if it is open."""
    if value is None or value == "auto":
        raise InputError(f"{name}: expected a value, as the config.toml of every run has one, got {value or 'none'}")
    return value


def settings_hash(run: ResolvedRun, data_digest: str) -> str:
    """SHA-256 of everything that decides a run's numbers: its settings, the training data, the format.

    The data set enters by its content, so that a file may move; so do softening tables, distributions of labels and
    weights, and a user's own code by its source.
    """
    flat = identity_of(run.config)
    named = identified(flat, own_code(flat, tuple(key for key in SOURCES if key != "dataset")))
    identity = {**named, "dataset": data_digest, "soften": rules_identity(run.rules), "result_format": RESULT_FORMAT}
    if run.config.degrade_toward not in (UNIFORM, ONLINE):
        identity["degrade_toward"] = digest_of(Path(run.config.degrade_toward))
    if named["soften"] != flat["soften"]:
        identity["soften_code"] = named["soften"]
    return hash_of(identity)
