"""The crops, by name."""

from auglik.views.augmentation import Augmentation
from auglik.views.augmentations.resized_crop import ResizedCrop
from auglik.views.augmentations.soft_crop import SoftCrop

CROPS: dict[str, Augmentation] = {"soft-crop": SoftCrop(), "resized-crop": ResizedCrop()}
