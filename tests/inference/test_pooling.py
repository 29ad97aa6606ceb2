"""Partial pooling over classes in a world whose shares are known."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit, xlog1py, xlogy

from auglik.inference import pooling
from auglik.inference.convergence import LIMITS
from auglik.inference.pooling import Pooled, pooled
from auglik.objectives import InputError

C, M, IMAGES, UNSEEN = 10, 6, 20, (3, 4)
STRENGTH = np.linspace(0, 1, M)[None]


class World(NamedTuple):
    share: NDArray[np.float64]
    right: NDArray[np.int64]
    images: NDArray[np.int64]
    found: Pooled


@pytest.fixture(scope="module")
def world() -> World:
    """Classes differ untouched by 0.4 logits, and by 1 more at full strength; one cell and one class have no images."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 0.4, (C, 1)), rng.normal(0, 1, (C, 1))
    share = expit(np.linspace(3, -1, M) + a + b * STRENGTH)[None]
    images = np.full((1, C, M), IMAGES)
    images[0][UNSEEN] = 0
    images[0, -1] = 0
    right = rng.binomial(images, share)
    return World(share, right, images, pooled(right, images, STRENGTH, 0))


def held_out(world: World, share: NDArray[np.float64]) -> float:
    """The expected loss of new images, in nats each, over the classes that were seen."""
    truth, seen = world.share[0, :-1], share[:-1]
    return float(-(xlogy(truth, seen) + xlog1py(1 - truth, -seen)).mean())


def test_partial_pooling_predicts_new_images_better_than_none_and_than_complete(world: World) -> None:
    none = ((world.right + 0.5) / (world.images + 1))[0]  # Jeffreys' prior: a share of 0 or 1 would lose without end
    complete = np.broadcast_to((world.right.sum(1) / world.images.sum(1))[0], (C, M))
    losses = [held_out(world, share) for share in (world.found.share[0], none, complete)]
    assert losses[0] - held_out(world, world.share[0]) < 0.5 * (min(losses[1:]) - held_out(world, world.share[0]))


def test_posterior_mean_recovers_shares_and_that_classes_differ_more_at_full_strength(world: World) -> None:
    assert np.abs(world.found.share - world.share)[0, :-1].mean() < 0.05
    level, growth = world.found.scales[0]
    assert 0.1 < level < 1
    assert level < growth < 2


def test_what_has_no_images_lies_on_the_operations_curve_but_for_what_else_is_known_of_its_class(world: World) -> None:
    curve = (world.right.sum(1) / world.images.sum(1))[0]
    assert np.abs(world.found.share[0, -1] - curve).max() < 0.1
    row, column = UNSEEN
    off = logit(world.found.share[0, row]) - logit(world.found.share[0, -1])
    assert off[column] == pytest.approx((off[column - 1] + off[column + 1]) / 2, abs=0.2)


def test_chains_converge_by_the_projects_rule_and_say_so_if_they_do_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not world.found.diagnostics.warnings("confidence by class")
    assert world.found.diagnostics.r_hat <= LIMITS.r_hat
    monkeypatch.setattr(pooling, "DRAWS", 20)
    (line, *_) = pooled(world.right, world.images, STRENGTH, 0).diagnostics.warnings("confidence by class")
    assert line.startswith("confidence by class's sampler has not converged")


def test_other_counts_are_refused_in_one_line(world: World) -> None:
    for right, strength in ((world.images + 1, STRENGTH), (world.right, STRENGTH[:, 1:]), (world.right[0], STRENGTH)):
        with pytest.raises(InputError, match="none above that of its images") as refusal:
            pooled(right, world.images, strength, 0)
        assert "\n" not in str(refusal.value)
