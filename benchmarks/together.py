"""S seeds of a cell trained as one program, against one after the other: a step of each of S networks on ready tensors.

`vmap` maps torch.func's gradient over stacked weights, for any network; `grouped` is `small-cnn` written again, its
convolutions in S groups. The peer takes the S steps in turn, channels last, as runs do. Operations of torch that a step
calls stand for the kernels that a GPU would launch.
"""

import copy
from collections.abc import Callable

import click
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from auglik.networks import build_network
from benchmarks import timing
from benchmarks.command import COUNT, benchmark, rounds_option, threads_option
from tests.cuda.pretended import LAUNCHES_NOTHING

CLASSES, RATE, MOMENTUM = 10, 0.1, 0.9
Step = Callable[[], None]


class Count(TorchDispatchMode):
    """Counts operations, but for those that launch nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += function.name().removeprefix("aten::").partition(".")[0] not in LAUNCHES_NOTHING
        return function(*args, **(kwargs or {}))


def optimizer(parameters: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, RATE, MOMENTUM, fused=True)


def in_turn(networks: list[nn.Module], views: Tensor, labels: Tensor) -> Step:
    """Views [S,B,c,H,W], labels [S,B]."""
    each = [copy.deepcopy(network).to(memory_format=torch.channels_last) for network in networks]
    optimizers = [optimizer(list(network.parameters())) for network in each]
    batches = [one.contiguous(memory_format=torch.channels_last) for one in views]

    def step() -> None:
        for network, its, batch, truth in zip(each, optimizers, batches, labels, strict=True):
            its.zero_grad(set_to_none=True)
            cross_entropy(network(batch), truth).backward()
            its.step()

    return step


def mapped(networks: list[nn.Module], views: Tensor, labels: Tensor) -> Step:
    weights, buffers = stack_module_state(networks)
    weights = {name: value.detach().requires_grad_() for name, value in weights.items()}
    its, skeleton = optimizer(list(weights.values())), copy.deepcopy(networks[0]).to("meta")

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor], views: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(functional_call(skeleton, (weights, buffers), (views,)), labels)

    gradients = vmap(grad_and_value(loss))

    def step() -> None:
        found, _ = gradients({name: value.detach() for name, value in weights.items()}, buffers, views, labels)
        for name, value in weights.items():
            value.grad = found[name]
        its.step()

    return step


def grouped(seeds: int, views: Tensor, labels: Tensor, width: int = 16) -> Step:
    """`small-cnn` S times; batch norm and maxima go by channel in any case."""
    channels = views.shape[2]
    layers: list[nn.Module] = []
    for inputs, outputs, pool in (
        (channels, width, nn.Identity()),
        (width, width, nn.MaxPool2d(2)),
        (width, 2 * width, nn.AdaptiveMaxPool2d(2)),
    ):
        convolution = nn.Conv2d(seeds * inputs, seeds * outputs, 3, padding=1, groups=seeds, bias=False)
        layers += [convolution, pool, nn.BatchNorm2d(seeds * outputs), nn.ReLU()]
    body = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    head = nn.Parameter(0.05 * torch.randn(seeds, 8 * width, CLASSES))
    its = optimizer([*body.parameters(), head])
    together = views.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        its.zero_grad(set_to_none=True)
        features = body(together).unflatten(1, (seeds, -1)).transpose(0, 1).flatten(2)
        logits = torch.bmm(features, head).flatten(0, 1)
        (cross_entropy(logits, labels.flatten(), reduction="sum") / views.shape[1]).backward()
        its.step()

    return step


def counted(step: Step) -> int:
    """Operations of a step."""
    with Count() as mode:
        step()
    return mode.count


@benchmark(__doc__)
@click.option("--seeds", type=COUNT, default=5, show_default=True, help="Networks trained together")
@click.option("--views", "count", type=COUNT, default=256, show_default=True, help="Views in a step of each")
@rounds_option(9)
@threads_option
def main(seeds: int, count: int, rounds: int) -> None:
    torch.manual_seed(0)
    for name, shape in {"small-cnn": (1, 8, 8), "fast-resnet:width=12": (3, 32, 32)}.items():
        networks = [build_network(name, shape[0], CLASSES, CLASSES, seed) for seed in range(seeds)]
        views = torch.randn(seeds, count, *shape)
        labels = torch.randint(CLASSES, (seeds, count))
        steps = {"in turn": in_turn(networks, views, labels), "vmap": mapped(networks, views, labels)}
        if name == "small-cnn":
            steps["grouped"] = grouped(seeds, views, labels)
        timed = {how: timing.median_of(step, 3) for how, step in steps.items()}
        seconds = timing.interleaved(timed, rounds)
        operations = {how: counted(step) for how, step in steps.items()}
        rows = [
            timing.Row(f"{how} ({operations[how]} operations, in turn {operations['in turn']})", how, "in turn")
            for how in list(steps)[1:]
        ]
        timing.print_table(f"A step of {seeds} x {name}, {count} views each", rows, timed, seconds)


if __name__ == "__main__":
    main()
