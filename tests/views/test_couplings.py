"""Coupled views: each keeps its distribution, prefixes are nested, strata are filled, and means vary less."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import beta, binomtest, chisquare, kstest, uniform  # type: ignore[attr-defined]

from auglik.objectives import Schedule
from auglik.runs.resolve import training_pipeline
from auglik.views import Draws, FlipCropRotate, Mollification, Pipeline, Shape, Step
from auglik.views.couplings import COUPLINGS, Coupling
from tests import tiny

CPU = torch.device("cpu")
SHAPE = Shape(1, 8, 8)
IMAGES = 4000


def drawn(coupling: Coupling | None, views: int = 8, seed: int = 0, epoch: int = 0) -> Draws:
    mollification = Mollification(Schedule(both=0.5, alpha=0.7, beta=1.5))
    steps = (Step("fcr", FlipCropRotate(flip=0.3, padding=2)),)
    return Pipeline(SHAPE, steps, mollification, coupling=coupling).draw(seed, epoch, views, IMAGES, CPU)


@pytest.mark.parametrize("name", COUPLINGS)
def test_every_view_keeps_its_distribution(name: str) -> None:
    """Of roles, temperatures, flips, offsets and angles, each view by itself, at a chance of 1e-4 of a false alarm."""
    draws = drawn(COUPLINGS[name])
    shares = Schedule(both=0.5, alpha=0.7, beta=1.5).shares()
    for view in range(8):
        parameters = {key: values[view] for key, values in draws.parameters.items()}
        counts = np.bincount(draws.role[view], minlength=4)
        assert chisquare(counts, np.array(shares) * IMAGES).pvalue > 1e-4
        assert kstest(draws.temperature[view], beta(0.7, 1.5).cdf).pvalue > 1e-4
        assert binomtest(int(parameters["fcr.flip"].sum()), IMAGES, 0.3).pvalue > 1e-4
        for side in ("top", "left"):
            assert chisquare(np.bincount(parameters[f"fcr.{side}"] + 2, minlength=5)).pvalue > 1e-4
        degrees = np.degrees(np.arctan2(parameters["fcr.sin"], parameters["fcr.cos"]))
        assert kstest(degrees, uniform(-15, 30).cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", COUPLINGS)
def test_within_a_view_numbers_are_independent(name: str) -> None:
    numbers = COUPLINGS[name].uniforms(3, "training", 0, 4, 20_000, 6)
    assert numbers.shape == (4, 20_000, 6)
    assert numbers.min() > 0
    assert numbers.max() < 1
    for view in numbers:
        correlation = np.corrcoef(view.T) - np.eye(6)
        assert np.abs(correlation).max() < 5 / math.sqrt(20_000)
        table = np.histogram2d(view[:, 0], view[:, 1], bins=4, range=[[0, 1], [0, 1]])[0]
        assert chisquare(table.ravel()).pvalue > 1e-4
        lagged = np.corrcoef(view[:-1, 0], view[1:, 0])[0, 1]  # images do not depend on each other
        assert abs(lagged) < 5 / math.sqrt(20_000)


@pytest.mark.parametrize("name", COUPLINGS)
def test_two_views_are_the_first_of_four_and_keys_matter(name: str) -> None:
    two, four = drawn(COUPLINGS[name], 2), drawn(COUPLINGS[name], 4)
    assert two.view_digests() == four.view_digests()[:2]
    assert drawn(COUPLINGS[name], 3).view_digests() == four.view_digests()[:3]
    assert two.view_digests() == drawn(COUPLINGS[name], 2).view_digests()
    assert not set(two.view_digests()) & set(drawn(COUPLINGS[name], 2, seed=1).view_digests())
    assert not set(two.view_digests()) & set(drawn(COUPLINGS[name], 2, epoch=1).view_digests())


@pytest.mark.parametrize("name", ["stratified", "sobol"])
@pytest.mark.parametrize("views", [2, 4, 8, 16])
def test_a_power_of_two_views_fill_all_strata(name: str, views: int) -> None:
    numbers = COUPLINGS[name].uniforms(0, "training", 0, views, 50, 6)
    strata = np.sort((numbers * views).astype(int), axis=0)
    assert (strata == np.arange(views)[:, None, None]).all()


@pytest.mark.parametrize("name", ["stratified", "sobol"])
def test_below_the_first_bit_that_differs_two_views_are_independent(name: str) -> None:
    """As under Owen's scrambling, by which no mean over two views varies more than that of independent ones."""
    one, other = (COUPLINGS[name].uniforms(1, "training", 0, 2, 40_000, 1)[..., 0] * 2.0**32).astype(np.uint64)
    differ = one ^ other
    assert (differ >> np.uint64(31) == 1).all()
    for below in range(1, 8):
        share = float((differ >> np.uint64(31 - below) & np.uint64(1)).mean())
        assert abs(share - 0.5) < 4 * 0.5 / math.sqrt(40_000)


def test_antithetic_pairs_add_to_one() -> None:
    numbers = COUPLINGS["antithetic"].uniforms(0, "training", 0, 5, 50, 2)
    assert numbers[0] + numbers[1] == pytest.approx(np.ones((50, 2)))
    assert numbers[2] + numbers[3] == pytest.approx(np.ones((50, 2)))
    assert not np.allclose(numbers[0] + numbers[2], 1)


def test_sobol_points_fill_boxes_of_two_dimensions() -> None:
    """Four views of an image: one in each quarter of role and temperature, as a net of two dimensions says."""
    numbers = COUPLINGS["sobol"].uniforms(0, "training", 0, 4, 200, 2)
    quarters = np.sort((numbers[..., 0] >= 0.5) * 2 + (numbers[..., 1] >= 0.5), axis=0)
    assert (quarters == np.arange(4)[:, None]).all()


@pytest.mark.parametrize("name", COUPLINGS)
def test_means_over_views_vary_less(name: str) -> None:
    """The mean decay of 8 views of an image: the same mean as of independent views, at 3/4 of the variance or less."""
    coupled, independent = (drawn(coupling).decay.mean(0) for coupling in (COUPLINGS[name], None))
    error = 4 * math.hypot(coupled.std(), independent.std()) / math.sqrt(IMAGES)
    assert abs(coupled.mean() - independent.mean()) < error
    assert coupled.var() < 0.75 * independent.var()


def test_independent_views_have_no_coupling_and_runs_have_the_named_one(tmp_path: Path) -> None:
    assert training_pipeline(tiny.run(), SHAPE, 10).coupling is None
    run = tiny.run(coupling="sobol")
    pipeline = training_pipeline(run, SHAPE, 10)
    assert pipeline.coupling == COUPLINGS["sobol"]
    assert "coupled by Sobol" in pipeline.describe()
    assert run.evaluation_views.coupling is None
