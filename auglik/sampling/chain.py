"""What a chain keeps beside the state of its sampler: draws, and the temperatures by which it is judged."""

import math
from collections.abc import Iterator, Mapping
from typing import final

import torch
from torch import Tensor, nn

from auglik.sampling.contract import StepSizes
from auglik.sampling.langevin import Langevin
from auglik.sampling.step_sizes import draw_steps
from auglik.system.devices import send
from auglik.views.memory import SHARE, free_bytes


@final
class Chain:
    """The draws and temperatures of a chain under way; its methods are called before and after each step."""

    def __init__(self, optimizer: Langevin, network: nn.Module, sizes: StepSizes, steps: int, draws: int) -> None:
        """Raises InputError for draws that do not fit into the steps."""
        stretches = sizes.stretches(steps)
        self._drawn_from = {step for stretch in stretches for step in stretch}
        self._draw_at = set(draw_steps(stretches, draws))
        self._optimizer, self._network, self._explores = optimizer, network, sizes.explores
        device = next(network.parameters()).device
        self.temperatures = torch.full((steps, 2), math.nan, device=device)
        """Kinetic and configurational, of every step that is drawn from; else NaN."""
        self.draws: dict[str, Tensor] = {}
        """State dicts, stacked [S,...], on the host."""

    def restore(self, temperatures: Tensor, draws: Mapping[str, Tensor]) -> None:
        """Continues from what a checkpoint kept."""
        self.temperatures.copy_(temperatures)
        self.draws = dict(draws)

    def measured(self) -> Tensor:
        """The temperatures of the steps that were drawn from [n,2], on the host."""
        return self.temperatures.cpu()[sorted(self._drawn_from)]

    def before(self, step: int) -> None:
        self._optimizer.param_groups[0]["noisy"] = step in self._drawn_from or not self._explores

    def after(self, step: int) -> None:
        if step in self._drawn_from and self._optimizer.measured is not None:
            self.temperatures[step] = self._optimizer.measured
        if step + 1 in self._draw_at:
            state = {name: values.detach().cpu()[None].clone() for name, values in self._network.state_dict().items()}
            self.draws = {
                name: torch.cat([self.draws[name], new]) if self.draws else new for name, new in state.items()
            }


@final
class Drawn(nn.Module):
    """A network at each of several draws of its weights: the members of a mixture. The network itself is moved."""

    def __init__(self, network: nn.Module, draws: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network, self.draws = network, draws

    def members(self) -> Iterator[nn.Module]:
        """The network at one draw after another."""
        self.draws = brought(self.draws, next(self.network.parameters()).device)
        for place in range(len(next(iter(self.draws.values())))):
            self.network.load_state_dict({name: values[place] for name, values in self.draws.items()})
            yield self.network


def brought(draws: Mapping[str, Tensor], device: torch.device) -> Mapping[str, Tensor]:
    """On the device if they fit into its memory, as every batch is predicted at all of them; else as they are."""
    size = sum(values.nbytes for values in draws.values())
    if all(values.device == device for values in draws.values()) or size > SHARE * free_bytes(device):
        return draws
    return {name: send(values.cpu().numpy(), device) for name, values in draws.items()}


def members(network: nn.Module) -> Iterator[nn.Module]:
    """The networks whose probabilities are averaged: the network itself unless there are draws of it."""
    return network.members() if isinstance(network, Drawn) else iter((network,))
