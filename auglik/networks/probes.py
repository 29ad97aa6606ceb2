"""Probes of a network by name, on a few random images."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from auglik.networks import build_network
from auglik.networks.own import CHANGED, KEPT
from auglik.objectives.probes import Probe, expect
from auglik.system.keys import global_generator

IMAGES, CLASSES = 4, 5
TRAINED = 3
"""Forwards in training before a state dict is taken, as what is not in it may be at rest in a network just built."""


class Probed(NamedTuple):
    """A network and the images that it is tried on."""

    name: str
    channels: int
    height: int
    width: int

    def module(self, outputs: int = CLASSES, seed: int = 0) -> nn.Module:
        return build_network(self.name, self.channels, CLASSES, outputs, seed)

    def images(self) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        return torch.randn(IMAGES, self.channels, self.height, self.width, generator=generator)


def logits_of(module: nn.Module, images: Tensor) -> Tensor:
    found = module(images.clone())  # it may change them, which `kept` alone is to find
    expect(isinstance(found, Tensor), "logits as a tensor", type(found).__name__)
    return cast(Tensor, found)


def logits(probed: Probed) -> str:
    found = logits_of(probed.module(), probed.images())
    expect(found.shape == (IMAGES, CLASSES), f"logits [B,C] = {[IMAGES, CLASSES]}", list(found.shape))
    expect(bool(found.isfinite().all()), "finite logits", "NaN or inf")
    return f"{list(found.shape)}"


def kept(probed: Probed) -> str:
    module = probed.module()
    for training in (True, False):
        module.train(training)
        images = probed.images()
        with torch.no_grad():
            module(images)
        expect(torch.equal(images, probed.images()), KEPT, CHANGED)
    return "images are left as they are"


def unnormalized(probed: Probed) -> str:
    module = probed.module()
    for training in (True, False):
        module.train(training)
        with torch.no_grad():
            found = logits_of(module, probed.images())
        summed = (found.sum(-1) - 1).abs()
        probabilities = bool((found >= 0).all() and (summed <= 1e-4).all())
        expect(not probabilities, "logits", "rows that are probabilities: leave the softmax out")
    return "rows are not probabilities"


def parameters(probed: Probed) -> str:
    module = probed.module()
    logits_of(module, probed.images()).square().sum().backward()
    still = [name for name, parameter in module.named_parameters() if parameter.grad is None]
    expect(not still, "a gradient of every parameter", f"none of {', '.join(still)}")
    return f"{sum(parameter.numel() for parameter in module.parameters()):,} parameters"


def alone(probed: Probed) -> str:
    module, images = probed.module().eval(), probed.images()
    with torch.no_grad():
        whole, single = logits_of(module, images), torch.cat([logits_of(module, image[None]) for image in images])
    apart = float((whole - single).abs().max())
    expect(
        apart <= 1e-4 * (1 + float(whole.abs().max())), "logits of an image alone as in a batch", f"{apart:.1e} apart"
    )
    return f"evaluated alone within {apart:.1e}"


def seeds(probed: Probed) -> str:
    first, again, other = (probed.module(seed=seed).state_dict() for seed in (0, 0, 1))
    changed = [name for name in first if not torch.equal(first[name], again[name])]
    expect(not changed, "the same weights of the same seed", f"others in {', '.join(changed[:3])}")
    expect(any(not torch.equal(first[name], other[name]) for name in first), "others of another seed", "the same")
    return "weights follow the seed"


def extra_output(probed: Probed) -> str:
    """The extra output of an objective with a sink leaves all other weights as they are."""
    plain, more = probed.module().state_dict(), probed.module(CLASSES + 1).state_dict()
    for name, values in plain.items():
        found = more[name][:CLASSES] if name.startswith("head.") else more[name]
        expect(torch.equal(found, values), "the same weights beside a sink", f"others in {name}")
    return "weights are the same with an output more"


def determined(probed: Probed) -> str:
    found = []
    for state in (1, 2):
        module = probed.module().train()
        with global_generator(state):
            found.append(logits_of(module, probed.images()))
    expect(
        torch.equal(*found),
        "training that draws from keyed layers alone (nn.Dropout becomes one)",
        "other logits at another state of torch's global generator",
    )
    return "the same bits whatever the global generator"


def saved(probed: Probed) -> str:
    first, second = probed.module(seed=0).train(), probed.module(seed=1).eval()
    with global_generator(0):
        for _ in range(TRAINED):
            logits_of(first, probed.images())
    first.eval()
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        same = torch.equal(*(logits_of(module, probed.images()) for module in (first, second)))
    expect(
        same,
        "the same logits once the weights are loaded",
        "others: something is not in the state dict, such as a tensor that is no buffer",
    )
    return "the state dict holds all"


NETWORK_PROBES: Mapping[str, Probe[Probed]] = {
    "logits": logits,
    "images": kept,
    "unnormalized": unnormalized,
    "parameters": parameters,
    "batch of one": alone,
    "seeds": seeds,
    "extra output": extra_output,
    "determined": determined,
    "saved": saved,
}
