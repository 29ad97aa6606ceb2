"""Samplers, priors and step sizes by name."""

from collections.abc import Callable

from auglik.sampling.contract import Prior, Sampler, StepSizes
from auglik.sampling.priors.confidence import Confidence
from auglik.sampling.priors.dirclip import Dirclip
from auglik.sampling.priors.gaussian import Gaussian
from auglik.sampling.priors.laplace import Laplace
from auglik.sampling.priors.student_t import StudentT
from auglik.sampling.sghmc import Sghmc
from auglik.sampling.sgld import Sgld
from auglik.sampling.step_sizes import Constant, Cyclical
from auglik.settings.names import canonical, parse

POINT = "sgd"
"""The inference that samples nothing: the optimizer's point estimate, whatever the optimizer."""
SAMPLERS: dict[str, Sampler] = {"sgld": Sgld(), "sghmc": Sghmc()}
PRIORS: dict[str, Prior] = {
    "gaussian": Gaussian(),
    "laplace": Laplace(),
    "student-t": StudentT(),
    "dirclip": Dirclip(),
    "confidence": Confidence(),
}
STEP_SIZES: dict[str, StepSizes] = {"constant": Constant(), "cyclical": Cyclical()}


def find_sampler(text: str) -> Sampler | None:
    """The sampler that `text` names, None for POINT. Raises InputError for unknown names, parameters and values."""
    return None if text == POINT else parse("inference", text, {POINT: None, **SAMPLERS})


def find_prior(text: str) -> Prior:
    """The prior that `text` names. Raises InputError as `find_sampler` does."""
    return parse("prior", text, PRIORS)


def find_step_sizes(text: str) -> StepSizes:
    """The step sizes that `text` names. Raises InputError as `find_sampler` does."""
    return parse("step sizes", text, STEP_SIZES)


OF_SAMPLING: dict[str, Callable[[str], str]] = {
    "inference": lambda text: text if text == POINT else canonical("inference", text, {POINT: None, **SAMPLERS}),
    "prior": lambda text: canonical("prior", text, PRIORS),
    "step_sizes": lambda text: canonical("step sizes", text, STEP_SIZES),
}
"""The canonical form of the settings of sampling that are names with parameters."""
