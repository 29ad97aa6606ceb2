"""Policies that draw operations for each view: torchvision's distributions, batched."""

from dataclasses import replace

from auglik.views.augmentation import Augmentation
from auglik.views.operations import compiled
from auglik.views.policies.augmix import AugMix
from auglik.views.policies.auto_augment import AutoAugment
from auglik.views.policies.rand_augment import RandAugment
from auglik.views.policies.single import Single
from auglik.views.policies.trivial_augment import TrivialAugmentWide

Policy = TrivialAugmentWide | RandAugment | AutoAugment | AugMix | Single

POLICIES: dict[str, Policy] = {
    "trivial-augment": TrivialAugmentWide(),
    "rand-augment": RandAugment(),
    "auto-augment": AutoAugment(),
    "augmix": AugMix(),
    "single": Single(),
}


def with_compiled(augmentation: Augmentation) -> Augmentation:
    """The same with its kernels run through torch.compile; of augmentations that are no policies, themselves."""
    return replace(augmentation, run=compiled) if isinstance(augmentation, Policy) else augmentation


__all__ = [
    "POLICIES",
    "AugMix",
    "AutoAugment",
    "Policy",
    "RandAugment",
    "Single",
    "TrivialAugmentWide",
    "with_compiled",
]
