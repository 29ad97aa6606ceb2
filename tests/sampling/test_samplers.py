"""Samplers against posteriors that are known, priors against SciPy, step sizes against their definitions."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from scipy.stats import dirichlet, kstest, laplace, norm, rv_continuous  # type: ignore[attr-defined]
from scipy.stats import t as student_t  # type: ignore[attr-defined]
from torch import Tensor, nn

from auglik.objectives import InputError
from auglik.sampling.contract import Prior, Sampler
from auglik.sampling.langevin import Langevin
from auglik.sampling.priors.gaussian import Gaussian
from auglik.sampling.registry import PRIORS, SAMPLERS, find_prior, find_sampler, find_step_sizes
from auglik.sampling.sghmc import Sghmc
from auglik.sampling.sgld import Sgld
from auglik.sampling.step_sizes import Constant, Cyclical, draw_steps
from auglik.system.array_types import Float64Array

COPIES, N = 400, 50
"""Independent chains, as the weights of one; observations."""


class Sampled(NamedTuple):
    """Positions [draw,COPIES] and temperatures [draw,2]."""

    theta: Float64Array
    temperatures: Float64Array


def sample(
    sampler: Sampler, prior: Prior, data: Tensor, *, rate: float, steps: int, burn_in: int, T: float = 1.0,
    L: float = 1.0, batch: int | None = None,
) -> Sampled:  # fmt: skip
    """Chains of the mean theta of N(theta, 1) data [N], as `Langevin` drives them; every 10th draw is kept."""
    theta = nn.Parameter(torch.zeros(COPIES, dtype=torch.float64))
    optimizer = Langevin(
        [theta], sampler=sampler, prior=prior, images=len(data), temperature=T, likelihood_temperature=L, key=7
    )
    optimizer.param_groups[0]["lr"] = rate
    batches = np.random.default_rng(0)
    kept, temperatures = [], []
    for step in range(steps):
        seen = data if batch is None else data[batches.choice(len(data), batch, replace=False)]
        theta.grad = theta.detach() - seen.mean()  # of the mean of (x - theta)^2 / 2
        optimizer.step()
        if step >= burn_in and step % 10 == 0:
            kept.append(theta.detach().numpy().copy())
            assert optimizer.measured is not None
            temperatures.append(optimizer.measured.numpy().copy())
    return Sampled(np.array(kept), np.array(temperatures))


def conjugate(data: Tensor, scale: float, T: float, L: float) -> tuple[float, float]:
    """Mean and variance of exp(-U/T) with U = sum (x - theta)^2 / (2 L) + theta^2 / (2 scale^2)."""
    precision = len(data) / L + 1 / scale**2
    return float(data.sum()) / L / precision, T / precision


@pytest.fixture(scope="module")
def data() -> Tensor:
    return torch.randn(N, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.7


def standard_error(values: Float64Array) -> float:
    """Of the mean of correlated draws of independent copies."""
    return float(array_stats.mcse(values.mean(1)[None], chain_axis=0, draw_axis=1))


@pytest.mark.parametrize(("T", "L"), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.25), (0.5, 4.0)])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_conjugate_posterior_has_its_mean_and_variance(name: str, T: float, L: float, data: Tensor) -> None:
    rate = 0.1 * min(L, 1.0)
    found = sample(SAMPLERS[name], Gaussian(0.3), data, rate=rate, steps=1000, burn_in=250, T=T, L=L)
    mean, variance = conjugate(data, 0.3, T, L)
    assert abs(found.theta.mean() - mean) < 4 * standard_error(found.theta)
    squares = (found.theta - mean) ** 2
    bias = 1 / (1 - rate / N * T / variance / 2) if name == "sgld" else 1.0  # of its step, known
    assert abs(squares.mean() - variance * bias) < 4 * standard_error(squares)
    kinetic, configurational = found.temperatures.T
    assert abs(configurational.mean() - T * bias) < 4 * standard_error(configurational[:, None])
    if name == "sghmc":
        assert abs(kinetic.mean() - T) < 3 * standard_error(kinetic[:, None])
    else:
        assert np.isnan(kinetic).all()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.95])
def test_a_long_step_of_sghmc_keeps_the_variance_and_cools_the_momenta(momentum: float, data: Tensor) -> None:
    """By h^2 U''/4: here a quarter."""
    found = sample(Sghmc(momentum), Gaussian(1e3), data, rate=1.0, steps=1000, burn_in=200)
    mean, variance = conjugate(data, 1e3, 1.0, 1.0)
    squares = (found.theta - mean) ** 2
    assert abs(squares.mean() - variance) < 4 * standard_error(squares)
    kinetic = found.temperatures[:, :1]
    assert abs(kinetic.mean() - 0.75) < 4 * standard_error(kinetic)


def test_noise_of_gradients_heats_the_momenta(data: Tensor) -> None:
    whole, part = (
        sample(Sghmc(0.9), Gaussian(1.0), data, rate=0.2, steps=600, burn_in=200, batch=batch).temperatures[:, 0].mean()
        for batch in (None, 2)
    )
    assert part > 1.2 * whole


@pytest.mark.parametrize("text", ["student-t:df=3,scale=0.5", "laplace:scale=0.5"])
def test_a_posterior_without_data_is_the_prior(text: str) -> None:
    """Its distribution function, at the points of SciPy's."""
    prior = find_prior(text)
    theta = nn.Parameter(torch.zeros(COPIES, dtype=torch.float64))
    optimizer = Langevin([theta], sampler=Sghmc(0.8), prior=prior, images=1, key=1)
    optimizer.param_groups[0]["lr"] = 0.01
    kept = []
    for step in range(2000):
        theta.grad = torch.zeros_like(theta)
        optimizer.step()
        if step >= 500 and step % 20 == 0:
            kept.append(theta.detach().numpy().copy())
    reference = student_t(3, scale=0.5) if text.startswith("student") else laplace(scale=0.5)
    draws = np.array(kept)
    for share in (0.2, 0.5, 0.8):
        below = (draws < reference.ppf(share)).astype(float)
        assert abs(below.mean() - share) < 4 * standard_error(below) + 0.005


