"""Policies that draw operations for each view: torchvision's distributions, batched."""

from auglik.views.augmentation import Augmentation
from auglik.views.policies.augmix import AugMix
from auglik.views.policies.auto_augment import AutoAugment
from auglik.views.policies.rand_augment import RandAugment
from auglik.views.policies.single import Single
from auglik.views.policies.trivial_augment import TrivialAugmentWide

POLICIES: dict[str, Augmentation] = {
    "trivial-augment": TrivialAugmentWide(),
    "rand-augment": RandAugment(),
    "auto-augment": AutoAugment(),
    "augmix": AugMix(),
    "single": Single(),
}


__all__ = [
    "POLICIES",
    "AugMix",
    "AutoAugment",
    "RandAugment",
    "Single",
    "TrivialAugmentWide",
]
