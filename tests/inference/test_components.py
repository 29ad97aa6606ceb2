"""Components of variance at their fewest seeds and images, and the first number of seeds that power tries."""

import math

import numpy as np
import pytest
from scipy import stats

from auglik.inference.components import components, new_images, new_seeds
from auglik.inference.differences.power import seeds_needed
from auglik.inference.law import Law


@pytest.mark.parametrize("images", [2, 5])
@pytest.mark.parametrize("seeds", [2, 3])
def test_intervals_of_the_fewest_seeds_and_images_are_students(
    seeds: int, images: int, rng: np.random.Generator
) -> None:
    """One degree of freedom is enough: over new seeds the interval is the t-test's of the seeds' means."""
    d = rng.normal(0.3, 1, (seeds, images))
    for found, means in ((new_seeds(components(d)), d.mean(1)), (new_images(components(d)), d.mean(0))):
        expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
        assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))
        assert found.degrees_of_freedom == len(means) - 1


def test_one_seed_leaves_no_degree_of_freedom(rng: np.random.Generator) -> None:
    d = rng.normal(0.3, 1, (1, 20))
    bounds = new_seeds(components(d))
    assert bounds.mean == pytest.approx(d.mean())
    assert np.isnan([bounds.standard_error, bounds.degrees_of_freedom, bounds.lower, bounds.upper]).all()
    assert math.isfinite(new_images(components(d)).upper)


@pytest.mark.parametrize("seeds", [2, 3, 50])
def test_two_seeds_are_the_first_that_are_tried(seeds: int, rng: np.random.Generator) -> None:
    """One seed has no spread, so two are the fewest that tell a difference that any number would."""
    found = seeds_needed(Law(1.0, 1e-12, 0.0, seeds, 100), 1, rng)
    assert (found.lower, found.median, found.upper) == (2, 2, 2)
