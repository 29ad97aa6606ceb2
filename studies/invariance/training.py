"""Small networks of all seeds and arms, trained at once: in a seed all arms see the same images, views and weights."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from auglik.scoring.label_entropy import mean_label_entropy
from auglik.studies.invariance.views import ARMS, C, Digits, decays, views
from auglik.system.array_types import Float64Array
from auglik.system.keys import device_generator

HIDDEN, RATE = 32, 0.02
SEEN = 6
"""Views of each test image: rotations, whatever was trained on."""
CPU = torch.device("cpu")


class Measured(NamedTuple):
    """Of every arm and seed [A,R], on rotated test images but for `clean_nll`."""

    within: Float64Array
    """Share of the variance of centred logits that lies between views of an image; 0 is invariance."""
    nll: Float64Array
    """Nats."""
    overconfidence: Float64Array
    """Mean confidence less accuracy."""
    accuracy: Float64Array
    clean_nll: Float64Array
    entropy: Float64Array
    """Mean entropy in nats of the labels that were trained with."""


class Networks:
    """R x A networks of one hidden layer, of equal initial weights in a seed."""

    def __init__(self, seeds: int, generator: torch.Generator) -> None:
        A, inputs = len(ARMS), 64
        first = torch.randn(seeds, inputs, 1, HIDDEN, generator=generator) * math.sqrt(2 / inputs)
        last = torch.randn(seeds, 1, HIDDEN, C, generator=generator) * math.sqrt(1 / HIDDEN)
        self.first = first.repeat(1, 1, A, 1).flatten(2).requires_grad_()
        self.last = last.repeat(1, A, 1, 1).requires_grad_()
        self.bias = torch.zeros(seeds, 1, A * HIDDEN, requires_grad=True)
        self.shift = torch.zeros(seeds, A, 1, C, requires_grad=True)

    def parameters(self) -> list[Tensor]:
        return [self.first, self.last, self.bias, self.shift]

    def __call__(self, vectors: Tensor) -> Tensor:
        """Vectors [R,n,64], or [n,64] for all seeds -> log-probabilities [R,A,n,C]."""
        hidden = (vectors @ self.first + self.bias).relu().unflatten(-1, (len(ARMS), HIDDEN)).transpose(1, 2)
        return (hidden @ self.last + self.shift).log_softmax(-1)


def trained(data: Digits, diversity: str, steps: int, seed: int) -> Measured:
    """All arms of all seeds after that many steps of Adam on all images, at rates that fall to 0 as a cosine."""
    seeds = len(data.labels)
    networks = Networks(seeds, device_generator(CPU, seed, "invariance", "weights"))
    optimizer = torch.optim.Adam(networks.parameters(), lr=RATE)
    hard, every = one_hot(data.labels, C).float()[:, None], []
    for step in range(steps):
        drawn = 0 if diversity == "fixed" else step
        if drawn == step:
            generator = device_generator(CPU, seed, "invariance", "views", step)
            vectors, strength = views(data.images.flatten(0, 1), diversity, generator)
            vectors = vectors.unflatten(0, data.labels.shape)
            decay = decays(strength.view(data.labels.shape), generator)
            gamma = decay.transpose(0, 1)[..., None].float()
            targets = (1 - gamma) * hard + gamma / C
        every.append(decay.numpy())
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        loss = -(targets * networks(vectors)).sum(-1).mean(-1).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    of_labels = np.stack(every, 2)  # [A,R,steps,n]
    entropies = [[mean_label_entropy(one, C) for one in arm] for arm in of_labels]
    return measured(networks, data, np.array(entropies), seed)


@torch.no_grad()
def measured(networks: Networks, data: Digits, entropies: Float64Array, seed: int) -> Measured:
    """What the networks make of rotated test images, the same for all."""
    generator = device_generator(CPU, seed, "invariance", "test views")
    seen = [views(data.test_images, "one", generator)[0] for _ in range(SEEN)]
    log_p = torch.stack([networks(vectors) for vectors in seen]).double().transpose(1, 2)  # [V,A,R,N,C]
    clean = networks(data.test_images.flatten(1).float() / 255).double().transpose(0, 1)

    def at_label(log_p: Tensor) -> Tensor:
        return log_p[..., torch.arange(len(data.test_labels)), data.test_labels]

    accuracy = (log_p.argmax(-1) == data.test_labels).double().mean((0, -1))
    return Measured(
        within=within_share(log_p).numpy(), nll=-at_label(log_p).mean((0, -1)).numpy(),
        overconfidence=(log_p.exp().amax(-1).mean((0, -1)) - accuracy).numpy(), accuracy=accuracy.numpy(),
        clean_nll=-at_label(clean).mean(-1).numpy(), entropy=entropies,
    )  # fmt: skip


def within_share(log_p: Tensor) -> Tensor:
    """Share [...] of the variance of centred logits, from log-probabilities [V,...,N,C], between views of an image.

    One less the intraclass correlation of a one-way analysis of variance, summed over classes: whatever the scale of
    the logits, so that labels which merely make them smaller change nothing.
    """
    V = len(log_p)
    centred = log_p - log_p.mean(-1, keepdim=True)
    within = centred.var(0).sum(-1).mean(-1)
    of_means = centred.mean(0).var(-2).sum(-1)
    return within / (within + (of_means - within / V).clamp_min(0))
