"""Flip, crop and rotation of batches of 128 CIFAR-10 images, against one image at a time in a DataLoader's worker.

Every figure is the time per batch of standardized float32 images. Ours: `Pipeline.render` of unmollified views, and
the draws of an epoch spread over its batches. Theirs: one worker, from when it is behind (its prefetched batches are
taken before the clock starts): what the worker takes of a core, and what this process takes to receive.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, default_collate
from torchvision import transforms as v1
from torchvision.transforms import v2

from auglik.data import channel_statistics
from auglik.objectives import Schedule
from auglik.views import Augmentation, FlipCropRotate, Mollification, Pipeline, Step
from benchmarks import timing
from benchmarks.command import benchmark, cifar10_option, rounds_option, threads_option

OURS_PER_ROUND, THEIRS_PER_ROUND = 100, 15
Stream = Iterator[tuple[Tensor, float]]


class Transformed(Dataset[Tensor]):
    """Images [N,32,32,3], each through `transform`."""

    def __init__(self, images: NDArray[np.uint8], transform: Callable[[object], Tensor], pil: bool) -> None:
        self.images, self.transform, self.pil = images, transform, pil

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        image = self.images[index]
        return self.transform(Image.fromarray(image) if self.pil else image)


def tensor_transform(mean: list[float], std: list[float], *policy: v2.Transform) -> Callable[[object], Tensor]:
    """torchvision v2 on tensors, as the published code composes it."""
    return v2.Compose(
        [
            v2.ToImage(),
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(32, padding=4),
            v2.RandomRotation([-15, 15]),
            *policy,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )


def pil_transform(mean: list[float], std: list[float], *policy: torch.nn.Module) -> Callable[[object], Tensor]:
    """torchvision on PIL images, the fastest one-image path of the peers."""
    return v1.Compose(
        [
            v1.RandomHorizontalFlip(),
            v1.RandomCrop(32, padding=4),
            v1.RandomRotation(15),
            *policy,
            v1.ToTensor(),
            v1.Normalize(mean, std),
        ]
    )


def stamped(images: list[Tensor]) -> tuple[Tensor, float]:
    """A batch, and the CPU-seconds that its worker has taken until then."""
    return default_collate(images), time.process_time()


def loader(dataset: Transformed, rounds: int) -> tuple[timing.Timed, Stream]:
    """The mean time per batch of one worker; the iterator is to be kept until the end."""
    prefetched = 3
    count = (rounds * (THEIRS_PER_ROUND + prefetched) + prefetched) * timing.BATCH
    sampler = RandomSampler(dataset, replacement=True, num_samples=count, generator=torch.Generator().manual_seed(0))
    batches = DataLoader(dataset, timing.BATCH, sampler=sampler, num_workers=1, collate_fn=stamped)
    stream: Stream = iter(batches)
    next(stream)

    def seconds() -> float:
        for _ in range(prefetched):
            _, before = next(stream)
        wall, here = time.perf_counter(), time.process_time()
        for _ in range(THEIRS_PER_ROUND):
            _, after = next(stream)
        wall, here = time.perf_counter() - wall, time.process_time() - here
        # The worker fetches its next batches before anything else is timed.
        time.sleep(prefetched * wall / THEIRS_PER_ROUND)
        return (wall if timing.by_wall() else here + after - before) / THEIRS_PER_ROUND

    return timing.Timed(seconds, THEIRS_PER_ROUND), stream


def ours(
    images: NDArray[np.uint8],
    compiled: bool,
    *policies: Augmentation,
    calls: int = OURS_PER_ROUND,
    warm_up: int = 3,
) -> timing.Timed:
    """The time of rendering a batch in flip, crop, rotation and policies, and of its share of the epoch's draws."""
    gallery, N = timing.gallery_of(images), len(images)
    steps = tuple(Step(f"step {place}", one) for place, one in enumerate((FlipCropRotate(), *policies)))
    pipeline = Pipeline(gallery.shape, steps, Mollification(Schedule(noise=0, blur=0)))
    if compiled:
        pipeline = pipeline.compiled()
    draws = pipeline.draw(0, 0, 1, N, timing.CPU)
    following = timing.batches(N)
    rendering = timing.median_of(lambda: pipeline.render(gallery, draws, following()), calls, warm_up)

    def seconds() -> float:
        return rendering.seconds() + timing.seconds_of(lambda: pipeline.draw(0, 1, 1, N, timing.CPU)) * timing.BATCH / N

    return timing.Timed(seconds, calls)


@benchmark(__doc__, compiles=True)
@cifar10_option
@rounds_option(9)
@threads_option
def main(cifar10: Path | None, rounds: int) -> None:
    images, images_are = timing.images_of(cifar10)
    mean, std = channel_statistics(images)
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    v2_tensors, v2_stream = loader(Transformed(pixels, tensor_transform(mean, std), pil=False), rounds)
    pil, pil_stream = loader(Transformed(pixels, pil_transform(mean, std), pil=True), rounds)
    timed = {
        "compiled": ours(images, compiled=True),
        "eager": ours(images, compiled=False),
        "torchvision v2": v2_tensors,
        "PIL": pil,
    }
    seconds = timing.interleaved(timed, rounds)
    rows = [
        timing.Row("FCR", "compiled", "torchvision v2", goal=50),
        timing.Row("FCR", "compiled", "PIL", goal=25),
        timing.Row("FCR", "eager", "torchvision v2"),
        timing.Row("FCR", "eager", "PIL"),
    ]
    timing.print_table(
        f"Batches of {timing.BATCH} images, {images_are}; peers: DataLoader, one worker", rows, timed, seconds
    )
    del v2_stream, pil_stream


if __name__ == "__main__":
    main()
