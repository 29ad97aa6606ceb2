"""Views: random transformations of images, batched on the device, each with its own parameters and decay."""

from auglik.views.augmentation import OPERATIONS, Applied, Augmentation, Drawn, Shape
from auglik.views.augmentations.fcr import FlipCropRotate, fetch, levels
from auglik.views.draws import Draws, Views
from auglik.views.mollification import Mollification
from auglik.views.pipeline import Pipeline, Softening
from auglik.views.steps import Step
from auglik.views.store import Gallery

__all__ = [
    "OPERATIONS",
    "Applied",
    "Augmentation",
    "Drawn",
    "Draws",
    "FlipCropRotate",
    "Gallery",
    "Mollification",
    "Pipeline",
    "Shape",
    "Softening",
    "Step",
    "Views",
    "fetch",
    "levels",
]
