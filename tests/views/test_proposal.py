"""Views from a proposal: weighted they have their own distribution, exactly; the rest of a view stays what it was."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import beta, chisquare, kstest  # type: ignore[attr-defined]

from auglik.objectives import ROLES, InputError, Schedule
from auglik.views import Draws, FlipCropRotate, Mollification, Pipeline, Shape, Step
from auglik.views.couplings import COUPLINGS
from auglik.views.proposal import BINS, DEFENSIVE, Proposal

SCHEDULE = Schedule(clean=1, noise=2, blur=1, alpha=0.7, beta=1.5)
LAW = beta(0.7, 1.5)
IMAGES = 4000


def fitted(seed: int = 0) -> Proposal:
    counted = np.random.default_rng(seed).random(4 * BINS) ** 4
    return Proposal.own(SCHEDULE).following(counted)


def drawn(proposal: Proposal | None, views: int = 3, coupling: str | None = None, epoch: int = 1) -> Draws:
    steps = (Step("fcr", FlipCropRotate(flip=0.3, padding=2)),)
    chosen = COUPLINGS[coupling] if coupling else None
    pipeline = Pipeline(Shape(1, 8, 8), steps, Mollification(SCHEDULE), coupling=chosen)
    return pipeline.draw(0, epoch, views, IMAGES, torch.device("cpu"), proposal=proposal)


def likelihood(role: NDArray[np.integer], t: NDArray[np.floating]) -> NDArray[np.floating]:
    """Some p of a view, which falls with t at a rate of its role."""
    return np.exp(-np.array([0.1, 4.0, 2.0, 3.0])[role] * (role > 0) * t) * 0.9


def test_the_weighted_mean_of_a_likelihood_is_its_integral_over_the_own_distribution() -> None:
    """The left side over a grid of the two numbers of a view, 2^10 each; the right side by quadrature."""
    edges = (np.arange(1024) + 0.5) / 1024
    grid = np.stack(np.meshgrid(edges, edges, indexing="ij"), -1)
    found = fitted().place(grid)
    assert found.log_importance is not None
    weighted = np.exp(found.log_importance.astype(np.float64))
    expected = 0.0
    for role, share in enumerate(SCHEDULE.shares()):
        expected += share * quad(lambda t, role=role: LAW.pdf(t) * likelihood(np.array(role), np.array(t)), 0, 1)[0]
    assert (weighted * likelihood(found.role, found.temperature)).mean() == pytest.approx(expected, abs=2e-3)
    assert weighted.mean() == pytest.approx(1, abs=2e-3)
    assert abs(likelihood(found.role, found.temperature).mean() - expected) > 0.02  # without weights it is another


def test_masses_and_weights_of_cells_are_those_of_the_own_distribution() -> None:
    """sum_c q_c w_c g_c = sum_c own_c g_c for any g, and no weight exceeds 1/DEFENSIVE."""
    proposal, own = fitted(), Proposal.own(SCHEDULE).masses
    assert proposal.masses.sum() == pytest.approx(1)
    np.testing.assert_allclose(proposal.masses * np.exp(proposal.log_weights()), own, rtol=1e-12)
    assert np.exp(proposal.log_weights()).max() <= 1 / DEFENSIVE * (1 + 1e-12)
    only = np.zeros(4 * BINS)
    only[BINS] = 1
    spike = np.exp(Proposal.own(SCHEDULE).following(only).log_weights())
    assert spike[2 * BINS :].max() == pytest.approx(1 / DEFENSIVE)


@pytest.mark.parametrize("coupling", [None, *COUPLINGS])
def test_every_view_has_the_density_of_the_proposal(coupling: str | None) -> None:
    """Cells by their masses, and within a bin t by its Beta distribution, at a chance of 1e-4 of a false alarm."""
    proposal, draws = fitted(), drawn(fitted(), coupling=coupling)
    assert draws.cell is not None
    assert draws.log_importance is not None
    some = proposal.masses > 0
    for view in range(3):
        counts = np.bincount(draws.cell[view], minlength=4 * BINS)
        assert counts[~some].sum() == 0
        assert chisquare(counts[some], proposal.masses[some] * IMAGES).pvalue > 1e-4
        quantile = LAW.cdf(draws.temperature[view].astype(np.float64)) * BINS
        bins = draws.cell[view] % BINS
        assert ((quantile > bins - 1e-3) & (quantile < bins + 1 + 1e-3)).all()
        assert kstest(quantile - bins, "uniform").pvalue > 1e-4
        assert (draws.role[view] == draws.cell[view] // BINS).all()
        np.testing.assert_allclose(draws.log_importance[view], proposal.log_weights()[draws.cell[view]], rtol=1e-6)


@pytest.mark.parametrize("coupling", [None, "sobol"])
def test_the_own_distribution_as_a_proposal_gives_the_views_that_there_are_without_one(coupling: str | None) -> None:
    plain, weighted = drawn(None, coupling=coupling), drawn(Proposal.own(SCHEDULE), coupling=coupling)
    assert plain.view_digests() == weighted.view_digests()
    assert plain.cell is None
    assert plain.log_importance is None
    assert weighted.log_importance is not None
    assert not weighted.log_importance.any()
    assert weighted.cell is not None
    assert (weighted.cell // BINS == plain.role).all()


def test_a_proposal_moves_roles_and_temperatures_alone() -> None:
    plain, moved = drawn(None), drawn(fitted())
    assert set(plain.view_digests()).isdisjoint(moved.view_digests())
    for name, values in plain.parameters.items():
        np.testing.assert_array_equal(values, moved.parameters[name])
    np.testing.assert_array_equal(plain.noise["mollification"], moved.noise["mollification"])
    assert moved.first(2).view_digests() == drawn(fitted(), views=2).view_digests()
    assert drawn(fitted()).view_digests() == moved.view_digests()
    some = moved.of(np.array([5, 2]))
    assert some.log_importance is not None
    assert moved.log_importance is not None
    np.testing.assert_array_equal(some.log_importance, moved.log_importance[:, [5, 2]])
    assert moved.device is not None
    on_device = moved.device.at(torch.tensor([5, 2])).parameters["log importance"]
    np.testing.assert_array_equal(on_device.numpy().reshape(some.log_importance.shape), some.log_importance)


def test_a_proposal_follows_what_views_counted_for() -> None:
    own, counted = Proposal.own(SCHEDULE), np.zeros(4 * BINS)
    assert own.following(counted) is own
    assert own.is_own()
    counted[[3, BINS, 3 * BINS]] = 2, 6, 100  # clean, noise, and a role that does not occur
    found = own.following(counted).masses.reshape(4, BINS)
    np.testing.assert_allclose(
        found.sum(1), DEFENSIVE * np.array(SCHEDULE.shares()) + 0.8 * np.array([0.25, 0.75, 0, 0])
    )
    assert ROLES[0] == "clean"
    assert (found[0] == found[0, 0]).all()
    assert found[1, 0] > 0.75 * 0.8
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="expected finite sums >= 0"):
            own.following(np.full(4 * BINS, wrong))
