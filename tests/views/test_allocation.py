"""Views shared out by spread: within the budget, and by no other numbers of that cost is the sum of V/K smaller."""

import itertools

import numpy as np
import pytest

from auglik.objectives import InputError
from auglik.views.allocation import shared_out, steadied, stops


@pytest.mark.parametrize("mean", [2, 3.3, 5, 9.5])
def test_numbers_are_the_best_of_their_cost(mean: float, rng: np.random.Generator) -> None:
    choices = np.array(list(itertools.product((2, 4, 8, 16), repeat=4)))
    for _ in range(20):
        spread = rng.random(4) ** 3
        found = shared_out(spread, 2, 16, mean, rng.random(4))
        assert found.sum() <= round(4 * mean)
        affordable = choices[choices.sum(1) <= found.sum()]
        assert (spread / found).sum() == pytest.approx((spread / affordable).sum(1).min())


def test_the_budget_is_spent_and_images_without_spread_come_last(rng: np.random.Generator) -> None:
    spread = rng.random(1000) * (np.arange(1000) >= 300)
    for mean in (2.0, 3.0, 4.5, 8.0, 16.0):
        found = shared_out(spread, 2, 16, mean, rng.random(1000))
        assert mean - 8 / 1000 <= found.mean() <= mean
        assert set(np.unique(found)) <= {2, 4, 8, 16}
        if mean < 10:
            assert (found[:300] == 2).all()


def test_equal_images_differ_by_one_doubling_in_an_order_that_is_drawn(rng: np.random.Generator) -> None:
    for spread in (np.ones(400), np.zeros(400)):
        first, second = (shared_out(spread, 2, 16, 5.0, rng.random(400)) for _ in range(2))
        assert set(np.unique(first)) == {4, 8}
        assert (first == 8).sum() == 100
        assert (first[:200] == 8).sum() > 20
        assert (first != second).any()


def test_relative_variances_are_drawn_toward_their_mean() -> None:
    np.testing.assert_allclose(steadied(np.array([4.0, 0.0, 9.0]), np.array([1.0, 1.0, 0.0])), [2.4, 1.6, 2.0])
    np.testing.assert_allclose(steadied(np.array([3.0, 1.0]), np.array([4.0, 4.0])), [2.5, 1.5])
    np.testing.assert_allclose(steadied(np.zeros(3), np.zeros(3)), 1.0)


def test_a_largest_number_that_is_not_reached_is_refused() -> None:
    assert stops(2, 2) == [2]
    assert stops(3, 12) == [3, 6, 12]
    with pytest.raises(InputError, match="expected 8 or 16 as --views, 2 doubled some times, got 12"):
        stops(2, 12)
