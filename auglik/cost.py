"""What runs will take, from a few timed steps of each network on the machine that they are for."""

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from auglik.config import RunConfig
from auglik.devices import autocast
from auglik.experiments import cost
from auglik.prepare import Facts
from auglik.pretraining.runs import PretrainJob
from auglik.runs import Job
from auglik.training import make_network

TIMED_VIEWS = 8
"""Views in a timed step on a CPU, whose time is about proportional to them; elsewhere a whole step is timed."""
TIMED_STEPS = 3


class Estimate(NamedTuple):
    """What training takes; scoring comes on top."""

    runs: int
    images: int
    """Images that pass through a network, each in K views."""
    steps: int
    hours: float
    """On this device, one run at a time."""


def estimate(jobs: Sequence[Job], facts: Mapping[str, Facts]) -> Estimate:
    """Times each kind of step once, and counts the steps. Raises InputError as building a network does."""
    seconds_per_view: dict[tuple[object, ...], float] = {}
    images, seconds = 0, 0.0
    for job in jobs:
        config, found = job.config, facts[job.config.dataset]
        kind = (config.network, found.shape(), found.classes, config.precision, config.device)
        if kind not in seconds_per_view:
            seconds_per_view[kind] = time_per_view(config, found)
        views = cost([job], facts).views
        images += views // config.views
        seconds += views * seconds_per_view[kind]
    total = cost(jobs, facts)
    return Estimate(total.runs, images, total.steps, seconds / 3600)


def estimate_pretraining(jobs: Iterable[PretrainJob], facts: Mapping[str, Facts]) -> Estimate:
    """The same for SimSiam, of two views and of the backbone's time alone, which is nearly all."""
    supervised = []
    for job in jobs:
        config = replace(job.config.run(), views=2)
        supervised.append(Job("", config, job.settings, job.folder, job.data_dir, job.threads))
    return estimate(supervised, facts)


def time_per_view(config: RunConfig, facts: Facts) -> float:
    """Seconds that one view takes in a training step: the median of a few steps after one of warm-up."""
    device = torch.device(config.device)
    network = make_network(config, facts.channels, facts.classes)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    views = config.images_per_step() * config.views
    views = min(views, TIMED_VIEWS) if device.type == "cpu" else views
    images = torch.zeros(views, *facts.shape(), device=device).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(1 + TIMED_STEPS):
        began = time.perf_counter()
        with autocast(device, config.precision):
            loss = nn.functional.cross_entropy(
                network(images).float(), torch.zeros(views, dtype=torch.long, device=device)
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        float(loss.detach())  # waits for the device
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:]) / views
