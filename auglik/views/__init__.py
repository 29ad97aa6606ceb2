"""Views: random transformations of images, batched on the device, each with parameters and a decay of its own."""

from auglik.views.fcr import FlipCropRotate, fetch
from auglik.views.gallery import Gallery
from auglik.views.mollification import Mollification
from auglik.views.pipeline import Draws, Pipeline, Views

__all__ = ["Draws", "FlipCropRotate", "Gallery", "Mollification", "Pipeline", "Views", "fetch"]
