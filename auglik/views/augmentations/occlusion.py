"""What hides parts of an image or drowns them in noise, by name."""

from auglik.views.augmentation import Augmentation
from auglik.views.augmentations.additive_noise import AdditiveNoise
from auglik.views.augmentations.cutout import Cutout
from auglik.views.augmentations.patch_noise import PatchNoise
from auglik.views.augmentations.random_erasing import RandomErasing

OCCLUSIONS: dict[str, Augmentation] = {
    "random-erasing": RandomErasing(),
    "cutout": Cutout(),
    "patch-noise": PatchNoise(),
    "additive-noise": AdditiveNoise(),
}
