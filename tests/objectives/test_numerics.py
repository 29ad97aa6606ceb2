"""The stable numerics against arithmetic of 50 digits, scipy and the definitions."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import special
from torch import Tensor

from auglik.objectives import normalizer
from auglik.objectives.likelihoods.smoothed_normalized import log_normalizer
from auglik.objectives.normalizer import (
    log_sum_mean_and_label,
    log_sum_of_logarithmic_means,
    logarithmic_means,
)
from auglik.objectives.numerics import (
    at_least_float32,
    gauss_jacobi,
    leave_out_logsumexp,
    log_beta_of_smoothed_label,
    log_normal_density,
    log_softmax,
)
from tests.cases import DTYPES

DIFFERENCES = [0.0, 1e-12, 1e-6, 1e-3, 0.007, 0.02, 0.1, 0.5, 0.5999, 0.6001, 1.0, 5.0, 40.0, 80.0]


def exact_logarithmic_mean(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
    """(e^a - e^b)/(a - b), in the working precision."""
    return mpmath.exp(a) if a == b else (mpmath.exp(a) - mpmath.exp(b)) / (a - b)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("d", DIFFERENCES)
def test_logarithmic_means_have_the_accuracy_of_the_dtype(d: float, dtype: torch.dtype) -> None:
    """Two classes d above and d below their geometric mean; derivatives by central differences in 60 digits."""
    log_f = torch.tensor([-0.75 + d, -0.75 - d], dtype=dtype)
    means, slopes = logarithmic_means(log_f)
    with mpmath.workdps(60):
        log_mean, h = mpmath.mpf(log_f.mean().item()), mpmath.mpf("1e-20")
        for mean, slope, value in zip(means.tolist(), slopes.tolist(), log_f.tolist(), strict=True):
            x = mpmath.mpf(value)
            exact = exact_logarithmic_mean(log_mean, x)
            exact_slope = (exact_logarithmic_mean(log_mean, x + h) - exact_logarithmic_mean(log_mean, x - h)) / (2 * h)
            eps = torch.finfo(dtype).eps * (1 + d)  # the rounding of d itself is that of log f
            assert abs(mean - exact) <= 16 * eps * exact
            assert abs(slope - exact_slope) <= 32 * eps * exact


def test_the_log_sum_of_logarithmic_means_differentiates_twice_and_under_vmap(generator: torch.Generator) -> None:
    log_f = log_softmax(torch.randn(3, 4, generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(log_sum_of_logarithmic_means, log_f)
    assert torch.autograd.gradgradcheck(log_sum_of_logarithmic_means, log_f)
    rows = torch.func.vmap(torch.func.grad(log_sum_of_logarithmic_means))(log_f.detach())
    (whole,) = torch.autograd.grad(log_sum_of_logarithmic_means(log_f).sum(), log_f)
    torch.testing.assert_close(rows, whole)


def test_the_sums_at_a_label_are_those_of_the_parts_and_differentiate_twice(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row, as where all rows at once would leave the cache."""
    log_f = log_softmax(torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)).requires_grad_()
    labels = torch.tensor([0, 3, 1])

    def apart(log_f: Tensor) -> tuple[Tensor, ...]:
        own = log_f.gather(2, labels.expand(2, 3)[..., None])
        return log_sum_of_logarithmic_means(log_f)[..., None], log_f.mean(-1, keepdim=True), own

    expected = apart(log_f)
    cotangents = [torch.randn(2, 3, 1, generator=generator, dtype=torch.float64) for _ in expected]
    (slopes,) = torch.autograd.grad(expected, log_f, cotangents)
    monkeypatch.setattr(normalizer, "_IN_CACHE", 4)
    found = log_sum_mean_and_label(log_f, labels)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(torch.autograd.grad(found, log_f, cotangents)[0], slopes, rtol=0, atol=1e-15)
    assert torch.autograd.gradcheck(lambda x: log_sum_mean_and_label(x, labels), log_f)
    assert torch.autograd.gradgradcheck(lambda x: log_sum_mean_and_label(x, labels), log_f)


