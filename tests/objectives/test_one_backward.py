"""One backward pass for K views: its mean over draws is the whole gradient, exactly."""

import pytest
import torch
from torch import nn

from auglik.objectives import AGGREGATORS, LIKELIHOODS, InputError, Objective
from auglik.objectives.diagnostics import view_gradients
from auglik.objectives.one_backward import DrawnView, drawn_view, one_view_loss
from tests.cases import ordinary_views


@pytest.mark.parametrize("aggregator", ["jensen", "log-mean", "durbin-koopman", "power-mean", "thermodynamic"])
@pytest.mark.parametrize("likelihood", ["smoothed", "smoothed-normalized"])
def test_the_mean_over_draws_is_the_gradient(likelihood: str, aggregator: str) -> None:
    """Over 2,000 equal parts of [0,1) for every image at once; of a linear network's weights."""
    objective = Objective(LIKELIHOODS[likelihood], AGGREGATORS[aggregator])
    views = ordinary_views((4, 12, 10))
    labels, parts = torch.arange(12) % 10, 2000
    network = nn.Linear(10, 10, dtype=torch.float64)
    logits = network(views.logits)
    network.zero_grad()
    objective.loss(logits, views.decay, labels).backward()
    expected = [value.grad.clone() for value in network.parameters()]  # type: ignore[union-attr]

    many = logits.detach().repeat(1, parts, 1), views.decay.repeat(1, parts), labels.repeat(parts)
    uniforms = ((torch.arange(parts).double() + 0.5) / parts).repeat_interleave(12)
    found = drawn_view(objective, *many, uniforms)
    taken = torch.nn.functional.one_hot(found.view, 4).double().unflatten(0, (parts, 12))
    counted = (taken * found.factor.unflatten(0, (parts, 12))[..., None]).mean(0)  # [B,K]
    network.zero_grad()
    for view in range(4):
        drawn = DrawnView(torch.full((12,), view), counted[:, view])
        one_view_loss(objective, drawn, network(views.logits[view]), views.decay[view], labels).backward()
    for value, exact in zip(network.parameters(), expected, strict=True):
        assert value.grad is not None
        torch.testing.assert_close(value.grad, exact, rtol=0, atol=2e-3 * float(exact.abs().max() + 1))


def test_negative_weights_are_taken_with_their_sign() -> None:
    """At K = 2 under durbin-koopman a view of responsibility 0.1 has a weight of 0.1 (1 + 2 (0.1 - 0.82)) < 0."""
    objective = Objective(LIKELIHOODS["categorical"], AGGREGATORS["durbin-koopman"])
    p = torch.tensor([0.05, 0.45], dtype=torch.float64)
    logits = torch.stack([p.log(), (-p).log1p()], -1)[:, None]
    arguments = objective, logits, torch.zeros(2, 1).double(), torch.tensor([0])
    first, last = (drawn_view(*arguments, torch.tensor([u]).double()) for u in (0.0, 0.999))
    assert (int(first.view), int(last.view)) == (0, 1)
    assert float(first.factor) == pytest.approx(-float(last.factor))
    assert float(last.factor) == pytest.approx(0.044 + 1.044)


def test_soft_labels_are_refused() -> None:
    objective = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["log-mean"])
    with pytest.raises(InputError, match="one view has one label"):
        drawn_view(objective, torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.full((3, 4), 0.25), torch.zeros(3))


def test_an_aggregator_that_folds_whole_tables_is_refused() -> None:
    """Its value moves with all labels of a view: the observed label's gradient alone would be biased."""
    objective = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["geometric-normalized"])
    with pytest.raises(InputError, match="folds label by label"):
        drawn_view(objective, torch.zeros(2, 3, 5), torch.zeros(2, 3), torch.arange(3), torch.zeros(3))


def test_gradients_of_too_few_views_are_refused() -> None:
    objective = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["durbin-koopman"])
    with pytest.raises(InputError, match="at least 2 views"):
        view_gradients(objective, torch.zeros(1, 3, 5), torch.zeros(1, 3), torch.arange(3))


@pytest.mark.parametrize("uniforms", [torch.zeros(1), torch.zeros(2, 3), torch.zeros(())])
def test_uniforms_are_one_for_each_image(uniforms: torch.Tensor) -> None:
    objective = Objective(LIKELIHOODS["smoothed"], AGGREGATORS["log-mean"])
    with pytest.raises(InputError, match=r"a uniform number for each image \[B\] = \[3\]"):
        drawn_view(objective, torch.zeros(2, 3, 5), torch.zeros(2, 3), torch.arange(3), uniforms)
