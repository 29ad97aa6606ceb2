"""Views of several coming steps, rendered at once: a GPU is given hundreds of small kernels a rendering."""

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from auglik.views.draws import Draws, Mixed, Views
from auglik.views.pipeline import Pipeline
from auglik.views.store import Gallery
from auglik.views.streaming import StreamedPixels

PIXELS_AHEAD = 2**22
"""Of the views that are rendered at once on a GPU, 50 MB in float32 with three channels, if a step has fewer."""


@final
class Ahead:
    """The views of the batches [S,B] of an epoch, in their order: of as many steps at once as PIXELS_AHEAD allows.

    What a view shows does not depend on the others. A CPU, whose caches hold few views, renders step by step, and so do
    streamed images, which are read in the order of steps.
    """

    def __init__(self, pipeline: Pipeline, gallery: Gallery) -> None:
        self._pipeline, self._gallery = pipeline, gallery
        self._draws: Draws | None = None
        self._batches = np.empty((0, 0), np.int64)
        self._first, self._views = 0, list[Views]()

    def begin(self, draws: Draws, batches: NDArray[np.int64]) -> None:
        """From here on of another epoch."""
        self._draws, self._batches, self._views = draws, batches, []

    def views(self, position: int) -> Views:
        """Of the batch at that position."""
        if not self._first <= position < self._first + len(self._views):
            assert self._draws is not None
            some = self._batches[position : position + self._steps_at_once()]
            rendered = self._pipeline.render(self._gallery, self._draws, some.reshape(-1))
            self._first, self._views = position, split(rendered, len(some))
        return self._views[position - self._first]

    def _steps_at_once(self) -> int:
        pixels = self._gallery.pixels
        if isinstance(pixels, StreamedPixels) or pixels.device.type == "cpu":
            return 1
        assert self._draws is not None
        views, gallery = len(self._draws.role) * self._batches.shape[1], self._gallery
        return max(1, PIXELS_AHEAD // (views * gallery.height * gallery.width))


def split(views: Views, parts: int) -> list[Views]:
    """Views of P x B images as those of B each, in the same memory."""
    if parts == 1:
        return [views]
    size = len(views.positions) // parts
    return [some_of(views, slice(start, start + size)) for start in range(0, parts * size, size)]


def some_of(views: Views, some: slice) -> Views:
    """Of some of the images."""

    def cut(values: torch.Tensor | None) -> torch.Tensor | None:
        return None if values is None else values[:, some]

    mixed = views.mixed
    return Views(
        images=views.images[:, some], decay=views.decay[:, some], weight=cut(views.weight),
        log_importance=cut(views.log_importance), positions=views.positions[some],
        mixed=None if mixed is None else Mixed(mixed.partners[some], mixed.share[some]),
        gallery=views.gallery,
    )  # fmt: skip
