"""A training step of every network: bfloat16 autocast, channels last, fused SGD at its own rate, 32x32 images.

Before steps are timed one is checked: a finite loss, and a finite gradient of every parameter. --compile has them in a
graph of torch.compile, without breaks. Networks given by name replace the list; those of `torchvision:` and `timm:`
take 224x224 images, and those of a library that is not here are left out of the list.
"""

import statistics
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from auglik import NETWORKS, build_network
from auglik.networks import find_network
from auglik.objectives import InputError
from auglik.system.compiling import check_compiler
from auglik.system.devices import autocast, choose_device
from benchmarks import timing
from benchmarks.command import COUNT, benchmark, rounds_option, threads_option
from benchmarks.training import finish

LIBRARY_NETWORKS = ("torchvision:resnet50", "torchvision:resnet101", "torchvision:efficientnet_b0", "timm:resnet50")
CLASSES = 10


class Measured(NamedTuple):
    """A network's trainable parameters, its loss and how long steps took, round by round."""

    parameters: int
    loss: float
    seconds: list[float]


def measure(name: str, batch: int, device: torch.device, compiled: bool, rounds: int) -> Measured:
    """Steps after one that is checked. Raises RuntimeError where a loss or a gradient is not finite."""
    network = build_network(name, 3, CLASSES, CLASSES, seed=0).to(device).to(memory_format=torch.channels_last)
    side = 224 if ":" in name and "=" not in name else 32
    images = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    images, labels = images.contiguous(memory_format=torch.channels_last), torch.arange(batch, device=device) % CLASSES
    specification = find_network(name)
    optimizer = torch.optim.SGD(
        network.parameters(), specification.learning_rate, momentum=0.9, nesterov=specification.nesterov, fused=True
    )
    torch.compiler.reset()
    forward = torch.compile(network, fullgraph=True) if compiled else network

    def step() -> Tensor:
        with autocast(device, "bf16"):
            logits = forward(images)
        loss = cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        finish(device)
        return loss.detach()

    loss = step()
    check(network, loss)
    timed = {name: timing.median_of(step, 1, warm_up=1)}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Measured(parameters, float(loss), timing.interleaved(timed, rounds)[name])


def check(network: nn.Module, loss: Tensor) -> None:
    """Raises RuntimeError where the loss or a gradient is missing or not finite."""
    wrong = [name for name, p in network.named_parameters() if p.grad is None or not bool(torch.isfinite(p.grad).all())]
    if wrong or not bool(torch.isfinite(loss)):
        raise RuntimeError(f"loss {float(loss)}; gradients missing or not finite: {', '.join(wrong) or 'none'}")


def present(names: Iterable[str]) -> Iterator[str]:
    """Those that can be built here; why others cannot is printed."""
    for name in names:
        try:
            find_network(name)
        except InputError as error:
            print(f"left out: {error}", flush=True)
        else:
            yield name


@benchmark(__doc__)
@click.argument("networks", nargs=-1)
@click.option("--batch", type=COUNT, default=8, show_default=True, help="Images in a step")
@click.option("--device", "device_name", default="auto", show_default=True, help="auto, cpu or cuda")
@click.option("--compile", "compiled", is_flag=True)
@rounds_option(3)
@threads_option
def main(networks: tuple[str, ...], batch: int, device_name: str, compiled: bool, rounds: int) -> None:
    device = choose_device(device_name)
    if compiled:
        check_compiler(device)
    for name in networks:
        find_network(name)
    print(f"bf16 channels_last step of {batch} images, {device}, compiled: {compiled}; {timing.clock_name()}")
    print(f"{timing.machine()}; one step a round, median of {rounds} [min-max]", flush=True)
    for name in networks or present((*NETWORKS, *LIBRARY_NETWORKS)):
        parameters, loss, seconds = measure(name, batch, device, compiled, rounds)
        spread = f"{1e3 * statistics.median(seconds):9.2f} ms [{1e3 * min(seconds):.2f}-{1e3 * max(seconds):.2f}]"
        print(f"{name:<28} {parameters:>12,} parameters  loss {loss:6.3f}  {spread}", flush=True)


if __name__ == "__main__":
    main()
