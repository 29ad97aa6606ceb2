"""The stages of a pipeline by name, and the parameters that were drawn for them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError
from auglik.system.keys import host_generator
from auglik.views.augmentation import Augmentation, Drawn, Enumerated, Parameters, Shape


class Step(NamedTuple):
    """An augmentation with a unique name in its pipeline; the name keys its draws."""

    name: str
    augmentation: Augmentation

    def generator(self, seed: int, purpose: str, epoch: int, view: int) -> np.random.Generator:
        # Flip, crop and rotation have the first key that there was, so that results of earlier versions stay valid.
        key = "augmentation" if self.name == "fcr" else f"augmentation {self.name}"
        return host_generator(seed, purpose, key, epoch, view)

    def draw(self, seed: int, purpose: str, epoch: int, view: int, count: int, shape: Shape) -> Parameters:
        """Of one view of each of `count` images [n,...]."""
        if isinstance(self.augmentation, Enumerated):
            return self.augmentation.element(view, count)
        return self.augmentation.draw(self.generator(seed, purpose, epoch, view), count, shape)

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Views [V,c,H,W], as the images are. Raises InputError where the augmentation gives others."""
        shape, dtype = images.shape, images.dtype
        views: object = self.augmentation.render(images, drawn)
        if not isinstance(views, Tensor):
            raise InputError(f"{self.name}: expected views as a tensor, got {type(views).__name__}")
        if views.shape != shape or views.dtype != dtype:
            raise InputError(
                f"{self.name}: expected views {list(shape)} of {dtype}, as the images are, got {list(views.shape)} of"
                f" {views.dtype}"
            )
        return views


def of_step(
    step: Step, host: Parameters, device: Mapping[str, Tensor], chunk: slice
) -> tuple[Parameters, Mapping[str, Tensor]]:
    """The parameters of one step, for some of the views."""
    prefix = f"{step.name}."
    return (
        {name.removeprefix(prefix): values[chunk] for name, values in host.items() if name.startswith(prefix)},
        {name.removeprefix(prefix): values[chunk] for name, values in device.items() if name.startswith(prefix)},
    )


def stacked(drawn: Sequence[Parameters]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Parameters of K views [N,...] as [K,N,...]."""
    for name in drawn[0]:
        yield name, np.stack([values[name] for values in drawn])