def exact_log_normalizer(logits: list[mpmath.mpf]) -> mpmath.mpf:
    """log sum_j L(fbar, f_j) of f = softmax(logits), written with probabilities, in the working precision."""
    masses = [mpmath.exp(x) for x in logits]
    total = mpmath.fsum(masses)
    f, log_f = [mass / total for mass in masses], [x - mpmath.log(total) for x in logits]
    log_mean = mpmath.fsum(log_f) / len(f)
    mean = mpmath.exp(log_mean)
    terms = [
        fj if log_fj == log_mean else (mean - fj) / (log_mean - log_fj) for fj, log_fj in zip(f, log_f, strict=True)
    ]
    return mpmath.log(mpmath.fsum(terms))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3, 1.0, 20.0, 80.0, 200.0])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_normalizer_and_gradient_against_50_digits(classes: int, scale: float, rng: np.random.Generator) -> None:
    logits = torch.tensor(scale * rng.uniform(-1, 1, classes), dtype=torch.float32)
    coordinates = [0, classes - 1] if classes < 1000 else [7]
    with mpmath.workdps(50):
        x, h = [mpmath.mpf(value) for value in logits.tolist()], mpmath.mpf("1e-16")

        def moved(i: int, step: mpmath.mpf) -> mpmath.mpf:
            return exact_log_normalizer([*x[:i], x[i] + step, *x[i + 1 :]])

        exact = float(exact_log_normalizer(x))
        slopes = [float((moved(i, h) - moved(i, -h)) / (2 * h)) for i in coordinates]
    for dtype in DTYPES:
        leaf = logits.to(dtype).requires_grad_()
        value = log_normalizer(log_softmax(leaf))
        (gradient,) = torch.autograd.grad(value, leaf)
        rounding = 16 * torch.finfo(dtype).eps * (1 + abs(exact))
        assert abs(value.item() - exact) <= rounding
        assert (gradient[coordinates].double() - torch.tensor(slopes, dtype=torch.float64)).abs().max() <= rounding


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_log_beta_of_the_smoothed_label(classes: int, dtype: torch.dtype) -> None:
    decay = torch.tensor([[0.0, 1e-3, 0.3], [0.7, 0.999, 1.0]], dtype=dtype)
    found = log_beta_of_smoothed_label(decay, classes)
    q = (1 - decay.double().numpy()[..., None]) * np.eye(classes)[0] + decay.double().numpy()[..., None] / classes
    exact = special.gammaln(1 + q).sum(-1) - special.gammaln(1 + classes)
    assert found.dtype == dtype
    # Computed in float64, so that a float32 result is off by its own last rounding only.
    ulps = 0.5 if dtype == torch.float32 else 8
    assert (np.abs(found.double().numpy() - exact) <= ulps * torch.finfo(dtype).eps * (1e-6 + np.abs(exact))).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("views", [2, 3, 5])
def test_leave_out_logsumexp(views: int, dtype: torch.dtype, generator: torch.Generator) -> None:
    terms = 20 * torch.randn(views, 50, generator=generator, dtype=dtype)
    terms[0, :10] = 500
    found = leave_out_logsumexp(terms, 1)
    for k in range(views):
        rest = torch.cat([terms[:k], terms[k + 1 :]])
        torch.testing.assert_close(found[k], rest.logsumexp(0))


@pytest.mark.parametrize("left", [-0.7, -0.5, 0.0, 1.0, 3.3])
@pytest.mark.parametrize("right", [-0.5, 0.0, 1.0, 2.5])
def test_gauss_jacobi_agrees_with_scipy(left: float, right: float) -> None:
    nodes, weights = gauss_jacobi(64, left, right)
    x, w = special.roots_jacobi(64, right, left)
    np.testing.assert_allclose(nodes.numpy(), (1 + x) / 2, atol=1e-13)
    np.testing.assert_allclose(weights.numpy(), w / w.sum(), atol=1e-13)
    assert float((weights * nodes).sum()) == pytest.approx((left + 1) / (left + right + 2), abs=1e-13)


def test_log_normal_density(generator: torch.Generator) -> None:
    x, mean = torch.randn(2, 40, generator=generator, dtype=torch.float64)
    variance = 0.1 + torch.rand(40, generator=generator, dtype=torch.float64)
    exact = torch.distributions.Normal(mean, variance.sqrt()).log_prob(x)
    torch.testing.assert_close(log_normal_density(x, mean, variance), exact, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
    ids=str,
)
def test_half_precision_alone_is_cast_up(dtype: torch.dtype, result: torch.dtype) -> None:
    x: Tensor = torch.tensor([0.5, math.pi], dtype=dtype)
    assert at_least_float32(x).dtype == result
    assert log_softmax(x).dtype == result
