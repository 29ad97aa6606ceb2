"""A training step on CUDA taken apart: how many kernels each part of it launches."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from auglik import RunConfig, change
from auglik.networks import build_network
from auglik.objectives import Objective
from auglik.pretraining.simsiam import Outputs, output_std, pair_losses
from auglik.pretraining.views import PairViews
from auglik.runs.loop import note
from auglik.runs.resolve import pipeline_of
from auglik.sampling.langevin import Langevin
from auglik.sampling.registry import PRIORS, SAMPLERS
from auglik.system.devices import autocast, send
from auglik.views import Draws, Gallery, Pipeline, Shape
from auglik.views.operations import running
from tests.cuda.pretended import Record, pretended_cuda

SHAPE, CLASSES, BATCH, IMAGES = Shape(3, 32, 32), 10, 128, 256
NETWORK = "preact-resnet-18"
Part = Callable[[str], AbstractContextManager[object]]

COMPILED: Mapping[str, int] = {
    "fetch": 1, "levels": 2, "spread": 1, "gathered": 2, "blend": 2, "switch": 1, "stretch": 2, "sharpened": 1,
    "flatten_histogram": 4, "bilinear": 1, "mixture": 1, "blurred": 6, "noised": 1, "loss": 1,
}  # fmt: skip
"""Kernels that torch.compile makes of a function, products of matrices among them, by its name.

Read off what it generates for a CPU, by `python -m benchmarks.ops --compiled`, the sum over pixels in blend and stretch
counted apart from what follows, as a GPU has to.
"""


class Views:
    """The views of one kind of augmentation on a device, batch after batch."""

    def __init__(self, augment: str, device: torch.device) -> None:
        levels = np.random.default_rng(0).integers(0, 256, (IMAGES, *SHAPE), dtype=np.uint8)
        settings = {"flip": 0.5, "crop_padding": 4, "mollify": "noise,blur,both", "augment": augment}
        self.pipeline: Pipeline = pipeline_of(change(RunConfig(), settings).view, SHAPE)
        self.gallery = Gallery.pack(levels, [0.5] * 3, [0.25] * 3, device)
        self.draws: Draws = self.pipeline.draw(0, 0, 1, IMAGES, device)

    def render(self, step: int) -> None:
        self.pipeline.render(self.gallery, self.draws, np.arange(BATCH) + step % 2 * BATCH)


class Rest:
    """What follows the views in a step: network, loss, backward, optimizer and meters."""

    def __init__(self, device: torch.device, images: int) -> None:
        rng = np.random.default_rng(0)
        self.device = device
        self.network = build_network(NETWORK, SHAPE.channels, CLASSES, CLASSES, 0)
        self.network = self.network.to(device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9, fused=True)
        self.images = send(rng.normal(size=(images, *SHAPE)).astype(np.float32), device)
        self.decay = send(rng.uniform(size=(1, images)).astype(np.float32), device)
        self.labels = send(rng.integers(0, CLASSES, images), device)
        self.sum, self.last = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(2))

    def step(self, objective: Objective, part: Part = nullcontext) -> None:
        with part("forward"), autocast(self.device, "bf16"):
            logits = self.network(self.images.contiguous(memory_format=torch.channels_last))
        with part("loss"):
            loss = objective.loss(logits.unflatten(0, (1, -1)), self.decay, self.labels)
        with part("backward"):
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        with part("optimizer"):
            self.optimizer.step()
        with part("meters"):
            note(self.sum, self.last, loss.detach())


def count_views(augment: str, *, compiled: bool = False) -> int:
    """Launches of the views of a batch, the second, as the first makes what is kept."""
    with pretended_cuda() as record, ExitStack() as patches:
        views = Views(augment, torch.device("cuda"))
        if compiled:
            patches.enter_context(compiles(record))
            views.pipeline = views.pipeline.compiled()
        views.render(0)
        record.waits.clear()
        with record.part("views"):
            views.render(1)
        assert not record.waits, record.waits
    return record.launched("views")


@contextmanager
def compiles(record: Record) -> Iterator[None]:
    """torch.compile runs functions as they are, and has launched as many kernels as COMPILED says."""

    def compiled(function: Callable[..., Tensor], **how: bool) -> Callable[..., Tensor]:
        def run(*arguments: Tensor) -> Tensor:
            with record.part("within"):
                result = function(*arguments)
            for _ in range(COMPILED[function.__name__]):
                record.launch(function.__name__)
            return result

        return run

    with mock.patch("torch.compile", compiled), mock.patch.dict(running._COMPILED, clear=True):
        yield


def count_rest(objective: Objective, *, compiled: bool = False) -> dict[str, int]:
    """Launches of every other part, which do not depend on the number of images; the loss compiled, if wanted."""
    with pretended_cuda() as record:
        device = torch.device("cuda")
        rest, objective = Rest(device, images=2), objective.to(device)
        rest.step(objective)
        rest.step(objective, record.part)
    launched = {part: record.launched(part) for part in ("forward", "loss", "backward", "optimizer", "meters")}
    return launched | ({"loss": COMPILED["loss"]} if compiled else {})


def count_chain(sampler: str) -> int:
    """Launches of a sampler's step on a narrow network of eleven parameters."""
    with pretended_cuda() as record:
        network = build_network("small-cnn:width=4", SHAPE.channels, CLASSES, CLASSES, 0).to("cuda")
        chain = Langevin(
            network.parameters(), sampler=SAMPLERS[sampler], prior=PRIORS["gaussian"], images=IMAGES, key=0
        )
        images = torch.ones(2, *SHAPE, device="cuda").contiguous(memory_format=torch.channels_last)
        network(images).sum().backward()
        chain.step()
        record.waits.clear()
        with record.part("chain"):
            chain.step()
        assert not record.waits, record.waits
    return record.launched("chain")


def count_pretraining() -> dict[str, int]:
    """Launches of SimSiam's two views of a batch and of its loss, the network left out."""
    with pretended_cuda() as record:
        levels = np.random.default_rng(0).integers(0, 256, (IMAGES, *SHAPE), dtype=np.uint8)
        gallery = Gallery.pack(levels, [0.5] * 3, [0.25] * 3, torch.device("cuda"))
        views = PairViews(smallest_crop=0.2, flip=0.5, jitter=0.8, jitter_strength=0.4, jitter_hue=0.1, grey=0.2)
        pair = views.draw(0, 0, IMAGES, SHAPE)
        for name in ("other", "views"):
            record.waits.clear()
            with record.part(name):
                one, two = (view.flatten(1)[:, :8] for view in views.render(gallery, pair, np.arange(BATCH)))
            assert name == "other" or not record.waits, record.waits
        with record.part("loss"):
            pair_losses(Outputs((one, two), (two, one))).mean()
            output_std(one)
        assert not record.waits, record.waits
    return {name: record.launched(name) for name in ("views", "loss")}
