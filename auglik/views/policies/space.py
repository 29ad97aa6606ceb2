"""What the policies of the AutoAugment family share: strengths in bins, signs at random, rendering step by step."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import InputError
from auglik.views.augmentation import OPERATIONS, Applied, Drawn, Parameters, Shape
from auglik.views.operations import BATCHED, BILINEAR, Grouping, Run, coefficients_of, done_by, operate

SIGNED = ("rotate", "shear-x", "shear-y", "translate-x", "translate-y", "brightness", "color", "contrast", "sharpness")
"""Operations that go both ways with equal chance."""

GROUPINGS = {False: Grouping.of(BATCHED), True: Grouping.of(BILINEAR)}
"""Of views, by whether geometric operations interpolate."""


class Space(NamedTuple):
    """O operations (indices into OPERATIONS), the magnitudes of their bins float32 [O,bins], whether signs vary."""

    operation: NDArray[np.uint8]
    magnitude: NDArray[np.float32]
    signed: NDArray[np.bool_]

    @staticmethod
    def of(ranges: Mapping[str, tuple[float, float]], bins: int) -> "Space":
        """From the weakest to the strongest magnitude of each operation."""
        return Space(
            np.array([OPERATIONS.index(name) for name in ranges], np.uint8),
            np.stack([magnitudes(name, *ends, bins) for name, ends in ranges.items()]),
            np.array([name in SIGNED for name in ranges]),
        )

    def drawn(
        self, generator: np.random.Generator, which: NDArray[np.integer], at: NDArray[np.integer], shape: Shape
    ) -> dict[str, NDArray[np.generic]]:
        """`which` operations [...] in bins `at`, with random signs: operation, magnitude, coefficients [...,6]."""
        magnitude = self.magnitude[which, at]
        negative = self.signed[which] & (generator.random(which.shape, np.float32) < 0.5)
        return parameters_of(self.operation[which], np.where(negative, -magnitude, magnitude), shape)


def magnitudes(name: str, weakest: float, strongest: float, bins: int) -> NDArray[np.float32]:
    """Evenly from the weakest to the strongest, whole for posterize: [bins].

    torchvision's, from the nearer end in steps of float32. Its own torch.linspace rounds as the kernel of the processor
    does; here every magnitude, and so its digest, is the same on all.
    """
    if name == "posterize" and weakest != strongest:
        bits = weakest - np.arange(bins, dtype=np.float32) / np.float32((bins - 1) / (weakest - strongest))
        return np.rint(bits)
    low, high = np.float32(weakest), np.float32(strongest)
    step, i = float((high - low) / np.float32(bins - 1)), np.arange(bins)
    return np.where(i < bins // 2, low + step * i, high - step * (bins - 1 - i)).astype(np.float32)


def parameters_of(
    operation: NDArray[np.uint8], magnitude: NDArray[np.float32], shape: Shape
) -> dict[str, NDArray[np.generic]]:
    """The parameters of a policy's views."""
    coefficients = coefficients_of(operation, magnitude, shape.height, shape.width, BATCHED)
    return {"operation": operation, "magnitude": magnitude, "coefficients": coefficients}


def operations_of(parameters: Parameters) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Operations and magnitudes among a policy's parameters."""
    return np.asarray(parameters["operation"], np.uint8), np.asarray(parameters["magnitude"], np.float32)


def reported(parameters: Parameters, shape: Shape) -> Sequence[Applied]:
    """One branch: the operations [n,S] in turn."""
    operation, drawn = operations_of(parameters)
    magnitude, seen = done_by(operation, drawn, shape.height, shape.width, BATCHED)
    return [Applied(np.ones(len(operation), np.float32), operation, magnitude, seen)]


def in_turn(images: Tensor, drawn: Drawn, bilinear: bool, run: Run) -> Tensor:
    """Views of levels [V,c,H,W] under their operations [V,S], one after the other."""
    operation, _ = operations_of(drawn.host)
    return operate(images, operation, drawn.device["coefficients"], GROUPINGS[bilinear], run)


def check_size(policy: str, shape: Shape) -> None:
    """Raises InputError for images that have no inner pixel, or neither one nor three channels."""
    c, H, W = shape
    if min(H, W) < 3:
        raise InputError(
            f"{policy}: expected images of 3 x 3 pixels or more, got {H} x {W}; sharpness needs inner ones"
        )
    if c not in (1, 3):
        raise InputError(f"{policy}: expected gray or RGB images (1 or 3 channels), got {c} channels")
