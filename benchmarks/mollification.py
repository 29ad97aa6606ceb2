"""Blur of a batch [128,3,32,32] against torch_dct, and all of mollification against a network's forward and backward.

Each blur is checked against the others before it is timed.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import torch
import torch_dct
from torch import Tensor
from torch.nn.functional import cross_entropy

from auglik import build_network
from auglik.objectives import Schedule
from auglik.system.splitmix import streams
from auglik.views import Mollification
from auglik.views.mollification import blur, heat_time, mollify
from benchmarks import timing
from benchmarks.command import benchmark, cifar10_option, rounds_option, threads_option

SIZE = 32
BLURS_PER_ROUND = 30
NETWORK_ROUNDS = 3


def eigenvalues() -> Tensor:
    """Lambda_wh = pi^2 (w^2/W^2 + h^2/H^2), [H,W]."""
    squares = (math.pi / SIZE * torch.arange(SIZE)) ** 2
    return squares[:, None] + squares


def blur_by_fft(images: Tensor, temperature: Tensor, Lambda: Tensor) -> Tensor:
    """torch_dct's two-dimensional transforms, by FFT."""
    spectrum = torch_dct.dct_2d(images, norm="ortho")
    heat = torch.exp(-heat_time(temperature, SIZE)[:, None, None, None] * Lambda)
    return torch_dct.idct_2d(spectrum * heat, norm="ortho")


class LinearBlur:
    """torch_dct.LinearDCT, whose weights are computed once: two applications each way, as published code does."""

    def __init__(self) -> None:
        self.forward = torch_dct.LinearDCT(SIZE, "dct", norm="ortho")
        self.backward = torch_dct.LinearDCT(SIZE, "idct", norm="ortho")

    def __call__(self, images: Tensor, temperature: Tensor, Lambda: Tensor) -> Tensor:
        spectrum = torch_dct.apply_linear_2d(images, self.forward)
        heat = torch.exp(-heat_time(temperature, SIZE)[:, None, None, None] * Lambda)
        return torch_dct.apply_linear_2d(spectrum * heat, self.backward)


def mollification(images: Tensor, count: int) -> timing.Timed:
    """The time of mollifying a batch, a third of it in each role, with its share of an epoch's draws of `count`."""
    views = Mollification(Schedule())
    role, temperature = views.draw(np.random.default_rng(0), count)
    role, at = role[None, : timing.BATCH], torch.from_numpy(temperature[None, : timing.BATCH])
    step = itertools.count()

    def once() -> None:
        mollify(images.clone(), role, at, streams(next(step), torch.arange(timing.BATCH)))

    def drawing() -> None:
        views.decay(*views.draw(np.random.default_rng(0), count))

    mollifying = timing.median_of(once, BLURS_PER_ROUND)
    return timing.Timed(
        lambda: mollifying.seconds() + timing.seconds_of(drawing) * timing.BATCH / count, BLURS_PER_ROUND
    )


@benchmark(__doc__)
@cifar10_option
@rounds_option(15)
@threads_option
def main(cifar10: Path | None, rounds: int) -> None:
    images, images_are = timing.images_of(cifar10)
    clean = timing.gallery_of(images).clean(slice(timing.BATCH)).contiguous()
    temperature = torch.from_numpy(np.random.default_rng(0).beta(1, 2, timing.BATCH).astype(np.float32))
    Lambda, linear = eigenvalues(), LinearBlur()
    network = build_network("preact-resnet-18", 3, 10, 10, 0).to(memory_format=torch.channels_last)
    ready, labels = clean.contiguous(memory_format=torch.channels_last), torch.arange(timing.BATCH) % 10

    with torch.no_grad():
        expected = blur_by_fft(clean, temperature, Lambda)
        for found in (blur(clean, temperature), linear(clean, temperature, Lambda)):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        timed = {
            "blur": timing.median_of(lambda: blur(clean, temperature), BLURS_PER_ROUND),
            "dct_2d/idct_2d": timing.median_of(lambda: blur_by_fft(clean, temperature, Lambda), BLURS_PER_ROUND),
            "LinearDCT": timing.median_of(lambda: linear(clean, temperature, Lambda), BLURS_PER_ROUND),
        }
        seconds = timing.interleaved(timed, rounds)

    whole = {
        "mollify": mollification(clean, len(images)),
        "preact-resnet-18": timing.median_of(lambda: cross_entropy(network(ready), labels).backward(), 1, warm_up=1),
    }
    timed |= whole
    seconds |= timing.interleaved(whole, min(rounds, NETWORK_ROUNDS))
    rows = [
        timing.Row("blur 32x32", "blur", "dct_2d/idct_2d", goal=8),
        timing.Row("blur 32x32", "blur", "LinearDCT", goal=1.6),
        timing.Row("all of mollification", "mollify", "preact-resnet-18", goal=0.01, costs=True, percent=True),
    ]
    timing.print_table(
        f"Batches of {timing.BATCH} images, {images_are}; network: forward and backward", rows, timed, seconds
    )


if __name__ == "__main__":
    main()
