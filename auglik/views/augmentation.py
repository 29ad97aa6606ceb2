"""What one augmentation of a pipeline must offer: parameters per view, drawn on the host; pixels, on the device."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Parameters = Mapping[str, NDArray[np.generic]]
"""Arrays by name, whose first axes are those of the views: [n,...] as drawn, [K,N,...] for an epoch."""

OPERATIONS: tuple[str, ...] = (
    "identity",
    "flip",
    "crop",
    "rotate",
    "shear-x",
    "shear-y",
    "translate-x",
    "translate-y",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
    "invert",
    "erase",
    "noise",
)
"""All operations on views; `Applied.operation` holds indices into it. Append new operations at the end."""


class Shape(NamedTuple):
    """Of one image."""

    channels: int
    height: int
    width: int


class Applied(NamedTuple):
    """What one branch of an augmentation did to n views: up to S operations in turn, identity where there are fewer.

    An augmentation has one branch of share 1, but for those that average several images of a view (AugMix).
    """

    share: NDArray[np.float32]
    """The branch's share in the view [n]; those of all branches sum to one."""
    operation: NDArray[np.uint8]
    """Index into OPERATIONS [n,S]."""
    magnitude: NDArray[np.float32]
    """How strongly it actually acted, signed, in the operation's own unit [n,S]."""
    visibility: NDArray[np.float32]
    """Share of its pixels in which the image can still be seen after it [n,S], counted as they are rendered.

    1 for operations that hide nothing, and for rotations and shears, whose strength is their magnitude alone."""


class Drawn(NamedTuple):
    """Parameters of V = K B views, view after view: [V,...] each, on the host and on the device."""

    host: Parameters
    device: Mapping[str, Tensor]
    noise: Tensor | None = None
    """Where the stream of each view's pixel noise starts, for `splitmix.normals`: int64 [V] on the device.

    None where the augmentation is not `noisy`."""


class Augmentation(Protocol):
    """A frozen dataclass whose fields are its settings.

    The host knows every draw, so rendering never waits for the device: groups of views that share an operation are
    found from `Drawn.host`, their pixels are gathered by index.
    """

    @property
    def domain(self) -> Literal["levels", "standardized"]:
        """What it works on: levels, uint8 [V,c,H,W]; or standardized float32 [V,c,H,W], which come after levels."""
        ...

    @property
    def noisy(self) -> bool:
        """Whether views get per-pixel noise. It is not drawn on the host: `Drawn.noise` says where it starts."""
        ...

    def check(self, shape: Shape) -> None:
        """Raises InputError for images that it cannot transform."""
        ...

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        """Draws one view of each of `count` images: arrays [n,...] with at least this augmentation's randomness."""
        ...

    def applied(self, parameters: Parameters, shape: Shape) -> Sequence[Applied]:
        """What `parameters` [n,...] do to each view, branch by branch."""
        ...

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        """The views [V,c,H,W], of the same dtype and shape; `images` may be overwritten."""
        ...


@runtime_checkable
class Gathered(Augmentation, Protocol):
    """An `Augmentation` that maps pixels to pixels: the first of a pipeline, it is read from the gallery in one go."""

    @property
    def gather(self) -> tuple[str, ...]:
        """The names of its parameters that `fcr.fetch` and `fcr.levels` take, in their order."""
        ...


@runtime_checkable
class Enumerated(Augmentation, Protocol):
    """An `Augmentation` with finitely many views, equally likely: view k of every image is the k-th, in all epochs."""

    @property
    def size(self) -> int:
        """K, of all views."""
        ...

    def element(self, view: int, count: int) -> Parameters:
        """What `draw` gives, for the view with that number in 0..K-1, of each of `count` images."""
        ...


@runtime_checkable
class Placed(Augmentation, Protocol):
    """An `Augmentation` whose parameters are functions of numbers uniform on (0,1), so that views can be coupled."""

    @property
    def dimensions(self) -> int:
        """D, the numbers that a view needs."""
        ...

    def place(self, uniforms: NDArray[np.float64], shape: Shape) -> Parameters:
        """What `draw` gives, from numbers [N,D]: of the same distribution if these are uniform and independent."""
        ...


@runtime_checkable
class Compilable(Augmentation, Protocol):
    """An `Augmentation` with kernels that can be compiled."""

    def compiled(self) -> Self:
        """The same with its kernels run through torch.compile."""
        ...


def one_operation(
    operation: str, done: NDArray[np.bool_], magnitude: NDArray[np.floating], visibility: NDArray[np.floating]
) -> list[Applied]:
    """One branch of one step: `operation` where it was `done`, else identity; arrays [n]."""
    return [
        Applied(
            share=np.ones(len(done), np.float32),
            operation=np.where(done, OPERATIONS.index(operation), OPERATIONS.index("identity"))[:, None].astype(
                np.uint8
            ),
            magnitude=np.where(done, magnitude, 0)[:, None].astype(np.float32),
            visibility=np.where(done, visibility, 1)[:, None].astype(np.float32),
        )
    ]
