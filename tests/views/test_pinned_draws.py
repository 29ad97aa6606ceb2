"""What is drawn, as plain values: a changed key, order or law of any draw changes one of them.

They are the same on every machine and under every kernel. A change that is meant goes with a higher RESULT_FORMAT and a
line in CHANGELOG.md, as runs from before and after it are not paired.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from auglik import RunConfig, change, open_dataset, plan, read_facts, resolve
from auglik.networks.randomness import Uniforms
from auglik.objectives import Schedule
from auglik.robustness.arrays import noise_key
from auglik.runs.evaluation import only_mollified
from auglik.runs.loop import chained, lengths
from auglik.runs.resolve import pipeline_of
from auglik.runs.resolved import ResolvedRun
from auglik.system.keys import host_generator, stream_key
from auglik.system.splitmix import normals, streams
from auglik.views import FlipCropRotate, Gallery, Mollification, Pipeline, Shape
from auglik.views.augmentation import Enumerated
from auglik.views.mixing.contract import MIXINGS
from auglik.views.registry import AUGMENTATIONS, read_augmentations
from tests import tiny

CPU = torch.device("cpu")
COLOUR = Shape(3, 32, 32)

AUGMENTED: dict[str, str] = {
    "fcr": "6f9463857f438eca",
    "orbit": "416461addb900d4d",
    "trivial-augment": "69c37e5cc975aa86",
    "rand-augment": "9d9debd50217cf0e",
    "auto-augment": "4b99cdb42fcdebf9",
    "augmix": "90ea0740bb15e122",
    "single": "02199f98f62fcb70",
    "soft-crop": "2217152584ef65a7",
    "resized-crop": "0b37f2fdda21edb7",
    "random-erasing": "d5064f7b06b3ae13",
    "cutout": "ad4f1c6c78660aa7",
    "patch-noise": "b1842235246be311",
    "additive-noise": "19d09cd178e90a3c",
    "mixup": "2fc388b14bd68685",
    "cutmix": "f0ae8845e7eb252f",
}

PINNED: dict[str, str] = {
    "a key": "51fe7606b6a5d3d3",
    "views": "bde245c4ef98c361",
    "views without noise": "0d14295c8aa6420a",
    "every augmentation": "72a3c95765da0873",
    "batches": "1f31557566e729c7",
    "evaluation views": "7b8377c48b78c97b",
    "mollified evaluation views": "500485964fb93956",
    "pixel noise": "cf6dbb7310435208",
    "noise of mollified test sets": "c36cb3d644d7c128",
    "noised views of black images": "a1dbc489c3e7635a",
    "uniforms": "06500ecf02462357",
    "pretraining": "7c288a59f175e814",
}


def short(digests: Sequence[str]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of texts."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def of_values(values: Tensor) -> str:
    """The same of numbers, in little-endian order."""
    array = values.numpy()
    return hashlib.sha256(array.astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def default() -> ResolvedRun:
    """The reference of the default comparison with its first seed."""
    source = open_dataset("digits")
    config = change(plan(RunConfig(), {})[0].config, {"device": "cpu"})
    return resolve(config, source, read_facts(source))


@pytest.mark.parametrize("name", [*AUGMENTATIONS, *MIXINGS])
def test_views_of_every_augmentation(name: str) -> None:
    mixing, steps = read_augmentations(name, FlipCropRotate())
    pipeline = Pipeline(COLOUR, steps, Mollification(Schedule(noise=0)), mixing)
    assert short(pipeline.draw(0, 1, 2, 50, CPU).view_digests()) == AUGMENTED[name]


def test_views_of_the_default_comparison(default: ResolvedRun) -> None:
    pipeline = pipeline_of(default.config.view, Shape(1, 8, 8))
    found = [digest for epoch in (0, 1) for digest in pipeline.draw(0, epoch, 4, 1167, CPU).view_digests()]
    assert short(found) == PINNED["views"]
    pipeline = pipeline_of(change(default.config, {"mollify": "blur"}).view, Shape(1, 8, 8))
    assert short(pipeline.draw(0, 0, 4, 1167, CPU).view_digests()) == PINNED["views without noise"]


def test_views_of_a_run_with_every_augmentation() -> None:
    drawn = {name: step for name, step in AUGMENTATIONS.items() if not isinstance(step, Enumerated)}
    levels = [name for name, step in drawn.items() if step.domain == "levels"]
    others = [name for name in drawn if name not in levels]
    mixing, steps = read_augmentations(",".join(["cutmix", *levels, *others]), FlipCropRotate())
    pipeline = Pipeline(COLOUR, steps, Mollification(Schedule(both=1)), mixing)
    assert short(pipeline.draw(3, 2, 3, 50, CPU).view_digests()) == PINNED["every augmentation"]


def test_batches_of_the_default_comparison(default: ResolvedRun) -> None:
    B, steps, *_ = lengths(default, 1167)
    digests = ["", ""]
    for epoch in (0, 1):
        order = host_generator(default.config.seed, "batches", epoch).permutation(1167)
        digests = chained(digests, order[: steps * B].reshape(steps, B), [""])
    assert digests[0][:16] == PINNED["batches"]


def test_views_that_runs_are_scored_on(default: ResolvedRun) -> None:
    evaluation, shape = default.config.evaluation, Shape(1, 8, 8)
    augmented = pipeline_of(evaluation.view, shape).draw(evaluation.seed, 0, 64, 500, CPU, purpose="evaluation")
    mollified = only_mollified(default, shape).draw(evaluation.seed, 1, 4, 500, CPU, purpose="evaluation")
    assert short(augmented.view_digests()) == PINNED["evaluation views"]
    assert short(mollified.view_digests()) == PINNED["mollified evaluation views"]


def test_noise_of_pixels(default: ResolvedRun) -> None:
    keys = pipeline_of(default.config.view, Shape(1, 8, 8)).draw(0, 1, 2, 9, CPU).noise["mollification"]
    starts = streams(torch.from_numpy(keys)[:, None], torch.tensor([0, 1, 1166])).flatten()
    assert of_values(normals(starts, 3, 32, 32)) == PINNED["pixel noise"]
    assert of_values(normals(streams(noise_key(0), torch.arange(3)), 1, 8, 8)) == PINNED["noise of mollified test sets"]
    assert stream_key(1, "training", "pixel noise", 2, 3) == int(PINNED["a key"], 16)


def test_noise_of_a_rendered_view() -> None:
    """Views of roles clean and noise at t = 1 are levels and noise alone, the same under every kernel."""
    gallery = Gallery.pack(np.zeros((5, 3, 32, 32), np.uint8), [0.0] * 3, [1.0] * 3, CPU)
    pipeline = Pipeline(COLOUR, (), Mollification(Schedule(clean=0, blur=0)))
    draws = pipeline.draw(0, 0, 2, 5, CPU)
    assert draws.device is not None
    draws.device.numbers[0].fill_(1)
    views = pipeline.render(gallery, draws, np.array([4, 0, 2])).images
    assert of_values(views) == PINNED["noised views of black images"]


def test_what_networks_draw() -> None:
    uniforms = Uniforms()
    uniforms.reset(0, "head")
    assert of_values(torch.stack([uniforms(50), uniforms(50)])) == PINNED["uniforms"]


def test_views_that_pretraining_sees() -> None:
    views = tiny.pretraining(flip=0.5).views.draw(0, 1, 50, COLOUR)
    assert short([drawn.digest() for drawn in views]) == PINNED["pretraining"]
