"""The settings of a run's inference: a point estimate, or a chain that samples a posterior."""

from dataclasses import dataclass, fields

from auglik.objectives import InputError
from auglik.optimization.settings import OptimizationConfig
from auglik.sampling.contract import Prior, Sampler, StepSizes
from auglik.sampling.registry import POINT, PRIORS, SAMPLERS, STEP_SIZES, find_prior, find_sampler, find_step_sizes
from auglik.settings.fields import check_choices, expect, option
from auglik.settings.groups import Group

SHARED = ("learning_rate", "weights", "weights_digest", "weights_head")
"""The settings of optimization that chains have too."""


@dataclass(frozen=True)
class SamplingConfig:
    """What is inferred of the weights."""

    inference: str = option(
        POINT,
        "A point estimate by the optimizer, sgd, or draws of the posterior by sgld or sghmc:momentum=0.9, whose step is"
        " learning-rate over the number of training images.",
        group=Group.POSTERIOR,
        names=(POINT, *SAMPLERS),
    )
    prior: str = option("gaussian", "Prior of the weights, e.g. gaussian:scale=0.3.", names=PRIORS)
    posterior_temperature: float = option(1.0, "Temperature T of likelihood and prior; below 1 is cold.")
    likelihood_temperature: float = option(1.0, "Temperature of the likelihood alone.")
    step_sizes: str = option(
        "constant", "constant:burn_in=0.5, or cyclical:cycles=4,explore=0.8 of Zhang et al. 2020.", names=STEP_SIZES
    )
    draws: int = option(20, "Draws of a chain, whose probabilities are averaged.")

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("posterior_temperature", "likelihood_temperature"):
            expect(getattr(self, name) > 0, name, "a number > 0", getattr(self, name))
        expect(self.draws >= 1, "draws", "an integer >= 1", self.draws)
        self.sampler(), self.parsed_prior(), self.parsed_step_sizes()

    def sampler(self) -> Sampler | None:
        """None for a point estimate."""
        return find_sampler(self.inference)

    def parsed_prior(self) -> Prior:
        return find_prior(self.prior)

    def parsed_step_sizes(self) -> StepSizes:
        return find_step_sizes(self.step_sizes)

    def check_beside(self, optimization: OptimizationConfig, online_labels: float) -> None:
        """Raises InputError if something is asked of a chain that only a point estimate has, or the reverse."""
        if self.sampler() is None:
            for item in fields(self):
                if (value := getattr(self, item.name)) != item.default:
                    raise InputError(
                        f"{item.name}: expected none with {self.inference}, got {value}: it belongs to a chain"
                        " (--inference sghmc; cells of a file may differ in it)"
                    )
            return
        default = OptimizationConfig(warmup=0.0 if optimization.warmup == 0 else None)
        for name in (item.name for item in fields(optimization) if item.name not in SHARED):
            if (value := getattr(optimization, name)) != getattr(default, name):
                cause = "the prior takes its place" if name == "weight_decay" else "it belongs to a point estimate"
                raise InputError(f"{name}: expected none with {self.inference}, got {value}: {cause}")
        if online_labels < 1:
            raise InputError(
                f"online_labels: expected 1 with {self.inference}, got {online_labels}: labels that are learned move"
                " the posterior while it is sampled"
            )
