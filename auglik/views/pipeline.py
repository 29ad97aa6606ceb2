"""K views of every image of a batch: drawn on the host for a whole epoch, rendered on the device step by step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import ROLES
from auglik.system.array_types import Float64Array
from auglik.system.compiling import torch_compile
from auglik.system.devices import send
from auglik.system.keys import host_generator, stream_key
from auglik.views.augmentation import (
    OPERATIONS,
    Applied,
    Augmentation,
    Compilable,
    Drawn,
    Enumerated,
    Gathered,
    Parameters,
    Placed,
    Shape,
)
from auglik.views.augmentations.fcr import fetch, levels
from auglik.views.couplings import Coupling
from auglik.views.draws import LOG_IMPORTANCE, Draws, Mixed, Views
from auglik.views.mixing.contract import Mixing
from auglik.views.mollification import MOLLIFICATION, Blurred, Mollification, Noised, blurred, mollify, noised
from auglik.views.operations.running import for_any_number
from auglik.views.proposal import OF_MOLLIFICATION, Proposal, mollified
from auglik.views.steps import Step, of_step, stacked
from auglik.views.store import Gallery, spread

VIEWS_AT_ONCE, PIXELS_AT_ONCE = 256, 2**18
"""Views whose levels are worked on at a time on a CPU, and more of small images: index maps of more leave its cache."""

PROBES = 4096
"""Draws from which the operations of a pipeline are read."""

Gather = Callable[[Gallery, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Softening:
    """How the labels of transformed views are softened."""

    decay: Callable[[Sequence[Sequence[Applied]]], NDArray[np.float32]]
    """The decay [n] of n views from what each augmentation did to them."""
    classes: int
    target: bool
    """Whether it is the views' decay, in addition to that of mollification."""
    weight: bool
    """Whether the confidence that it leaves, p = 1 - gamma + gamma/C, is the views' weight (Liu et al. 2023)."""
    text: str
    """A readable description."""


