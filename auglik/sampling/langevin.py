"""A sampler as an optimizer of torch, so that a training loop can drive it."""

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn

from auglik.sampling.contract import Prior, Sampler
from auglik.system.splitmix import normals, streams


@final
class Langevin(torch.optim.Optimizer):
    """Steps of a chain over all parameters, from gradients of a mean loss over a batch of `images` images.

    The noise of a step depends on the key and on how many steps were made, which the state dict holds with the momenta:
    a chain that is resumed is the same chain. Each step sets `lr`, the learning rate, and `noisy` of the one group.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        sampler: Sampler,
        prior: Prior,
        images: int,
        temperature: float = 1.0,
        likelihood_temperature: float = 1.0,
        key: int,
    ) -> None:
        super().__init__(parameters, {"lr": 0.0, "noisy": True, "done": 0})
        self.sampler, self.prior, self.key = sampler, prior, key
        self.images, self.temperature, self.likelihood_temperature = images, temperature, likelihood_temperature
        self.measured: Tensor | None = None
        """Kinetic and configurational temperature of the last step [2], NaN for what the sampler has not."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        (group,) = self.param_groups
        weights = [parameter for parameter in group["params"] if parameter.grad is not None]
        power = self.images / self.likelihood_temperature
        slopes = [power * weight.grad - self.prior.slope(weight) for weight in weights]
        if self.sampler.has_momenta:
            for weight in weights:
                self.state[weight].setdefault("momentum", torch.zeros_like(weight))
        momenta = [self.state[weight]["momentum"] for weight in weights] if self.sampler.has_momenta else []
        size = sum(weight.numel() for weight in weights)
        virial = torch.stack([(weight * slope).sum() for weight, slope in zip(weights, slopes, strict=True)]).sum()
        squares = self.sampler.move(
            weights,
            momenta,
            slopes,
            self._noise(weights, group["done"]),
            step=group["lr"] / self.images,
            temperature=self.temperature if group["noisy"] else 0.0,
        )
        kinetic = squares if squares is not None else torch.full_like(virial, torch.nan)
        self.measured = torch.stack([kinetic, virial]) / size
        group["done"] += 1

    def _noise(self, weights: list[Tensor], done: int) -> list[Tensor]:
        device, sizes = weights[0].device, [weight.numel() for weight in weights]
        drawn = normals(streams(self.key, torch.full((1,), done, device=device)), sum(sizes))[0]
        return [part.view(weight.shape) for part, weight in zip(drawn.split(sizes), weights, strict=True)]
