"""What hides parts of an image or drowns them in noise, by name."""

from auglik.views.additive_noise import AdditiveNoise
from auglik.views.augmentation import Augmentation
from auglik.views.cutout import Cutout
from auglik.views.patch_noise import PatchNoise
from auglik.views.random_erasing import RandomErasing

OCCLUSIONS: dict[str, Augmentation] = {
    "random-erasing": RandomErasing(),
    "cutout": Cutout(),
    "patch-noise": PatchNoise(),
    "additive-noise": AdditiveNoise(),
}
