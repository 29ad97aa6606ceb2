"""What tests of augmentations share: rendering of drawn parameters, and comparison of samples."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import contingency
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from auglik.system.splitmix import streams
from auglik.views.augmentation import Augmentation, Drawn, Parameters, Shape

SHAPES = [Shape(1, 8, 8), Shape(3, 32, 32), Shape(3, 12, 20), Shape(1, 64, 48)]


class NoWaiting(TorchDispatchMode):
    """Fails where a value or a count would have to come back from the device."""

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        assert func not in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.nonzero.default,
            torch.ops.aten.masked_select.default,
        )
        return func(*args, **(kwargs or {}))


def noise_images(count: int, shape: Shape) -> Tensor:
    """Standardized images [n,c,H,W], no two pixels alike."""
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


def render(
    augmentation: Augmentation, images: Tensor, parameters: Parameters, key: int = 1, index: Tensor | None = None
) -> Tensor:
    """The views of a copy of `images` [V,c,H,W], their noise keyed by `key` and `index` [V], else by their places.

    Nothing waits for the device.
    """
    device = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in parameters.items()}
    noise = streams(key, torch.arange(len(images)) if index is None else index)
    with NoWaiting():
        return augmentation.render(images.clone(), Drawn(parameters, device, noise))


def p_value_same(ours: ArrayLike, theirs: ArrayLike, bins: int = 12) -> float:
    """Chi-square test of two samples of numbers, in cells of about equal counts."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    edges = np.unique(np.quantile(np.concatenate([ours, theirs]), np.arange(1, bins) / bins))
    cells = [np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) for sample in (ours, theirs)]
    table = np.stack(cells)
    return float(contingency.chi2_contingency(table[:, table.sum(0) > 0]).pvalue)


def is_standard_normal(values: Tensor) -> bool:
    """Whether mean and variance are those of N(0,1), within five standard errors."""
    n = values.numel()
    return abs(float(values.mean())) < 5 / n**0.5 and abs(float(values.var()) - 1) < 5 * (2 / n) ** 0.5