@dataclass(frozen=True)
class Pipeline:
    """The distribution of a view of images of one shape: mixing, augmentations in turn, mollification."""

    shape: Shape
    steps: tuple[Step, ...]
    mollification: Mollification
    mixing: Mixing | None = None
    softening: Softening | None = None
    coupling: Coupling | None = None
    """How the views of an image depend on each other; None: they do not."""
    following: tuple[str, ...] = ()
    """What a run makes follow its earlier views, in words."""
    fetch: Gather = fetch
    levels: Gather = levels
    spread: Callable[[Tensor, Tensor, Tensor], Tensor] = spread
    blurred: Blurred = blurred
    noised: Noised = noised
    """How views are gathered, standardized and mollified; compiled runs give these through torch.compile."""

    def compiled(self) -> "Pipeline":
        """The same with its gathers, its policies' operations and its mollification compiled."""
        steps = tuple(Step(name, one.compiled() if isinstance(one, Compilable) else one) for name, one in self.steps)
        return replace(
            self, steps=steps, fetch=torch_compile(self.fetch), levels=torch_compile(self.levels),
            spread=torch_compile(self.spread),
            blurred=for_any_number(self.blurred), noised=for_any_number(self.noised),
        )  # fmt: skip

    def describe(self) -> str:
        """The stages of a view, on one line."""
        stages = [*([self.mixing] if self.mixing is not None else []), *(step.augmentation for step in self.steps)]
        schedule = self.mollification.schedule
        shares = zip(ROLES, schedule.shares(), strict=True)
        roles = ", ".join(f"{role} {share:.3g}" for role, share in shares if share)
        if schedule.clean < 1:
            roles += f"; t ~ Beta({schedule.alpha:g},{schedule.beta:g}), k noise {schedule.k_noise:g}"
            roles += f" blur {schedule.k_blur:g}"
        softening = [] if self.softening is None else [self.softening.text]
        coupled = [] if self.coupling is None else [f"views coupled by {self.coupling!r}"]
        return " -> ".join([*map(repr, stages), f"mollification ({roles})", *softening, *coupled, *self.following])

    def operations(self) -> set[str]:
        """The operations that can happen to a view, from a few thousand draws."""
        views = max((one.size for _, one in self.steps if isinstance(one, Enumerated)), default=1)
        probe = self.draw(0, 0, views, PROBES // views, torch.device("cpu"), purpose="operations")
        applied = [of for view in range(views) for of in self.applied_to(probe, view, np.arange(PROBES // views))]
        found = {
            position for branches in applied for branch in branches for position in np.unique(branch.operation).tolist()
        }
        return {OPERATIONS[position] for position in found}

    def draw(
        self,
        seed: int,
        epoch: int,
        views: int,
        count: int,
        device: torch.device,
        purpose: str = "training",
        proposal: Proposal | None = None,
    ) -> Draws:
        """The parameters of K views of all N = `count` images, each keyed by (seed, purpose, stage, epoch, view).

        With a `proposal` roles and temperatures are drawn from it and views have importance.
        """
        uniforms = None
        if self.coupling is not None:
            needed = OF_MOLLIFICATION + sum(self._coupled_by(step.augmentation) for step in self.steps)
            uniforms = self.coupling.uniforms(seed, purpose, epoch, views, count, needed)
        role, temperature, cell, log_importance = mollified(
            self.mollification, proposal, seed, purpose, epoch, (views, count), uniforms
        )
        by_step = self._parameters(seed, epoch, views, count, purpose, uniforms)
        decay = self.mollification.decay(role, temperature)
        decay, weight = self._softened(decay, by_step)
        parameters = {f"{name}.{key}": values for name, of in by_step.items() for key, values in stacked(of)}
        del by_step  # as large as what is stacked
        mixing = {}
        if self.mixing is not None:
            mixing = dict(self.mixing.draw(host_generator(seed, purpose, "mixing", epoch), count, self.shape))
        stages = {item.name: f"{item.name} noise" for item in self.steps if item.augmentation.noisy}
        if self.mollification.noisy:
            stages[MOLLIFICATION] = "pixel noise"
        noise = {
            name: np.array([stream_key(seed, purpose, key, epoch, view) for view in range(views)])
            for name, key in stages.items()
        }
        return Draws(
            role=role, temperature=temperature, decay=decay, weight=weight, parameters=parameters, mixing=mixing,
            noise=noise, cell=cell, log_importance=log_importance,
        ).on(device)  # fmt: skip

    def _parameters(
        self, seed: int, epoch: int, views: int, count: int, purpose: str, uniforms: Float64Array | None
    ) -> dict[str, list[Parameters]]:
        """Of each step, view by view: from coupled numbers [K,N,D] behind the first two, where both sides say so."""
        by_step, start = dict[str, list[Parameters]](), OF_MOLLIFICATION
        for step in self.steps:
            one, numbers = step.augmentation, self._coupled_by(step.augmentation)
            if uniforms is not None and numbers and isinstance(one, Placed):
                by_step[step.name] = [one.place(of[:, start : start + numbers], self.shape) for of in uniforms]
                start += numbers
            else:
                by_step[step.name] = [step.draw(seed, purpose, epoch, view, count, self.shape) for view in range(views)]
        return by_step

    def _coupled_by(self, augmentation: Augmentation) -> int:
        """How many coupled numbers its parameters take."""
        whole = self.coupling is not None and self.coupling.whole
        return augmentation.dimensions if whole and isinstance(augmentation, Placed) else 0

    def _softened(
        self, decay: NDArray[np.float32], by_step: Mapping[str, Sequence[Parameters]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Decay and weight [K,N] with what the augmentations did counted in; kept label mass 1-gamma multiplies."""
        if self.softening is None:
            return decay, None
        lost = np.stack(
            [
                self.softening.decay(self.applied({name: drawn[view] for name, drawn in by_step.items()}))
                for view in range(len(decay))
            ]
        )
        lost = np.broadcast_to(lost, decay.shape)
        if self.softening.target:
            decay = 1 - (1 - decay) * (1 - lost)
        C = self.softening.classes
        return decay, 1 - lost * np.float32((C - 1) / C) if self.softening.weight else None

    def applied(self, by_step: Mapping[str, Parameters]) -> list[Sequence[Applied]]:
        """What each augmentation did to n views, from its parameters [n,...]."""
        return [step.augmentation.applied(by_step[step.name], self.shape) for step in self.steps]

    def applied_to(self, draws: Draws, view: int, images: NDArray[np.int64]) -> list[Sequence[Applied]]:
        """What each augmentation did to one view of some of the images."""
        drawn = {name: values[view][images] for name, values in draws.parameters.items()}
        return self.applied({step.name: of_step(step, drawn, {}, slice(None))[0] for step in self.steps})

    def render(self, gallery: Gallery, draws: Draws, batch: NDArray[np.int64]) -> Views:
        """K views of images of the gallery, at `batch` [B]. Raises InputError for draws of another device."""
        device, (K, B) = gallery.pixels.device, (len(draws.role), len(batch))
        needed = self._needed(draws, batch)
        every = send(needed, device)
        positions = every[:B]
        source, rows = gallery.subset(needed, every)
        assert draws.device is not None
        drawn = draws.device.at(positions)
        mixed, index = None, rows if K == 1 else rows.repeat(K)
        if self.mixing is not None:
            mixing = {name: values[positions] for name, values in draws.device.mixing.items()}
            mixed = Mixed(mixing["partner"], mixing["share"])
            source = self.mixing.mix(source, rows[:B], {**mixing, "partner": rows[B:]})
            index = torch.arange(B, device=device).repeat(K)
        host = {
            name: values[:, batch].reshape(-1, *values.shape[2:])
            for name, values in draws.parameters.items()
            if not (self._gather and name.startswith(self._of_levels[0].name + "."))
        }
        flat = drawn.parameters
        images = self._gathered(source, index, host, flat)
        for item in self.steps:
            if item.augmentation.domain == "standardized":
                starts = flat.get(f"noise.{item.name}")
                images = item.render(images, Drawn(*of_step(item, host, flat, slice(None)), starts))
        role = draws.role[:, batch]
        if role.any():
            starts = flat.get(f"noise.{MOLLIFICATION}")
            mollify(images, role, drawn.temperature, starts, self.blurred, self.noised)
        log_importance = flat.get(LOG_IMPORTANCE)
        return Views(
            images=images.unflatten(0, (K, B)), decay=drawn.decay, weight=drawn.weight,
            log_importance=None if log_importance is None else log_importance.view(K, B), positions=positions,
            mixed=mixed, gallery=len(gallery),
        )  # fmt: skip

    def announce(self, gallery: Gallery, draws: Draws, batches: Iterable[NDArray[np.int64]]) -> None:
        """The batches that will be rendered from now on, in order: a streamed gallery reads them ahead."""
        gallery.announce(self._needed(draws, batch) for batch in batches)

    def _needed(self, draws: Draws, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        """The images that views of a batch [B] are made of: its own, then the partners in mixing, if any."""
        if self.mixing is None:
            return batch
        return np.concatenate([batch, draws.mixing["partner"][batch].astype(np.int64, copy=False)])

    @cached_property
    def _of_levels(self) -> list[Step]:
        """The steps whose augmentations are of levels."""
        return [step for step in self.steps if step.augmentation.domain == "levels"]

    @cached_property
    def _gather(self) -> tuple[str, ...]:
        """The parameters of the first of them if it is a gather; its host has no use for them."""
        first = self._of_levels[0].augmentation if self._of_levels else None
        return first.gather if isinstance(first, Gathered) else ()

    def _gathered(self, gallery: Gallery, index: Tensor, host: Parameters, device: Mapping[str, Tensor]) -> Tensor:
        """Standardized images [V,c,H,W] of the images `index` [V], with all augmentations of their levels."""
        steps, gather = self._of_levels, self._gather
        others = steps[1:] if gather else steps
        V = len(index)
        whole = index.device.type != "cpu" or (self.fetch is not fetch and not others)
        size = V if whole else min(max(VIEWS_AT_ONCE, PIXELS_AT_ONCE // (gallery.height * gallery.width)), V)
        parts = []
        for start in range(0, V, size):
            chunk = slice(start, start + size)
            if not gather:
                images = gallery.levels(index[chunk]) if steps else gallery.clean(index[chunk])
            else:
                arguments = (device[f"{steps[0].name}.{name}"][chunk] for name in gather)
                images = (self.levels if others else self.fetch)(gallery, index[chunk], *arguments)
            for step in others:
                images = step.render(images, Drawn(*of_step(step, host, device, chunk)))
            parts.append(self.spread(images, gallery.scale, gallery.shift) if others else images)
        return parts[0] if len(parts) == 1 else torch.cat(parts)
