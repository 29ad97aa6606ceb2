"""Estimators of log E p: jackknives of any order, the thermodynamic bound, and those of a random number of views."""

import itertools
import math
from collections.abc import Callable

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from auglik.objectives import (
    AGGREGATORS,
    Aggregator,
    InputError,
    Jackknife,
    Jensen,
    LogMean,
    Multilevel,
    PowerMean,
    Sumo,
    Thermodynamic,
)
from auglik.objectives.numerics import leave_out_logsumexp
from auglik.objectives.view_counts import drawn_views, law_of_views, mean_views
from auglik.studies.twins import AGGREGATOR_TWINS
from tests.cases import Case, as_array, twin_fold

TABLES = arrays(np.float64, (4, 3, 5), elements=st.floats(-40, 0))
RANDOM = (Sumo(), Multilevel(), Multilevel(power=1.25))


def pairs_of_numbers(aggregator: Aggregator, atoms: torch.Tensor, most: int) -> float:
    """The mean over numbers of views, and over all equally likely sequences of them."""
    total = 0.0
    for views, share in law_of_views(aggregator, most).items():
        sequences = torch.tensor(list(itertools.product(range(len(atoms)), repeat=views)))
        total += share * float(aggregator.fold(atoms[sequences.T][..., None]).mean())
    return total


@pytest.mark.parametrize("aggregator", RANDOM, ids=repr)
@pytest.mark.parametrize("most", [1, 2, 3, 4, 8])
def test_over_numbers_of_views_the_mean_is_the_log_mean_of_the_most(aggregator: Aggregator, most: int) -> None:
    """Exactly: a sum over all sequences of two atoms, e^-0.1 and e^-3."""
    atoms = torch.tensor([-0.1, -3.0]).double()
    reached = max(law_of_views(aggregator, most))
    sequences = torch.tensor(list(itertools.product(range(2), repeat=reached)))
    expected = float(LogMean().fold(atoms[sequences.T][..., None]).mean())
    assert pairs_of_numbers(aggregator, atoms, most) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("aggregator", RANDOM, ids=repr)
def test_laws_of_the_number_of_views(aggregator: Aggregator) -> None:
    law = law_of_views(aggregator, 64)
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)
    assert min(law.values()) > 0
    uniforms = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    counts = drawn_views(aggregator, 64, uniforms)
    assert set(counts.tolist()) == set(law)
    for views, share in law.items():
        assert float((counts == views).double().mean()) == pytest.approx(share, abs=1e-5)
    assert mean_views(aggregator, 64) == pytest.approx(float(counts.double().mean()), rel=2e-4)


def test_costs_and_variances_are_finite_where_they_are_said_to_be() -> None:
    """Mean views of multilevel converge, sumo's are harmonic numbers, and both add 2^((power-2) n) variance a level."""
    assert mean_views(Multilevel(), 2**40) == pytest.approx(1 + 0.5 / (math.sqrt(2) - 1), abs=1e-5)
    assert mean_views(Sumo(), 64) == pytest.approx(sum(1 / k for k in range(1, 65)))
    for power, what in ((1.0, "mean number of views"), (2.0, "variance"), (0.5, "mean number"), (math.nan, "mean")):
        with pytest.raises(InputError, match=what) as refusal:
            Multilevel(power=power)
        assert "\n" not in str(refusal.value)


def test_a_fixed_number_of_views_is_its_own_law() -> None:
    assert law_of_views(Jensen(), 4) == {4: 1.0}
    assert mean_views(LogMean(), 4) == 4
    assert drawn_views(LogMean(), 4, torch.rand(3, generator=torch.Generator().manual_seed(0))).tolist() == [4, 4, 4]


def test_increments_of_levels_fall_at_their_rates(rng: np.random.Generator) -> None:
    """Beta(2,2) views: variances of L_2k - L_k fall as 1/k, of antithetic levels as 1/k^2, in 20,000 images."""
    table = torch.tensor(np.log(rng.beta(2, 2, (64, 20_000, 1))))
    plain, antithetic = [], []
    for k in (8, 16, 32):
        whole, halves = LogMean().fold(table[: 2 * k]), [LogMean().fold(part) for part in table[: 2 * k].split(k)]
        plain.append(float((whole - halves[0]).var()))
        antithetic.append(float((whole - (halves[0] + halves[1]) / 2).var()))
    for variances, rate in ((plain, 1.0), (antithetic, 2.0)):
        slopes = [math.log2(low / high) for low, high in itertools.pairwise(variances)]
        assert all(abs(slope - rate) < 0.25 for slope in slopes), slopes


