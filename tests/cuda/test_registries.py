"""Every entry of every registry on CUDA: objectives, networks, augmentations, mixings and confidence maps."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auglik import AGGREGATORS, LIKELIHOODS, Aggregator, Objective, Schedule
from auglik.confidence import MAPS
from auglik.networks import NETWORKS, Network, WideResnet, build_network
from auglik.networks.layers import GridMaxima
from auglik.objectives import negative_share, view_gradients
from auglik.objectives.view_counts import DrawsViews
from auglik.runs.resolve import training_pipeline
from auglik.system.devices import autocast, send
from auglik.system.process import process_state
from auglik.views import Gallery, Mollification, Pipeline, Shape
from auglik.views.augmentation import Augmentation
from auglik.views.augmentations.common.background import BACKGROUNDS
from auglik.views.mixing.contract import MIXINGS
from auglik.views.registry import AUGMENTATIONS
from auglik.views.steps import Step
from tests import tiny
from tests.cuda.guard import cuda, without_gpu
from tests.cuda.pretended import Record
from tests.cuda.redone import Redone

DEVICE = torch.device("cuda")
K, B, C = 2, 8, 5
SHAPE = Shape(3, 12, 10)
MOLLIFIED = Mollification(Schedule(both=1.0))


@pytest.fixture(autouse=True, scope="module")
def deterministic() -> Iterator[None]:
    """As `--deterministic` asks for it: what has no such form is refused."""
    with process_state(1, DEVICE, deterministic=True):
        yield


def no_wait(record: Record) -> None:
    assert [f"{wait.kind}, {wait.line}" for wait in record.waits] == []
    assert not record.layouts, "images that are not channels last"


def takes_weights(aggregator: Aggregator) -> bool:
    """Those that draw how many views an image has take views of equal weight alone."""
    return not isinstance(aggregator, DrawsViews)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_objectives(likelihood: str, rng: np.random.Generator) -> None:
    shape = (K, B, C + LIKELIHOODS[likelihood].extra_outputs)
    with cuda() as record:
        logits = send(rng.normal(size=shape).astype(np.float32), DEVICE).bfloat16()
        decay, weight, importance = (send(rng.uniform(0.1, 0.9, (K, B)).astype(np.float32), DEVICE) for _ in range(3))
        labels = send(rng.integers(0, C, B), DEVICE)
        soft = send(rng.dirichlet(np.ones(C), B).astype(np.float32), DEVICE)
        objectives = [Objective(LIKELIHOODS[likelihood], aggregator).to(DEVICE) for aggregator in AGGREGATORS.values()]
        record.waits.clear()
        for objective in objectives:
            objective.aggregator.predictive(objective.likelihood.log_probabilities(logits))
            if not objective.aggregator.trains:
                continue
            for given in (labels, soft) if objective.likelihood.soft_labels else (labels,):
                for weights in (None, weight) if takes_weights(objective.aggregator) else (None,):
                    leaf = logits.detach().requires_grad_()
                    objective.loss(leaf, decay, given, weights).backward()
                    negative_share(view_gradients(objective, leaf, decay, given, weights))
                if objective.aggregator.likelihood_power != 0 and takes_weights(objective.aggregator):
                    leaf = logits.detach().requires_grad_()
                    objective.loss(leaf, decay, given, weight, importance).backward()
    no_wait(record)


@without_gpu
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_objectives_do_the_same_in_every_step(likelihood: str, rng: np.random.Generator) -> None:
    """Whatever the values: a recording repeats what was launched for the first ones."""
    shape = (K, B, C + LIKELIHOODS[likelihood].extra_outputs)
    with cuda():
        logits = send(np.zeros(shape, np.float32), DEVICE).requires_grad_()
        decay, labels = send(np.zeros((K, B), np.float32), DEVICE), send(np.zeros(B, np.int64), DEVICE)
        for aggregator in AGGREGATORS.values():
            if not aggregator.trains or isinstance(aggregator, DrawsViews):
                continue
            objective = Objective(LIKELIHOODS[likelihood], aggregator).to(DEVICE)

            def work(objective: Objective = objective) -> Tensor:
                logits.grad = None
                loss = objective.loss(logits, decay, labels)
                loss.backward()
                return loss

            redone = Redone(work, None)
            for scale in (1, 100):
                with torch.no_grad():
                    logits.copy_(send(scale * rng.normal(size=shape).astype(np.float32), DEVICE))
                decay.copy_(send(rng.uniform(size=(K, B)).astype(np.float32), DEVICE))
                labels.copy_(send(rng.integers(0, C, B), DEVICE))
                redone.replay()


@without_gpu
def test_networks_do_the_same_in_every_step(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in networks():
        monkeypatch.setitem(NETWORKS, name, narrowed(NETWORKS[name]))
        with cuda():
            network = build_network(name, 3, C, C, 0).to(DEVICE).to(memory_format=torch.channels_last)
            images = send(np.zeros((2, 3, 16, 16), np.float32), DEVICE)

            def work(network: nn.Module = network, images: Tensor = images) -> Tensor:
                network.zero_grad(set_to_none=True)
                with autocast(DEVICE, "bf16"):
                    loss = network(images).float().square().sum()
                loss.backward()
                return loss

            redone = Redone(work, None)
            for _ in range(2):
                images.copy_(send(rng.normal(size=(2, 3, 16, 16)).astype(np.float32), DEVICE))
                redone.replay()


def narrowed(network: Network) -> Network:
    """The same kind of network with few parameters, as its operations do not depend on their sizes."""
    narrow = {"width": 4, "widen": 1, "growth": 4, "features": 48, "alpha": 18, "cells": 1}
    shallow = {34: 18, 101: 50, 272: 29, 40: 22, 100: 22}
    known = {field.name for field in dataclasses.fields(network)}  # type: ignore[arg-type]
    changes = {name: value for name, value in narrow.items() if name in known}
    if not isinstance(network, WideResnet) and getattr(network, "depth", None) in shallow:
        changes["depth"] = shallow[network.depth]  # type: ignore[attr-defined]
    return dataclasses.replace(network, **changes)  # type: ignore[type-var]


def networks() -> Iterator[str]:
    """Those that differ in more than the sizes that `narrowed` takes from them."""
    seen: list[Network] = []
    for name, network in NETWORKS.items():
        if narrowed(network) not in seen:
            seen.append(narrowed(network))
            yield name


@pytest.mark.parametrize("name", list(networks()))
def test_networks(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, name, narrowed(NETWORKS[name]))
    with cuda() as record:
        network = build_network(name, 3, C, C, 0).to(DEVICE).to(memory_format=torch.channels_last)
        images = send(rng.normal(size=(2, 3, 16, 16)).astype(np.float32), DEVICE)
        images = images.contiguous(memory_format=torch.channels_last)
        record.waits.clear()
        with autocast(DEVICE, "bf16"):
            network(images).float().square().sum().backward()
            network.eval()
            with torch.no_grad():
                network(images)
    no_wait(record)


@pytest.mark.parametrize("sides", [(8, 8), (10, 7)])
def test_maxima_of_a_grid(sides: tuple[int, int], rng: np.random.Generator) -> None:
    with cuda() as record:
        images = send(rng.normal(size=(2, 3, *sides)).astype(np.float32), DEVICE).requires_grad_()
        GridMaxima(4)(images).sum().backward()
    no_wait(record)


def render(record: Record, pipeline: Pipeline, images: int = 20) -> None:
    """Views of two batches: whatever is made once for a device was made in the first."""
    levels = np.random.default_rng(0).integers(0, 256, (images, *SHAPE), dtype=np.uint8)
    gallery = Gallery.pack(levels, [0.5] * 3, [0.2] * 3, DEVICE)
    labels = send(np.arange(images) % C, DEVICE)
    record.waits.clear()
    draws = pipeline.draw(0, 0, K, images, DEVICE)
    for batch in np.arange(images).reshape(2, -1):
        views = pipeline.render(gallery, draws, batch)
        views.labels(labels, C)
        assert views.images.shape == (K, len(batch), *SHAPE)


def kinds(augmentation: Augmentation) -> Iterator[Augmentation]:
    """An augmentation in each of its ways of rendering."""
    known = {field.name for field in dataclasses.fields(augmentation)}  # type: ignore[arg-type]
    for name, values in (("background", BACKGROUNDS), ("bilinear", (False, True)), ("outside", (0.5,))):
        if name in known:
            yield from (dataclasses.replace(augmentation, **{name: value}) for value in values)  # type: ignore[type-var]
    yield augmentation


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations(name: str) -> None:
    with cuda() as record:
        for augmentation in kinds(AUGMENTATIONS[name]):
            render(record, Pipeline(SHAPE, (Step(name, augmentation),), MOLLIFIED))
            no_wait(record)


@pytest.mark.parametrize("name", MIXINGS)
def test_mixings(name: str) -> None:
    with cuda() as record:
        render(record, Pipeline(SHAPE, (), MOLLIFIED, MIXINGS[name]))
    no_wait(record)


@pytest.mark.parametrize("name", [name for name in MAPS if name not in ("measured", "crossfitted", "learned", "pairs")])
def test_confidence_maps(name: str) -> None:
    """Maps of tables interpolate them on the host, as the others compute theirs."""
    settings = {"augment": "fcr,random-erasing", "flip": 0.5, "crop_padding": 4, "soften_into": "both"}
    run = tiny.run(**settings, soften=f"crop:{name}")
    with cuda() as record:
        render(record, training_pipeline(run, SHAPE, C))
    no_wait(record)
