"""The crops, by name."""

from auglik.views.augmentation import Augmentation
from auglik.views.resized_crop import ResizedCrop
from auglik.views.soft_crop import SoftCrop

CROPS: dict[str, Augmentation] = {"soft-crop": SoftCrop(), "resized-crop": ResizedCrop()}