@pytest.mark.parametrize("aggregator", RANDOM, ids=repr)
def test_random_numbers_of_views_refuse_weights_and_proposals(aggregator: Aggregator) -> None:
    table = torch.zeros(2, 1, 3)
    with pytest.raises(InputError, match="expected equal weights"):
        aggregator.fold(table, torch.tensor([[1.0], [2.0]]))
    with pytest.raises(InputError, match="expected views from their own distribution"):
        aggregator.fold(table, None, torch.zeros(2, 1))


# Jackknives


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_jackknives_match_the_twin(order: int, rng: np.random.Generator) -> None:
    """Values and gradients, at ordinary tables and at ones that differ by 300 nats."""
    for spread in (1.0, 30.0, 300.0):
        table = torch.tensor(-spread * rng.random((6, 8, 3)))
        cotangent = torch.tensor(rng.standard_normal((8, 3)))
        case: Case[Aggregator] = Case("jackknife", "jackknife", Jackknife(order), {"order": float(order)})
        value, slope = map(np.asarray, twin_fold(case, as_array(table), None, None, cotangent))
        leaf = table.clone().requires_grad_()
        found = case.instance.fold(leaf)
        (gradient,) = torch.autograd.grad(found, leaf, cotangent)
        largest = 6**order / math.factorial(order) * spread
        np.testing.assert_allclose(found.detach().numpy(), value, rtol=0, atol=1e-12 * largest)
        np.testing.assert_allclose(gradient.numpy(), slope, rtol=0, atol=1e-11 * largest)
        single = case.instance.fold(table.float()).double().numpy()
        np.testing.assert_allclose(single, value, rtol=0, atol=1e-5 * largest)


def test_a_jackknife_of_order_m_has_no_bias_up_to_its_order() -> None:
    """With the bias of L_K a polynomial in 1/K of degree m, what is left is 0: 50 digits, the weights alone."""
    with mpmath.workdps(50):
        for order, K in itertools.product((1, 2, 3, 4), (5, 8, 32)):
            weights = [
                mpmath.mpf((-1) ** j * (K - j) ** order) / (math.factorial(j) * math.factorial(order - j))
                for j in range(order + 1)
            ]
            assert abs(sum(weights) - 1) < 1e-40
            for power in range(1, order + 1):
                terms = (weight / mpmath.mpf(K - j) ** power for j, weight in enumerate(weights))
                assert abs(mpmath.fsum(terms)) < 1e-40


def test_higher_orders_have_smaller_biases(rng: np.random.Generator) -> None:
    """Two-point views, K = 12, summed exactly over the numbers of high ones."""
    low, high, share = 0.3, 0.9, 0.7
    counts = np.arange(13)
    table = torch.tensor(np.log(np.where(np.arange(12)[:, None] < counts, high, low)))[..., None]
    pmf = np.array([math.comb(12, int(n)) * share**n * (1 - share) ** (12 - n) for n in counts])
    exact = math.log(share * high + (1 - share) * low)
    biases = [abs(float(pmf @ Jackknife(order).fold(table)[:, 0].numpy()) - exact) for order in (1, 2, 3)]
    assert biases[0] > 3 * biases[1] > 9 * biases[2]


def test_what_is_left_of_views_is_every_choice(rng: np.random.Generator) -> None:
    terms = torch.tensor(rng.normal(0, 3, (6, 2)))
    for count in range(5):
        kept = list(itertools.combinations(range(6), 6 - count))
        expected = torch.stack([terms[list(rows)].logsumexp(0) for rows in kept]).sort(0).values
        found = leave_out_logsumexp(terms, count)
        assert len(found) == math.comb(6, count)
        torch.testing.assert_close(found.sort(0).values, expected)


def test_jackknives_say_how_many_views_they_need() -> None:
    assert Jackknife(order=3).minimum_views == 4
    with pytest.raises(InputError, match="expected a whole number from 1 to 4 for order, got 5"):
        Jackknife(order=5)
    one_left = torch.tensor([[0.0], [0.0], [-math.inf]])
    with pytest.raises(InputError, match="expected at least three views of an image with importance"):
        Jackknife(order=2).fold(torch.zeros(3, 1, 2), None, one_left)


# The thermodynamic bound


@given(table=TABLES)
def test_the_thermodynamic_bound_rises_from_jensen_to_log_mean(table: np.ndarray) -> None:
    views = torch.tensor(table)
    torch.testing.assert_close(Thermodynamic(points=1).fold(views), Jensen().fold(views))
    bounds = [Thermodynamic(points=points).fold(views) for points in (1, 2, 4, 8)]
    low = Jensen().fold(views)
    for bound in bounds:
        assert (bound >= low - 1e-9).all()
        assert (bound <= LogMean().fold(views) + 1e-9).all()


