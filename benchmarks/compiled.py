"""What torch.compile gains on every family of networks: a training step, and a forward of evaluation.

Float32 on images that are ready, channels last, cross-entropy and fused SGD; compiled and eager in turn. Evaluation,
and scoring of corrupted images, are a forward in eval mode. Seconds to compile are the wall's, with
an empty cache of compiled code. Networks given by name replace the list.
"""

import os
import tempfile
import time
from collections.abc import Callable
from unittest import mock

import click
import torch
from torch._dynamo import config as dynamo
from torch.nn.functional import cross_entropy

from auglik.networks import build_network, find_network
from auglik.system.compiling import CACHE
from benchmarks import timing
from benchmarks.command import benchmark, rounds_option, threads_option

FAMILIES = {
    "small-cnn": (1, 8, 256), "fast-resnet:width=12": (3, 32, 128), "resnet-20-frn": (3, 32, 32),
    "preact-resnet-18": (3, 32, 16), "wide-resnet-40-2:depth=16": (3, 32, 32), "all-conv": (3, 32, 16),
    "densenet-40": (3, 32, 16), "pyramidnet-272:depth=29:alpha=48": (3, 32, 16), "resnext-29:cardinality=2": (3, 32, 8),
}  # fmt: skip
"""A network of each family, and the channels, size and number of its images.

Not googlenet, efficientnet-b0 and nasnet, whose many layers take long to compile: name them to see.
"""
CLASSES = 10


def of_family(name: str, rounds: int) -> None:
    channels, size, count = FAMILIES.get(name, (3, 32, 16))
    images = torch.randn(count, channels, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(count) % CLASSES

    def step(compiled: bool) -> Callable[[], None]:
        network = build_network(name, channels, CLASSES, CLASSES, 0).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, fused=True)
        forward = torch.compile(network) if compiled else network

        def once() -> None:
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(forward(images), labels).backward()
            optimizer.step()

        return once

    def evaluation(compiled: bool) -> Callable[[], None]:
        network = build_network(name, channels, CLASSES, CLASSES, 0).to(memory_format=torch.channels_last).eval()
        forward = torch.compile(network) if compiled else network

        def once() -> None:
            with torch.no_grad():
                forward(images)

        return once

    timed: dict[str, timing.Timed] = {}
    seconds: dict[str, list[float]] = {}
    rows: list[timing.Row] = []
    for what, make in (("training", step), ("evaluation", evaluation)):
        torch.compiler.reset()  # as a run compiles what it calls, which forgets the other
        calls = {"eager": make(False), "compiled": make(True)}
        with tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, {CACHE: cache}):
            ready = timing.seconds_of(calls["compiled"], time.perf_counter)
        of_both = {f"{what}, {how}": timing.median_of(call, 3, warm_up=1) for how, call in calls.items()}
        with dynamo.patch(error_on_recompile=True):
            seconds |= timing.interleaved(of_both, rounds)
        timed |= of_both
        rows.append(timing.Row(f"{what} (compiled in {ready:.0f} s)", f"{what}, compiled", f"{what}, eager"))
    timing.print_table(f"{name}, {count} images", rows, timed, seconds)


@benchmark(__doc__, compiles=True)
@click.argument("networks", nargs=-1)
@rounds_option(7)
@threads_option
def main(networks: tuple[str, ...], rounds: int) -> None:
    torch.manual_seed(0)
    for name in networks:
        find_network(name)
    for name in networks or FAMILIES:
        of_family(name, rounds)


if __name__ == "__main__":
    main()
