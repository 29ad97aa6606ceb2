"""The study of gradients holds, fails for a broken aggregator and a broken likelihood, and its algebra is right."""

import numpy as np
import pytest
import torch
from torch import Tensor

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Objective, PowerMean
from auglik.studies.common.trained import Trained, trained
from auglik.studies.gradients import one_backward
from auglik.studies.gradients.claims import likelihood_claims, pair_claims
from auglik.studies.gradients.measure import (
    Orbit,
    all_pairs,
    control,
    control_mean,
    jacobian_of,
    scattered,
    torch_weights,
)
from auglik.studies.gradients.study import gradients, lost_share, no_decay, orbits_of
from auglik.studies.study import Context, Findings


@pytest.fixture(scope="module")
def findings() -> Findings:
    return gradients(Context(True, 0, None, lambda share: None))


@pytest.fixture(scope="module")
def network() -> Trained:
    return trained("digits", 3, True, 0)


@pytest.fixture(scope="module")
def small(network: Trained) -> Orbit:
    return orbits_of(network, ["categorical"], no_decay(network), jacobian_of(network))["categorical"]


def test_the_study_holds(findings: Findings) -> None:
    assert [claim.line() for claim in findings.claims if not claim.holds] == []
    assert set(findings.figures) == {"gradients-aggregators", "gradients-likelihoods"}
    assert set(findings.data.children) == {
        "aggregators",
        "geometric-normalized",
        "likelihoods",
        "one-backward",
        "allocation",
    }


def test_a_wrong_sign_in_an_aggregator_fails_the_claim_that_names_it(
    small: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = PowerMean.fold

    def broken(self: PowerMean, table: Tensor, weight: None = None, log_importance: None = None) -> Tensor:
        return -fold(self, -table, weight, log_importance)

    monkeypatch.setattr(PowerMean, "fold", broken)
    failed = [claim.text for claim in pair_claims(small, {}) if not claim.holds]
    assert len(failed) == 1
    assert failed[0].startswith("categorical + power-mean")


def test_a_wrong_sign_in_a_likelihood_fails_the_claim_that_names_it(
    network: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["tempered", "dirichlet"]
    orbits = orbits_of(network, names, lost_share(network), jacobian_of(network))
    likelihood = LIKELIHOODS["tempered"]
    table = type(likelihood).table
    monkeypatch.setattr(type(likelihood), "table", lambda self, logits, decay: table(self, logits, -decay))
    failed = [claim.text for claim in likelihood_claims(network, orbits, 0) if not claim.holds]
    assert len(failed) == 1
    assert failed[0].startswith("tempered + log-mean")


def test_a_drawn_view_that_counts_a_twentieth_too_much_fails_the_claim_on_its_variance(
    small: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed() -> list[str]:
        data = one_backward.one_backward(small, (2, 4), Context(True, 0, None, print), 5_000)
        return [claim.text for claim in one_backward.one_backward_claims(data) if not claim.holds]

    assert failed() == []
    weights = one_backward.one_view_weights
    monkeypatch.setattr(one_backward, "one_view_weights", lambda *parts: 1.05 * weights(*parts))
    assert any("variance that drawing one view adds" in text for text in failed())


def test_the_orbits_combination_is_what_backward_gives(network: Trained, small: Orbit) -> None:
    picks = np.array([[[0], [3], [7]], [[9], [3], [24]], [[9], [1], [12]]])
    chosen = torch.from_numpy(picks)[..., 0], torch.arange(3)
    for name in ("jensen", "log-mean", "durbin-koopman"):
        objective = Objective(LIKELIHOODS["categorical"], AGGREGATORS[name])
        logits = network.logits(network.views[chosen])
        loss = objective.loss(logits, torch.zeros(3, 3, dtype=torch.float64), network.labels)
        backward = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.network.parameters()))])
        combined = small.combined(scattered(torch_weights(name, small, picks), picks, 25))[0]
        np.testing.assert_allclose(combined, -backward.numpy(), rtol=0, atol=1e-12)


def test_compressed_gradients_keep_lengths_angles_and_weights(small: Orbit, rng: np.random.Generator) -> None:
    other = small.compressed()
    flat, short = small.gradients.reshape(75, -1), other.gradients.reshape(75, -1)
    np.testing.assert_allclose(short @ short.T, flat @ flat.T, rtol=0, atol=1e-9)
    picks = rng.integers(0, 25, (4, 3, 20))
    for name in ("jensen", "durbin-koopman"):
        np.testing.assert_allclose(
            torch_weights(name, other, picks), torch_weights(name, small, picks), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("name", ["log-mean", "durbin-koopman", "jensen"])
def test_control_variates_have_the_mean_that_they_claim(small: Orbit, name: str) -> None:
    pairs, ratio = all_pairs(small), 25 * small.responsibilities
    drawn = np.take_along_axis(ratio[None].repeat(2, 0), pairs, 2)
    mean = scattered(control(name, drawn), pairs, 25).mean(0) - small.responsibilities
    np.testing.assert_allclose(mean, control_mean(name, ratio, 2), rtol=0, atol=1e-12)
