"""One training step of every network: bfloat16 autocast, channels last, fused SGD at its own rate, 32x32 images.

The step is checked before it is timed: a finite loss, and a finite gradient of every parameter. --compile adds the same
in a graph of torch.compile, without breaks. Networks given by name replace the list; those of `torchvision:` and
`timm:` take 224x224 images.
"""

import argparse
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from auglik import NETWORKS, build_network
from auglik.networks import find_network
from auglik.system.devices import autocast, choose_device

LIBRARY_NETWORKS = ("torchvision:resnet50", "torchvision:resnet101", "torchvision:efficientnet_b0", "timm:resnet50")
CLASSES = 10


class Measured(NamedTuple):
    """A network's trainable parameters, its loss and how long a step took."""

    parameters: int
    loss: float
    seconds: float


def measure(name: str, batch: int, device: torch.device, compiled: bool) -> Measured:
    """The second step of a network is timed. Raises RuntimeError where a loss or a gradient is not finite."""
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
        check(network, loss)
        optimizer.step()
        return loss

    step()
    began = time.perf_counter()
    loss = float(step())
    seconds = time.perf_counter() - began
    return Measured(sum(parameter.numel() for parameter in network.parameters()), loss, seconds)


def check(network: nn.Module, loss: Tensor) -> None:
    """Raises RuntimeError where the loss or a gradient is missing or not finite."""
    wrong = [name for name, p in network.named_parameters() if p.grad is None or not bool(torch.isfinite(p.grad).all())]
    if wrong or not bool(torch.isfinite(loss)):
        raise RuntimeError(f"loss {float(loss)}; gradients missing or not finite: {', '.join(wrong) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step of every network.")
    parser.add_argument("networks", nargs="*", default=[*NETWORKS, *LIBRARY_NETWORKS])
    parser.add_argument("--batch", type=int, default=8, help="images in a step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    print(f"bf16 channels_last step of {arguments.batch} images, {device}, compiled: {arguments.compile}", flush=True)
    for name in arguments.networks:
        measured = measure(name, arguments.batch, device, arguments.compile)
        print(
            f"{name:<28} {measured.parameters:>12,} parameters  loss {measured.loss:6.3f}  {measured.seconds:7.3f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
