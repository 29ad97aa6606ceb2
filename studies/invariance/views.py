"""Views of digits in three degrees of diversity, and labels of equal entropy in four arrangements."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from scipy import optimize
from torch import Tensor

from auglik.confidence.strength import WIDEST_ANGLE, WIDEST_FACTOR
from auglik.data import open_dataset
from auglik.scoring.label_entropy import mean_label_entropy
from auglik.views.operations import BATCHED

C, SIDE = 10, 8
WIDEST: Mapping[str, float] = {
    "rotate": WIDEST_ANGLE, "shear-x": WIDEST_FACTOR, "shear-y": WIDEST_FACTOR, "translate-x": SIDE,
    "translate-y": SIDE, "brightness": WIDEST_FACTOR, "contrast": WIDEST_FACTOR,
}  # fmt: skip
"""The magnitude of every operation at strength 1, either way."""
DIVERSITIES = ("fixed", "one", "many")
"""One rotation of each image, the same in all steps; another rotation in each step; or one of all operations."""
ARMS = ("hard", "constant", "shuffled again", "shuffled", "following")


class Digits(NamedTuple):
    """Images uint8 [R,n,1,8,8] and labels [R,n] that each of R seeds trains on; images and labels [N] of the test."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def digits(seeds: int, images: int, tests: int, generator: torch.Generator) -> Digits:
    """Another choice of the training images for every seed; the same test images for all."""
    source = open_dataset("digits")
    train, test = source.train(), source.test()
    rows = torch.stack([torch.randperm(len(train.labels), generator=generator)[:images] for _ in range(seeds)])
    return Digits(
        torch.from_numpy(train.images)[rows], torch.from_numpy(train.labels)[rows],
        torch.from_numpy(test.images[:tests]), torch.from_numpy(test.labels[:tests]),
    )  # fmt: skip


def views(images: Tensor, diversity: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One view of each image [N,1,8,8] as a vector in [0,1] [N,64], and the strength [N] of what was done to it.

    One operation each, of uniform strength s in [0,1] and random sign: a rotation, or under `many` any of WIDEST.
    """
    N, names = len(images), list(WIDEST) if diversity == "many" else ["rotate"]
    strength, sign, which = torch.rand(3, N, generator=generator)
    chosen, found = (which * len(names)).long(), images.clone()
    for number, name in enumerate(names):
        rows = torch.nonzero(chosen == number)[:, 0]
        magnitude = WIDEST[name] * strength[rows] * torch.where(sign[rows] < 0.5, -1, 1)
        magnitude = magnitude.round() if name.startswith("translate") else magnitude
        if len(rows):
            found[rows] = BATCHED[name].apply(found[rows], magnitude)
    return found.flatten(1).float() / 255, strength


def constant_decay(mean: float) -> float:
    """The decay of a label of that entropy."""
    return float(optimize.brentq(lambda decay: mean_label_entropy([decay], C) - mean, 0, 1, xtol=1e-14))


def decays(strength: Tensor, generator: torch.Generator) -> Tensor:
    """The decay gamma [A,R,n] of the views' labels in every arm, from their strengths [R,n]; float64.

    hard: 0. following: s^2. shuffled, and again: those same values at other views of the same seed. constant: one value
    whose entropy is the mean entropy of those.
    """
    following = strength.double() ** 2
    orders = torch.rand(2, *strength.shape, generator=generator).argsort(-1)
    again, shuffled = (following.gather(1, order) for order in orders)
    means = [mean_label_entropy(one, C) for one in following.numpy()]
    constant = torch.tensor([constant_decay(mean) for mean in means], dtype=torch.float64)
    return torch.stack(
        [torch.zeros_like(following), constant[:, None].expand_as(following), again, shuffled, following]
    )
