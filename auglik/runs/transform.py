"""Views in your own training loop: a batch transform that draws and renders the same views as `auglik train`."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Literal, TypeVar, cast, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from auglik.confidence import check_rules, of_images, parse_rules
from auglik.data import by_number
from auglik.objectives import InputError
from auglik.runs.resolve import pipeline_of, resolve_view, softening_of
from auglik.runs.settings import SETTINGS, RunConfig, change
from auglik.runs.view_settings import ViewConfig
from auglik.system.keys import host_generator
from auglik.views import Draws, FlipCropRotate, Gallery, Pipeline, Shape, Views
from auglik.views.packing import pack
from auglik.views.store import standardization

Pixels = Literal["levels", "unit", "standardized"]
"""What a batch holds: uint8 0..255; floats in [0,1]; floats standardized by the transform's own statistics."""

WHOLE = 0.05
"""How far a standardized pixel may be from a whole level: float32 stays within 0.001."""


F = TypeVar("F", bound=Callable[..., object])


def eager(function: F) -> F:
    """The same, not traced when compiled code calls it: a tracer would take over NumPy's draws."""
    return cast(F, torch.compiler.disable(function))


@final
@dataclass(frozen=True)
class ViewTransform:
    """K = `views` views of every image of a batch, for any loop: `views = transform(images, generator=generator)`.

    Keyword arguments are the settings of `auglik train`, with the same defaults; `flip=None` is 0.5 here, so give
    0 if a flip changes the class. `mean` and `std` [c] standardize the views, in units of [0,1]. `pixels` says what
    batches hold (floats are ambiguous): levels (uint8), unit (floats in [0,1]) or standardized (by `mean` and `std`);
    floats are rounded to the 256 levels that views are made from. `classes` is required with `soften`.
    Raises InputError for settings that are unknown or out of range.
    """

    augment: str = ViewConfig.augment
    _: KW_ONLY
    mean: Sequence[float]
    std: Sequence[float]
    pixels: Pixels = "levels"
    views: int = RunConfig.views
    mollify: str = ViewConfig.mollify
    flip: float | None = ViewConfig.flip
    crop_padding: int | None = ViewConfig.crop_padding
    rotation: float = ViewConfig.rotation
    clean_share: float | None = ViewConfig.clean_share
    alpha: float = ViewConfig.alpha
    beta: float = ViewConfig.beta
    k_noise: float = ViewConfig.k_noise
    k_blur: float = ViewConfig.k_blur
    soften: str = RunConfig.soften
    soften_into: str = RunConfig.soften_into
    compose: str = RunConfig.compose
    classes: int | None = None

    def __post_init__(self) -> None:
        for name, lowest in (("mean", 0.0), ("std", sys.float_info.min)):
            object.__setattr__(self, name, of_channels(name, getattr(self, name), lowest))
        if len(self.mean) != len(self.std):
            raise InputError(
                f"std: expected one number per channel, as in mean, got {len(self.std)} for {len(self.mean)}"
            )
        if self.pixels not in get_args(Pixels):
            raise InputError(f"pixels: expected {', '.join(get_args(Pixels))}, got {self.pixels!r}")
        if parse_rules(self.config.soften) and (self.classes is None or self.classes < 2):
            raise InputError(f"soften: expected classes=C, the number of classes, at least 2, got {self.classes}")

    @cached_property
    def config(self) -> RunConfig:
        """The settings of a run with these views, all others at their defaults."""
        shared = (item.name for item in fields(self) if item.name in SETTINGS)
        return change(RunConfig(), {name: getattr(self, name) for name in shared})

    @eager
    def __call__(self, images: Tensor, *, generator: torch.Generator) -> Views:
        """Views of a batch [B,c,H,W] on its device, from one number that the CPU `generator` draws.

        Images are mixed among themselves. In a DataLoader worker, which has a copy of the generator, the worker's
        own seed enters too, so that no two workers and no two epochs draw the same. Nothing waits for the device.
        Raises InputError for anything but such a batch and, on a CPU (elsewhere the check would wait), for pixels out
        of range or, if `pixels` is standardized, with other statistics.
        """
        gallery, worker = self._gallery(images), get_worker_info()
        seed = int(torch.randint(2**63 - 1, (), generator=of_cpu(generator), device="cpu"))
        epoch, positions = 0 if worker is None else worker.seed, np.arange(len(images))
        draws = pipeline(self, gallery.shape).draw(seed, epoch, self.views, len(images), images.device, purpose="batch")
        return self._rendered(gallery, draws, positions)

    def epoch(self, shape: Sequence[int], *, seed: int, epoch: int) -> "EpochTransform":
        """The views and batches of epoch 0, 1, ... of the run with that seed, for training images of shape [N,c,H,W].

        Raises InputError for another shape and for images that cannot be transformed.
        """
        if len(shape) != 4 or min(shape) < 1 or seed < 0 or epoch < 0:
            got = f"{list(shape)}, {seed} and {epoch}"
            raise InputError(f"epoch: expected the shape [N,c,H,W] of all images, seed and epoch >= 0, got {got}")
        images, *of_image = (int(size) for size in shape)
        pipeline(self, Shape(*of_image))
        return EpochTransform(transform=self, images=images, shape=Shape(*of_image), seed=seed, epoch=epoch)

    def _gallery(self, images: Tensor) -> Gallery:
        """The batch as views are made from it. Raises InputError as `__call__` does."""
        _, c, H, W = batch_shape(images)
        if images.device.type not in ("cpu", "cuda"):
            raise InputError(f"images: expected a batch on cpu or cuda, got {images.device}")
        if c != len(self.mean):
            raise InputError(f"images: expected {len(self.mean)} channels, as in mean, got {c}")
        scale, shift = statistics(self, images.device)
        pixels = pack(self._levels(images, scale, shift))
        return Gallery(pixels=pixels, channels=c, height=H, width=W, scale=scale, shift=shift)

    def _levels(self, images: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """uint8 [B,c,H,W]. Raises InputError for a dtype that `pixels` excludes and, on a CPU, for such values."""
        wanted = (torch.uint8,) if self.pixels == "levels" else (torch.float32, torch.float64)
        if images.dtype not in wanted:
            cause = "floats may be in [0,1] or standardized: choose pixels='unit' or pixels='standardized'"
            if not images.is_floating_point():
                cause = "levels are uint8 and pixels='levels'"
            elif self.pixels != "levels":
                cause = "half precision cannot represent all levels: augment before casting"
            raise InputError(f"images: expected {self.pixels} of {wanted[0]}, got {images.dtype} ({cause})")
        if self.pixels == "levels":
            return images
        exact = images.detach() * 255
        if self.pixels == "standardized":
            exact = (images.detach() - shift[:, None, None]) / scale[:, None, None]
        levels = exact.round()
        if images.device.type == "cpu":
            lowest, highest = (float(value) for value in levels.aminmax())
            if not (lowest >= 0 and highest <= 255):  # NaN neither
                raise InputError(
                    f"images: expected {self.pixels} pixels of levels 0..255, got {lowest:g}..{highest:g} (other"
                    " statistics than mean and std, NaN, or pixels= of another kind?)"
                )
            if self.pixels == "standardized" and float((exact - levels).abs().max()) > WHOLE:
                raise InputError(
                    "images: expected pixels standardized by mean and std, got values between two levels (different"
                    " statistics, floats in [0,1], or images resized as floats?)"
                )
        return levels.clamp(0, 255).to(torch.uint8)

    def _rendered(self, gallery: Gallery, draws: Draws, positions: NDArray[np.int64]) -> Views:
        # Autocast would blur in half precision; in `auglik train` it is the network's alone.
        with torch.no_grad(), torch.autocast(gallery.scale.device.type, enabled=False):
            return pipeline(self, gallery.shape).render(gallery, draws, positions)


@final
@dataclass(frozen=True, kw_only=True)
class EpochTransform:
    """The views of one epoch of `auglik train` with that seed: an image's own, whatever batch it is in."""

    transform: ViewTransform
    images: int
    """N, all training images."""
    shape: Shape
    seed: int
    epoch: int

    def batches(self, size: int) -> list[list[int]]:
        """The positions of the images of every step, for the `batch_sampler` of a DataLoader: B = min(`size`, N) each.

        Images that do not fill a whole step are left out. If images are mixed, their B partners follow the B images.
        """
        if size < 1:
            raise InputError(f"batches: expected at least one image per step, got {size}")
        B = min(size, self.images)
        order = host_generator(self.seed, "batches", self.epoch).permutation(self.images)
        steps = order[: self.images // B * B].reshape(-1, B)
        partner = self.draws.mixing.get("partner")
        return (steps if partner is None else np.concatenate([steps, partner[steps]], 1)).tolist()

    @eager
    def __call__(self, images: Tensor, where: Sequence[int] | Tensor) -> Views:
        """Views of a batch [B,c,H,W] on its device: the images at the positions `where` [B], as `batches` gives them.

        If images are mixed, both are the B images followed by their partners, [2B,...] and [2B]; so are the labels
        that `Views.labels` takes. Raises InputError as `ViewTransform` does, and for positions of other images.
        """
        if isinstance(where, Tensor) and where.device.type != "cpu":
            raise InputError(
                f"where: expected positions on the host, got {where.device}: reading them would wait for the device"
            )
        positions, gallery = np.asarray(where), self.transform._gallery(images)
        if positions.shape != (len(images),) or positions.dtype.kind not in "iu" or gallery.shape != self.shape:
            got = f"{list(positions.shape)} of {positions.dtype} for images {list(images.shape)}"
            raise InputError(f"where: expected the position of each image, for images {list(self.shape)}, got {got}")
        if positions.min() < 0 or positions.max() >= self.images:
            raise InputError(
                f"where: expected positions 0..{self.images - 1}, got {positions.min()}..{positions.max()}"
            )
        partner, own = self.draws.mixing.get("partner"), positions.astype(np.int64)
        if partner is not None:
            own, others = np.split(own, [len(own) // 2])
            if not np.array_equal(partner[own], others):
                raise InputError("where: expected images followed by their mixing partners, as batches() gives them")
        draws = self.draws.of(own).on(images.device)
        return self.transform._rendered(gallery, draws, np.arange(len(own)))

    @cached_property
    def draws(self) -> Draws:
        """The draws for all images, on the host."""
        of_shape, K = pipeline(self.transform, self.shape), self.transform.views
        return of_shape.draw(self.seed, self.epoch, K, self.images, torch.device("cpu"))


def of_cpu(generator: object) -> torch.Generator:
    """Raises InputError for anything but a CPU torch.Generator."""
    if isinstance(generator, torch.Generator) and generator.device.type == "cpu":
        return generator
    got = f"one of {generator.device}" if isinstance(generator, torch.Generator) else type(generator).__name__
    raise InputError(f"generator: expected a CPU torch.Generator, got {got}: draws are made on the host")


def batch_shape(images: object) -> tuple[int, int, int, int]:
    """[B,c,H,W]. Raises InputError for anything but a tensor of such a shape."""
    if isinstance(images, Tensor) and images.ndim == 4 and 0 not in images.shape and images.shape[1] in (1, 3):
        B, c, H, W = images.shape
        return B, c, H, W
    got = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
    cause = "a single image? pass images[None]; channels last? permute(0, 3, 1, 2)"
    raise InputError(f"images: expected a tensor [B,c,H,W] with c = 1 or 3, got {got} ({cause})")


def of_channels(name: str, values: Iterable[float], lowest: float) -> tuple[float, ...]:
    """Statistics of 1 or 3 channels, from `lowest` to 1. Raises InputError for others."""
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        found = ()
    if len(found) not in (1, 3) or not all(lowest <= value <= 1 for value in found):
        span = "from 0 to 1" if lowest == 0 else "above 0 and up to 1"
        raise InputError(
            f"{name}: expected 1 or 3 numbers {span}, one per channel, got {values!r} (of 0..255? divide by 255)"
        )
    return found


@lru_cache(maxsize=64)
def pipeline(transform: ViewTransform, shape: Shape) -> Pipeline:
    """The distribution of views of images of one shape. Raises InputError if they cannot be transformed."""
    config, rules = transform.config, parse_rules(transform.soften)
    found = pipeline_of(resolve_view(config.view, shape, FlipCropRotate.flip), shape)
    for step in found.steps:
        step.augmentation.check(shape)
    if not rules:
        return found
    assert transform.classes is not None
    if of_images(rules):
        raise InputError(
            f"soften: expected maps that need only the operation, got {transform.soften}, which tells images apart:"
            " train with `auglik train`"
        )
    check_rules(rules, found.operations(), by_number(transform.classes))
    return replace(found, softening=softening_of(config, rules, transform.classes))


@lru_cache(maxsize=64)
def statistics(transform: ViewTransform, device: torch.device) -> tuple[Tensor, Tensor]:
    """`scale` and `shift` of a gallery on the device: copied there once, with one wait."""
    return standardization(transform.mean, transform.std, device)