DENSITIES = {
    "gaussian:scale=0.7": norm(scale=0.7),
    "laplace:scale=0.7": laplace(scale=0.7),
    "student-t:df=4,scale=0.7": student_t(4, scale=0.7),
    "dirclip:scale=0.7": norm(scale=0.7),
    "confidence:scale=0.7": norm(scale=0.7),
}


@pytest.mark.parametrize(("text", "reference"), DENSITIES.items())
def test_priors_are_scipys_and_slopes_their_derivatives(text: str, reference: rv_continuous) -> None:
    at = torch.linspace(-3, 3, 12, dtype=torch.float64, requires_grad=True)
    prior = find_prior(text)
    density = prior.log_density(at)
    expected = torch.from_numpy(reference.logpdf(at.detach().numpy()) - reference.logpdf(at.detach().numpy()[0]))
    torch.testing.assert_close((density - density[0]).detach(), expected)
    (slope,) = torch.autograd.grad(density.sum(), at)
    torch.testing.assert_close(prior.slope(at.detach()), slope)


@pytest.mark.parametrize(("text", "reference"), DENSITIES.items())
def test_draws_of_priors_have_scipys_distribution(text: str, reference: rv_continuous) -> None:
    drawn = find_prior(text).draw(np.random.default_rng(5), 20_000)
    assert kstest(drawn, reference.cdf).pvalue > 1e-3


def test_every_prior_has_its_density_tested() -> None:
    assert {text.partition(":")[0] for text in DENSITIES} == set(PRIORS)


def test_dirclip_is_a_dirichlet_density_above_its_clip() -> None:
    p = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(4), 6)).view(2, 3, 4)
    term = find_prior("dirclip:alpha=0.6,clip=-50").of_predictions(p.log())
    assert term is not None
    exact = [dirichlet(np.full(4, 0.6)).logpdf(row) for row in p.view(-1, 4).numpy()]
    torch.testing.assert_close(term.flatten() - term[0, 0], torch.tensor(exact) - exact[0])
    certain = torch.tensor([[[0.0, -1e4, -1e4]]])
    clipped = find_prior("dirclip:alpha=0.6,clip=-10").of_predictions(certain)
    assert clipped is not None
    assert float(clipped) == pytest.approx(-0.4 * -20)


def test_the_confidence_prior_cools_the_likelihood_of_images_that_are_right() -> None:
    log_p = torch.log_softmax(torch.tensor([[[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]]]), -1)
    labels, T = torch.tensor([0, 1]), 0.2
    term = find_prior(f"confidence:T={T}").of_predictions(log_p)
    right = log_p.gather(2, labels[None, :, None])[..., 0]
    assert term is not None
    torch.testing.assert_close(right + term, right / T)


def test_equivalent_weight_decay_has_its_minimum_at_the_mode(data: Tensor) -> None:
    prior = Gaussian(0.3)
    decay = prior.weight_decay(N)
    mean, _ = conjugate(data, 0.3, 1.0, 1.0)
    assert mean - float(data.mean()) + decay * mean == pytest.approx(0, abs=1e-12)


def test_a_resumed_chain_is_the_same_chain() -> None:
    def chain(steps: Sequence[int], state: tuple[Tensor, dict[str, object]] | None = None) -> tuple[Tensor, Langevin]:
        weights = nn.Parameter(torch.ones(3, 2) if state is None else state[0].clone())
        optimizer = Langevin([weights], sampler=Sghmc(), prior=Gaussian(), images=9, key=5)
        if state is not None:
            optimizer.load_state_dict(state[1])
        for _ in steps:
            optimizer.param_groups[0]["lr"] = 0.1
            weights.grad = weights.detach() * 2
            optimizer.step()
        return weights.detach(), optimizer

    whole, _ = chain(range(9))
    half, optimizer = chain(range(4))
    resumed, _ = chain(range(4, 9), (half, optimizer.state_dict()))
    assert torch.equal(whole, resumed)
    assert not torch.equal(half, resumed)


