"""What is said of chains: a statistic that is not a number is never passed over, a missing quantity always."""

import numpy as np
import pytest

from auglik.inference.convergence import Diagnostics, Limits, diagnose, worst


def drawn(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 300, 3))


def of(**draws: np.ndarray) -> Diagnostics:
    return diagnose(draws, np.zeros((4, 300, 3), bool))


def test_independent_draws_are_fine() -> None:
    found = of(x=drawn())
    assert found.warnings("the model") == []
    assert (found.chains, found.draws, found.posteriors) == (4, 300, 3)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_chains_that_never_moved_have_not_converged() -> None:
    stuck = drawn()
    stuck[..., 1] = 2.0
    (said,) = of(x=drawn(1), y=stuck).warnings("the model")
    assert said.startswith("the model's sampler has not converged: R-hat nan")


def test_chains_apart_have_not_converged() -> None:
    apart = drawn() + np.arange(4)[:, None, None]
    (said,) = of(x=apart).warnings("the model")
    assert "has not converged" in said


def test_what_is_missing_is_passed_over() -> None:
    x = drawn()
    lacking = x.copy()
    lacking[..., 2] = np.nan
    assert of(x=lacking) == of(x=x[..., :2])
    assert all(np.isnan(worst([np.nan], [np.nan], [np.nan], [False])))


def test_divergent_transitions_are_said() -> None:
    diverging = np.zeros((4, 300, 3), bool)
    diverging[0, :40, 0] = True
    found = diagnose({"x": drawn()}, diverging)
    (said,) = found.warnings("the model")
    assert said == "the model had 40 divergent transitions: its tails are less certain"
    assert found.warnings("the model", Limits(divergent=0.02)) == []
