"""A step's forward, backward and optimizer as one CUDA graph: the host gives one order where it gave hundreds."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from auglik.objectives.view_counts import DrawsViews
from auglik.runs.resolved import ResolvedRun
from auglik.runs.step import Given, Learner, Update, Updated, learn, update
from auglik.system.graphs import Recording

FIRST_STEPS = 3
"""Steps before the recording: libraries choose their kernels in them, and the optimizer makes its buffers."""
OWN = ("auglik", "torch.nn")
"""Packages whose modules keep no state but in tensors, which a recorded step goes on changing."""


def can_record(learner: Learner, run: ResolvedRun) -> bool:
    """Whether every step of a run launches the same kernels, and nothing in it is decided on the host.

    Parts from elsewhere may count or draw there, which a recording would not repeat, so that they are not recorded.
    Nor are batch norms of cumulative averages, as torch reads on the host how many batches they have seen.
    """
    objective, config = run.objective, run.config
    parts = [objective.likelihood, objective.aggregator, *learner.network.modules(), *hooks(learner.network)]
    return (
        run.device.type == "cuda"
        and config.cuda_graphs
        and not config.compile
        and learner.processes.count == 1
        and type(learner.optimizer) is torch.optim.SGD
        and run.sampler is None
        and config.adaptive.mean_views is None
        and not isinstance(objective.aggregator, DrawsViews)
        and all(comes_from(type(part).__module__, OWN) for part in parts)
        and not any(isinstance(part, _BatchNorm) and part.momentum is None for part in parts)
    )


def updates_of(learner: Learner, run: ResolvedRun) -> Update:
    """A recording of the run's steps where they can be recorded, else `update`."""
    return Recorded() if can_record(learner, run) else update


def hooks(network: nn.Module) -> Iterator[object]:
    """What is called beside the forward and backward passes of its modules."""
    for module in network.modules():
        for of_kind in (
            module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks,
        ):  # fmt: skip
            yield from of_kind.values()


def comes_from(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@final
class Recorded:
    """`update` of one number of views, recorded after its first steps and then repeated, with the same results.

    Images, labels and the rest of a step are copied to where the recording reads them. What it returns changes in the
    next step.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._stream: torch.cuda.Stream | None = None
        self._recording: Recording[Updated] | None = None
        self._images = self._rate = torch.empty(0)
        self._given: Given | None = None

    def __call__(
        self, learner: Learner, run: ResolvedRun, images: list[Tensor], given: list[Given], rate: float
    ) -> Updated:
        """One step, as `update` says."""
        [of_images], [of_views] = images, given
        if self._recording is None:
            stream = self._stream = self._stream or torch.cuda.Stream(run.device)
            if self._steps < FIRST_STEPS:
                self._steps += 1
                stream.wait_stream(torch.cuda.current_stream(run.device))
                with torch.cuda.stream(stream):
                    updated = update(learner, run, images, given, rate)
                torch.cuda.current_stream(run.device).wait_stream(stream)
                return updated
            self._recording = self._record(learner, run, of_images, of_views)
        self._images.unflatten(0, of_images.shape[:2]).copy_(of_images)
        assert self._given is not None
        for own, value in zip(self._given, of_views, strict=True):
            assert (own is None) == (value is None)
            if own is not None and value is not None:
                own.copy_(value)
        self._rate.fill_(rate)
        updated = self._recording.replay()
        for group in learner.optimizer.param_groups:
            group["lr"] = rate  # of checkpoints
        return updated

    def _record(self, learner: Learner, run: ResolvedRun, images: Tensor, given: Given) -> Recording[Updated]:
        assert self._stream is not None
        self._images = torch.empty_like(images.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        self._given = own = Given(
            decay=given.decay.clone(), labels=given.labels.clone(),
            weight=None if given.weight is None else given.weight.clone(),
            log_importance=None if given.log_importance is None else given.log_importance.clone(),
        )  # fmt: skip
        self._rate = torch.zeros((), device=run.device)

        def work() -> Updated:
            for group in learner.optimizer.param_groups:
                group["lr"] = self._rate
            return learn(learner, run, self._images, [own])

        return Recording(work, self._stream)
