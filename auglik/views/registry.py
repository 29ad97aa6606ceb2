"""The augmentations by name, and pipelines of them as text: `fcr,trivial-augment,random-erasing:p=0.5`."""

from dataclasses import replace
from typing import cast

from auglik.objectives import InputError
from auglik.settings.names import names
from auglik.settings.registry import Registry, conforming
from auglik.views.augmentation import Augmentation
from auglik.views.augmentations.additive_noise import AdditiveNoise
from auglik.views.augmentations.cutout import Cutout
from auglik.views.augmentations.fcr import FlipCropRotate
from auglik.views.augmentations.orbit import Orbit
from auglik.views.augmentations.patch_noise import PatchNoise
from auglik.views.augmentations.random_erasing import RandomErasing
from auglik.views.augmentations.resized_crop import ResizedCrop
from auglik.views.augmentations.soft_crop import SoftCrop
from auglik.views.mixing.contract import MIXINGS, Mixing
from auglik.views.policies.augmix import AugMix
from auglik.views.policies.auto_augment import AutoAugment
from auglik.views.policies.rand_augment import RandAugment
from auglik.views.policies.single import Single
from auglik.views.policies.trivial_augment import TrivialAugmentWide
from auglik.views.probes import check_stage
from auglik.views.steps import Step

AUGMENTATIONS: dict[str, Augmentation] = {
    "fcr": FlipCropRotate(),
    "orbit": Orbit(),
    "trivial-augment": TrivialAugmentWide(),
    "rand-augment": RandAugment(),
    "auto-augment": AutoAugment(),
    "augmix": AugMix(),
    "single": Single(),
    "soft-crop": SoftCrop(),
    "resized-crop": ResizedCrop(),
    "random-erasing": RandomErasing(),
    "cutout": Cutout(),
    "patch-noise": PatchNoise(),
    "additive-noise": AdditiveNoise(),
}


def _accept(value: object) -> Augmentation | Mixing:
    if hasattr(value, "mix"):
        return cast(Mixing, conforming(value, "a mixing", Mixing))
    return cast(Augmentation, conforming(value, "an augmentation", Augmentation))


AUGMENTATION_NAMES: Registry[Augmentation | Mixing] = Registry(
    kind="augmentation",
    built_in={**AUGMENTATIONS, **MIXINGS},
    group="auglik.augmentations",
    accept=_accept,
    probe=check_stage,
)


def read_augmentations(text: str, fcr: FlipCropRotate) -> tuple[Mixing | None, tuple[Step, ...]]:
    """The mixing of images and the steps of views that the comma-separated `text` names; `none` means neither.

    `fcr` is what that name means. Raises InputError for unknown names and parameters, for two ways of mixing, for a
    mixing after a step, and for an augmentation of levels after one of standardized pixels.
    """
    known = replace(AUGMENTATION_NAMES, built_in={**AUGMENTATION_NAMES.built_in, "fcr": fcr})
    mixing: Mixing | None = None
    steps: list[Step] = []
    for item in names(text) if text != "none" else []:
        name = item.partition(":")[0]
        if name == "fcr" and item != name:
            raise InputError(f"augment: expected plain fcr, got {item!r}: --flip, --crop-padding and --rotation set it")
        augmentation = known.parse(item)
        if hasattr(augmentation, "mix"):
            if mixing is not None:
                raise InputError(f"augment: expected one mixing, such as {', '.join(MIXINGS)}, got two in {text!r}")
            if steps:
                raise InputError(f"augment: {name} mixes images before their views: put it first")
            mixing = cast(Mixing, augmentation)
            continue
        if (own := known.code(item)) is not None:
            name = f"own:{own[1].name}"  # keys its draws, wherever its file lies
        if steps and augmentation.domain == "levels" and steps[-1].augmentation.domain != "levels":
            before = steps[-1].name
            raise InputError(f"augment: {name} works on levels, {before} on standardized pixels: put {name} first")
        earlier = sum(step.name.partition("#")[0] == name for step in steps)
        steps.append(Step(f"{name}#{earlier + 1}" if earlier else name, augmentation))
    return mixing, tuple(steps)


def canonical_augmentations(text: str) -> str:
    """`text` with each name in its canonical form."""
    return ",".join(map(AUGMENTATION_NAMES.canonical, names(text))) if text != "none" else text
