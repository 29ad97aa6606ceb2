"""Flip, crop, rotation and a policy on batches of 128 CIFAR-10 images, beside torchvision, PIL and kornia.

Every figure is the time per batch of standardized float32 images; torchvision and PIL work one image at a time in a
DataLoader's worker (see benchmarks.augmentation). Kornia (`pip install kornia`; without it its rows are left out) works
on batches, but its policies draw one operation for a whole batch, so they do less; it has no AugMix.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import transforms as v1
from torchvision.transforms import v2

from auglik.data import channel_statistics
from auglik.views import Augmentation
from auglik.views.policies.augmix import AugMix
from auglik.views.policies.auto_augment import AutoAugment
from auglik.views.policies.rand_augment import RandAugment
from auglik.views.policies.trivial_augment import TrivialAugmentWide
from benchmarks import timing
from benchmarks.augmentation import Stream, Transformed, loader, ours, pil_transform, tensor_transform
from benchmarks.command import benchmark, cifar10_option, rounds_option, threads_option

OURS_PER_ROUND = 50
WARM_UP = 8
"""Calls, enough to compile each kernel: a batch may lack an operation."""


class Goals(NamedTuple):
    """How many times as fast as each peer; None: it has no such policy."""

    torchvision: float
    pil: float
    kornia: float | None


class Contest(NamedTuple):
    """A policy, that of the peers, and the goals."""

    ours: tuple[Augmentation, ...]
    torchvision: tuple[v2.Transform, ...]
    pil: tuple[torch.nn.Module, ...]
    kornia: str
    goals: Goals


CIFAR10 = v1.AutoAugmentPolicy.CIFAR10
CONTESTS: dict[str, Contest] = {
    "FCR": Contest((), (), (), "none", Goals(50, 25, 8)),
    "FCR + TrivialAugmentWide": Contest(
        (TrivialAugmentWide(),), (v2.TrivialAugmentWide(),), (v1.TrivialAugmentWide(),), "trivial", Goals(20, 12, 3.5)
    ),
    "FCR + RandAugment": Contest((RandAugment(),), (v2.RandAugment(),), (v1.RandAugment(),), "rand", Goals(18, 8, 3)),
    "FCR + AutoAugment": Contest(
        (AutoAugment(),), (v2.AutoAugment(CIFAR10),), (v1.AutoAugment(CIFAR10),), "auto", Goals(18, 8, 3.5)
    ),
    "FCR + AugMix": Contest((AugMix(),), (v2.AugMix(),), (v1.AugMix(),), "", Goals(8, 5, None)),
}


def kornia_batches(images: NDArray[np.uint8], policy: str) -> timing.Timed:
    """The time of a batch through kornia, from the images in memory."""
    from kornia.augmentation import Normalize, RandomCrop, RandomHorizontalFlip, RandomRotation, auto

    mean, std = map(torch.tensor, channel_statistics(images))
    policies: dict[str, list[torch.nn.Module]] = {
        "none": [],
        "trivial": [auto.TrivialAugment()],
        "rand": [auto.RandAugment(2, 9)],
        "auto": [auto.AutoAugment("cifar10")],
    }
    transform = torch.nn.Sequential(
        RandomHorizontalFlip(),
        RandomCrop((32, 32), padding=4),
        RandomRotation(15.0, resample="nearest"),
        *policies[policy],
        Normalize(mean, std),
    )
    levels, following = torch.from_numpy(images), timing.batches(len(images))

    def batch() -> Tensor:
        return transform(levels[torch.from_numpy(following())].float().div_(255))

    return timing.median_of(batch, OURS_PER_ROUND)


@benchmark(__doc__, compiles=True)
@cifar10_option
@rounds_option(7)
@threads_option
def main(cifar10: Path | None, rounds: int) -> None:
    images, images_are = timing.images_of(cifar10)
    mean, std = channel_statistics(images)
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    timed: dict[str, timing.Timed] = {}
    rows: list[timing.Row] = []
    streams: list[Stream] = []

    def add(what: str, peer: str, goal: float, theirs: timing.Timed) -> None:
        timed[f"{peer} {what}"] = theirs
        rows.append(timing.Row(what, f"compiled {what}", f"{peer} {what}", goal=goal))

    def loaded(transform: Callable[[object], Tensor], pil: bool) -> timing.Timed:
        one, stream = loader(Transformed(pixels, transform, pil), rounds)
        streams.append(stream)
        return one

    for what, contest in CONTESTS.items():
        timed[f"compiled {what}"] = ours(images, True, *contest.ours, calls=OURS_PER_ROUND, warm_up=WARM_UP)
        timed[f"eager {what}"] = ours(images, False, *contest.ours, calls=OURS_PER_ROUND, warm_up=WARM_UP)
        goals = contest.goals
        add(what, "torchvision v2", goals.torchvision, loaded(tensor_transform(mean, std, *contest.torchvision), False))
        add(what, "PIL", goals.pil, loaded(pil_transform(mean, std, *contest.pil), True))
        if goals.kornia is not None and find_spec("kornia") is not None:
            add(what, "kornia", goals.kornia, kornia_batches(images, contest.kornia))
        rows.append(timing.Row(what, f"eager {what}", f"torchvision v2 {what}"))
    seconds = timing.interleaved(timed, rounds)
    timing.print_table(f"Batches of {timing.BATCH} images, {images_are}", rows, timed, seconds)


if __name__ == "__main__":
    main()