def test_cyclical_step_sizes_are_those_of_the_paper() -> None:
    """Zhang et al. 2020: alpha_k = alpha_0 / 2 [cos(pi mod(k-1, ceil(K/M)) / ceil(K/M)) + 1], K a multiple of M."""
    K, M = 104, 4
    length = math.ceil(K / M)
    expected = [0.5 * (math.cos(math.pi * ((k - 1) % length) / length) + 1) for k in range(1, K + 1)]
    sizes = Cyclical(M, 0.8)
    assert [sizes.factor(step, K) for step in range(K)] == pytest.approx(expected)
    assert sizes.stretches(100) == [range(20, 25), range(45, 50), range(70, 75), range(95, 100)]
    assert draw_steps(sizes.stretches(100), 8) == [22, 25, 47, 50, 72, 75, 97, 100]


@pytest.mark.parametrize(("cycles", "steps"), [(4, 103), (20, 1001), (30, 100), (16, 1000), (7, 7)])
def test_cycles_are_as_many_as_asked_for_and_alike(cycles: int, steps: int) -> None:
    sizes = Cyclical(cycles, 0.5)
    factors = [sizes.factor(step, steps) for step in range(steps)]
    starts = [step for step, factor in enumerate(factors) if factor == 1.0]
    lengths = np.diff([*starts, steps])
    assert len(starts) == cycles
    assert lengths.max() - lengths.min() <= 1
    if lengths.min() > 1:
        ends = [step - 1 for step in [*starts[1:], steps]]
        assert max(factors[end] for end in ends) <= 0.5 * (1 + math.cos(math.pi * (1 - 1 / lengths.min()))) + 1e-12
        assert draw_steps(sizes.stretches(steps), cycles) == [end + 1 for end in ends]


def test_more_cycles_than_steps_are_refused() -> None:
    with pytest.raises(InputError, match="at most one cycle a step, got 30 in 20 steps"):
        Cyclical(30).stretches(20)


def test_constant_step_sizes_draw_after_their_burn_in() -> None:
    sizes = Constant(0.25)
    assert {sizes.factor(step, 40) for step in range(40)} == {1.0}
    assert draw_steps(sizes.stretches(40), 3) == [20, 30, 40]


@pytest.mark.parametrize(
    ("sizes", "draws", "message"),
    [
        ("cyclical:cycles=4", 6, "expected a multiple of the 4 cycles of the step sizes, got 6"),
        ("constant:burn_in=0.9", 20, "expected at most one a step, got 20 in 10 steps: take more epochs"),
    ],
)
def test_draws_that_do_not_fit_are_refused(sizes: str, draws: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw_steps(find_step_sizes(sizes).stretches(100), draws)


@pytest.mark.parametrize(
    ("find", "text", "message"),
    [
        (find_sampler, "sghmc:momentum=1", r"expected a momentum in \[0,1\), got 1.0"),
        (find_sampler, "sghcm", "unknown inference 'sghcm'; did you mean 'sghmc'"),
        (find_prior, "gaussian:scale=0", "expected scale > 0, got 0.0"),
        (find_prior, "dirclip:clip=1", "expected clip, the least log-probability, < 0, got 1.0"),
        (find_step_sizes, "cyclical:explore=1", r"expected explore, a share of the steps, in \[0,1\), got 1.0"),
        (find_step_sizes, "constant:burn_in=-1", r"expected burn_in, a share of the steps, in \[0,1\), got -1.0"),
    ],
)
def test_bad_names_are_refused_in_one_line(find, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message) as caught:
        find(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("scale", ["1e300", "1e20", "1e-20", "1e-300"])
def test_a_scale_whose_square_leaves_float32_is_refused(name: str, scale: str) -> None:
    said = re.escape(f"{name}: expected scale in 5.4e-20..1.8e+19, whose square float32 divides by, got {scale[:2]}")
    with pytest.raises(InputError, match=said):
        find_prior(f"{name}:scale={scale}")
    assert math.isfinite(find_prior(f"{name}:scale=1e19").slope(torch.ones(1)))


def test_sgld_is_a_gradient_step_and_noise() -> None:
    theta, noise = torch.tensor([1.0]), torch.tensor([0.5])
    assert Sgld().move([theta], [], [torch.tensor([2.0])], [noise], step=0.08, temperature=0.25) is None
    assert float(theta) == pytest.approx(1 - 0.16 + 0.2 * 0.5)