@pytest.mark.parametrize(("points", "first"), [(1, 0.025), (2, 0.3), (9, 0.001), (32, 0.025)])
def test_thermodynamic_bounds_match_the_twin(points: int, first: float, rng: np.random.Generator) -> None:
    table, cotangent = torch.tensor(-20 * rng.random((4, 6, 3))), torch.tensor(rng.standard_normal((6, 3)))
    weight, importance = torch.tensor(rng.random((4, 6))), torch.tensor(rng.normal(size=(4, 6)))
    case: Case[Aggregator] = Case(
        "thermodynamic", "thermodynamic", Thermodynamic(points, first), {"points": float(points), "first": first}
    )
    value, slope = map(np.asarray, twin_fold(case, as_array(table), weight, importance, cotangent))
    leaf = table.clone().requires_grad_()
    found = case.instance.fold(leaf, weight, importance)
    np.testing.assert_allclose(found.detach().numpy(), value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(torch.autograd.grad(found, leaf, cotangent)[0].numpy(), slope, rtol=0, atol=1e-12)


def test_many_points_are_the_integral() -> None:
    """32 points from 0.001 on views that differ by 2 nats: within the largest step of log-mean."""
    table = torch.linspace(-2, 0, 4).double()[:, None, None]
    gap = LogMean().fold(table) - Thermodynamic(points=32, first=0.001).fold(table)
    assert 0 < float(gap) < 0.05


@pytest.mark.parametrize("parameters", [{"points": 0}, {"points": 33}, {"first": 0.0}, {"first": 1.0}])
def test_thermodynamic_refuses_other_parameters(parameters: dict[str, float]) -> None:
    with pytest.raises(InputError, match="thermodynamic: expected"):
        Thermodynamic(**parameters)  # type: ignore[arg-type]


# Extremes and twins


@pytest.mark.parametrize("name", ["sumo", "multilevel"])
@pytest.mark.parametrize("views", [1, 5])
def test_any_number_of_views_matches_the_twin(name: str, views: int, rng: np.random.Generator) -> None:
    table = torch.tensor(-300 * rng.random((views, 4, 2)))
    expected = np.asarray(AGGREGATOR_TWINS[name](jnp.asarray(table.numpy())))
    np.testing.assert_allclose(AGGREGATORS[name].fold(table).numpy(), expected, rtol=0, atol=1e-10 * views**2)


@pytest.mark.parametrize("rho", [1e-8, 1e-6, -1e-6, 1e-4, -1e-3, 0.05, 0.5])
@pytest.mark.parametrize("importance", [False, True])
def test_power_means_near_jensen_lose_no_digits(rho: float, importance: bool) -> None:
    """float32 against mpmath's fifty digits; the sum of importance is taken to rho's root, as the definition has it."""
    generator = torch.Generator().manual_seed(3)
    table = (3 * torch.randn(4, 2, 3, generator=generator)).log_softmax(-1)
    i = 1e-7 * torch.randn(4, 2, generator=generator).double() if importance else None
    found = PowerMean(rho=rho).fold(table.double() if importance else table, None, i)
    with mpmath.workdps(50):
        for b, j in itertools.product(range(2), range(3)):
            logs = [mpmath.mpf(float(i[k, b])) if i is not None else mpmath.mpf(0) for k in range(4)]
            terms = [mpmath.exp(rho * mpmath.mpf(float(table[k, b, j])) + logs[k]) for k in range(4)]
            exact = mpmath.log(mpmath.fsum(terms) / 4) / rho
            tolerance = 1e-6 if not importance else 1e-9 + 1e-15 / abs(rho)
            assert float(found[b, j]) == pytest.approx(float(exact), abs=tolerance * max(1, abs(float(exact))))


def test_a_power_mean_of_impossible_views_is_impossible_or_not() -> None:
    """With rho > 0 a view of likelihood 0 is passed over; with rho < 0 it decides."""
    table = torch.tensor([-math.inf, -1.0])[:, None, None]
    assert float(PowerMean(rho=1e-3).fold(table)) == pytest.approx(-1 - math.log(2) * 1e3, rel=1e-4)
    assert float(PowerMean(rho=-1e-3).fold(table)) == -math.inf


def test_jackknives_of_high_order_keep_their_digits_in_float32() -> None:
    table = (2 * torch.randn(16, 3, 4, generator=torch.Generator().manual_seed(5))).log_softmax(-1)
    for order in (2, 3, 4):
        folded = Jackknife(order=order).fold(table)
        assert folded.dtype == torch.float32
        torch.testing.assert_close(folded, Jackknife(order=order).fold(table.double()).float(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("made", [lambda: Jackknife(order=2.0), lambda: Thermodynamic(points=2.5)])  # type: ignore[arg-type]
def test_counts_are_whole_numbers(made: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="expected a whole number"):
        made()
