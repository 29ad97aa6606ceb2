"""What is said of chains: a statistic that is not a number is never passed over, a missing quantity always."""

import numpy as np
import pytest
from arviz_stats.base import array_stats  # type: ignore[attr-defined]

from auglik.inference.convergence import Diagnostics, Limits, diagnose, statistics, worst


def drawn(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 300, 3))


def of(**draws: np.ndarray) -> Diagnostics:
    return diagnose(draws, np.zeros((4, 300, 3), bool))


def test_independent_draws_are_fine() -> None:
    found = of(x=drawn())
    assert found.warnings("the model") == []
    assert (found.chains, found.draws, found.posteriors) == (4, 300, 3)


@pytest.mark.parametrize("draws", [8, 10, 20, 21, 301])
@pytest.mark.parametrize("chains", [2, 4])
def test_statistics_are_arvizs(draws: int, chains: int, rng: np.random.Generator) -> None:
    """Of chains that go on as before, or back, by any share; some repeat values, some lie apart."""
    x = rng.normal(size=(21, chains, draws))
    for t in range(1, draws):
        x[..., t] += np.linspace(-0.95, 0.999, 21)[:, None] * x[..., t - 1]
    x[::3] = np.round(x[::3])
    x[1::5] += np.arange(chains)[:, None]
    x[2] = np.nan
    axes = {"chain_axis": 1, "draw_axis": 2}
    r_hat, bulk, tail = statistics(x)
    np.testing.assert_allclose(r_hat, array_stats.rhat(x, **axes), rtol=1e-9)
    np.testing.assert_allclose(bulk, array_stats.ess(x, **axes, method="bulk"), rtol=1e-9)
    np.testing.assert_allclose(tail, array_stats.ess(x, **axes, method="tail", prob=0.89), rtol=1e-9)


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
