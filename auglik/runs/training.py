"""The training loop, top to bottom.

Nothing in a step waits for the device: the host knows every draw, and sums stay on the device until they are read.
All randomness is keyed by (seed, epoch, view, image): a checkpoint holds no generator, a resumed run is the same run.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auglik.confidence.distributions import ONLINE
from auglik.objectives import ROLES, Likelihood, negative_share, view_gradients
from auglik.objectives.view_counts import DrawsViews, drawn_views
from auglik.optimization.average import Average
from auglik.runs.adapted import Adapted
from auglik.runs.checkpoint import Checkpoint
from auglik.runs.evaluation import Predict, clean_log_probabilities, predictor
from auglik.runs.log import Log
from auglik.runs.loop import INTERVAL, Loop, NonFiniteLossError, lengths
from auglik.runs.online_confusions import OnlineConfusions
from auglik.runs.online_labels import OnlineLabels
from auglik.runs.recorded import updates_of
from auglik.runs.resolve import TrainingData, set_weights
from auglik.runs.resolved import ResolvedRun
from auglik.runs.step import Learner, begin, parts_of, rendered_parts, take_step
from auglik.sampling.chain import Chain, Drawn
from auglik.sampling.langevin import Langevin
from auglik.scoring.label_entropy import mean_degraded_entropy, mean_label_entropy
from auglik.scoring.metrics import error, nll
from auglik.system.devices import autocast
from auglik.system.keys import host_generator
from auglik.system.processes import ONE, Processes
from auglik.system.stop import StopRequest
from auglik.views import Draws, Gallery, Pipeline
from auglik.views.ahead import Ahead

MEASURED_VIEWS = 4096
"""Least number of views for the averaged network's batch norm statistics, if a pass has as many."""


class Trained(NamedTuple):
    """A trained network, and the record of its training."""

    network: nn.Module
    """At the averaged weights, if the settings ask for them; the mixture of a chain's draws, if they ask for one."""
    digests: list[str]
    """Chained SHA-256 of the draws: of the batches, then of each view."""
    last_epoch: dict[str, float]
    train_seconds: float
    temperatures: Tensor | None
    """Of a chain: kinetic and configurational, of the steps that were drawn from [n,2]."""


def train(
    run: ResolvedRun,
    data: TrainingData,
    settings: str,
    folder: str | Path,
    *,
    tensorboard: bool = False,
    resume: Checkpoint | None = None,
    stop: StopRequest | None = None,
    progress: Callable[[float], None] = lambda share: None,
    processes: Processes = ONE,
) -> Trained:
    """Trains one run, writing metrics.jsonl and checkpoint.pt into `folder`.

    `resume` is the checkpoint to continue from; `progress` is called with the share of steps done. With several
    `processes` each takes its share of every step's images, and the first one writes.
    Raises Interrupted once `stop` is set and the checkpoint written, NonFiniteLossError with the last good one kept.
    """
    config, device, folder = run.config, run.device, Path(folder)
    gallery, all_labels = data.training
    N, K = len(all_labels), config.views

    learner = begin(run, data, processes)
    objective, network, optimizer, pipeline = learner[:4]
    online = None
    if config.online_labels < 1:
        online = OnlineLabels.begin(data.classes, device, config.online_labels)
    confusions = None
    if config.degrade_toward == ONLINE:
        confusions = OnlineConfusions(objective.likelihood.toward)  # type: ignore[attr-defined]  # of all that degrade
    if resume is None:
        set_weights(run, network)
    decay = config.optimization.average
    average = Average(network, decay) if decay is not None else None
    scored = network if average is None else average.network
    chain = begin_chain(run, learner, N)
    clipping = ("clipped_share",) if config.optimization.gradient_clip is not None else ()
    loop = Loop(
        run, data, network, optimizer, ("loss", "negative_share", *clipping), K,
        settings=settings, folder=folder, resume=resume, stop=stop, average=average,
        chain=chain, processes=processes,
    )  # fmt: skip
    B, steps_per_pass, steps_per_epoch, steps = loop.lengths
    if online is not None and resume is not None:
        online.restore(resume.online_labels)
        processes.keep_in_first(online.sums, online.counts)
    if confusions is not None and resume is not None:
        confusions.restore(resume.online_labels)
    targets = online.targets() if online is not None else None
    adapted, ahead = Adapted(run, N), Ahead(pipeline, gallery)
    updates = updates_of(learner, run)
    if resume is not None:
        adapted.restore(resume.adapted or {})
    drawn_epoch, draws, counts, own = -1, None, None, np.empty((0, B), np.int64)

    with Log(folder, loop.first_step // steps_per_epoch, tensorboard, processes.first) as log:
        for step in range(loop.first_step, steps):
            epoch, position = divmod(step, steps_per_pass)
            if draws is None or epoch != drawn_epoch:
                if adapted.active and position == 0 and epoch > 0:
                    look(loop, run, pipeline, N, adapted)
                    adapted.advance(epoch)
                order = host_generator(config.seed, "batches", epoch).permutation(N)
                draws = pipeline.draw(config.seed, epoch, K, N, device, proposal=adapted.proposal)
                drawn_epoch = epoch
                batches = order[: steps_per_pass * B].reshape(steps_per_pass, B)
                own = batches[:, processes.part(B)]
                if position == 0:
                    loop.chain(batches, draws.view_digests())
                counts = adapted.counts if adapted.counts is not None else view_counts(run, epoch, N)
                ahead.begin(draws, own)
                announce(pipeline, gallery, draws, own[position:], counts)
            if chain is not None:
                chain.before(step)
            parts = parts_of(draws, own[position], counts)
            rendered = [ahead.views(position)] if counts is None else rendered_parts(learner, data, parts)
            taken = take_step(learner, run, data, rendered, targets, loop.rate(step), updates)
            if average is not None:
                average.update(step + 1)
            if chain is not None:
                chain.after(step)
            if online is not None:
                for part, classes in zip(taken.arguments, taken.hard_labels, strict=True):
                    online.update(objective.likelihood.log_probabilities(part.logits.detach()), classes)

            adapted.update(objective, taken, parts)
            done = step + 1
            loop.add_loss(step, taken.loss)
            if taken.clipped is not None:
                loop.sums["clipped_share"].add_(taken.clipped)
            if loop.look_due(done):
                lowest = [view_gradients(objective, *part).amin(0, keepdim=True) for part in taken.arguments]
                negative = negative_share(torch.cat(lowest, 1))
                loop.sums["negative_share"].add_(processes.mean(processes.weighted(negative, own.shape[1], B)))
                look(loop, run, pipeline, N, adapted)
                progress(done / steps)
            if done % steps_per_epoch == 0:
                if online is not None:
                    processes.add(online.sums, online.counts)
                    online.end_epoch()
                    targets = online.targets()
                if average is not None:
                    measure(average, run, pipeline, gallery, draws, own[: -(-MEASURED_VIEWS // (K * B))])
                    announce(pipeline, gallery, draws, own[position + 1 :], counts)
                processes.copy_first(scored.buffers())  # local statistics of batch norm differ
                log_p = of_validation(predictor(run, scored), data, processes)
                line = {
                    "epoch": done // steps_per_epoch,
                    "step": done,
                    "learning_rate": loop.rate(step),
                    "loss": loop.mean("loss"),
                    "negative_share": loop.mean("negative_share", 1 + (steps_per_epoch - 1) // INTERVAL),
                    **{name: loop.mean(name) for name in clipping},
                    **label_statistics(draws, all_labels, data.classes, objective.likelihood),
                    **validation_scores(log_p, data.validation.labels),
                }
                if confusions is not None:  # after the line, which is of the labels that were trained with
                    confusions.end_epoch(log_p, data.validation.labels)
                log.write(line)
                loop.end_epoch(line)
            if loop.save_due(done):
                look(loop, run, pipeline, N, adapted)
                if online is not None:
                    processes.add(online.sums, online.counts)
                    processes.keep_in_first(online.sums, online.counts)
                learned = [of.state() for of in (online, confusions) if of is not None]
                labels = {name: values for state in learned for name, values in state.items()}
                loop.save(done, labels, adapted.state())
            loop.check_stop(done)
    last_epoch = loop.last_epoch
    if chain is not None:
        scored = Drawn(network, chain.draws)
        log_p = of_validation(predictor(run, scored), data, processes)  # of the draws, which is what is scored
        last_epoch = {**last_epoch, **validation_scores(log_p, data.validation.labels)}
    return Trained(
        network=scored, digests=loop.digests, last_epoch=last_epoch, train_seconds=loop.seconds(),
        temperatures=chain.measured() if chain is not None else None,
    )  # fmt: skip


def begin_chain(run: ResolvedRun, learner: Learner, images: int) -> Chain | None:
    """The chain of a run that samples, before its first step. Raises InputError for draws that do not fit in."""
    if not isinstance(learner.optimizer, Langevin):
        return None
    sampling = run.config.sampling
    steps = lengths(run, images).steps
    return Chain(learner.optimizer, learner.network, sampling.parsed_step_sizes(), steps, sampling.draws)


def view_counts(run: ResolvedRun, epoch: int, images: int) -> NDArray[np.int64] | None:
    """The number of views of every image [N] in an epoch; None where all have all views."""
    aggregator, config = run.objective.aggregator, run.config
    if not isinstance(aggregator, DrawsViews):
        return None
    uniforms = host_generator(config.seed, "view counts", epoch).random(images)
    return drawn_views(aggregator, config.views, torch.from_numpy(uniforms)).numpy()


def announce(
    pipeline: Pipeline, gallery: Gallery, draws: Draws, batches: NDArray[np.int64], counts: NDArray[np.int64] | None
) -> None:
    """The parts of the batches that will be rendered from now on, in order."""
    pipeline.announce(gallery, draws, (part.images for batch in batches for part in parts_of(draws, batch, counts)))


def measure(
    average: Average, run: ResolvedRun, pipeline: Pipeline, gallery: Gallery, draws: Draws, used: NDArray[np.int64]
) -> None:
    """Recomputes batch norm under the averaged weights on the views of a pass's first steps, `used` [steps,B]."""
    pipeline.announce(gallery, draws, used)

    def rendered() -> Iterator[Tensor]:
        for batch in used:
            with autocast(run.device, "fp32"):  # this runs where the network does
                views = pipeline.render(gallery, draws, batch).images.flatten(0, 1)
            yield views.contiguous(memory_format=torch.channels_last)

    with autocast(run.device, run.precision):
        average.measure(rendered())


def label_statistics(draws: Draws, labels: Tensor, classes: int, likelihood: Likelihood) -> dict[str, float]:
    """Mean entropy in nats of the labels that an epoch's views were trained with, and their mean weight.

    Views from a proposal count with their importance. What online labels learn does not count.
    """
    decay, toward = likelihood.label_decay(torch.from_numpy(draws.decay)).numpy(), getattr(likelihood, "toward", None)
    importance = None if draws.log_importance is None else np.exp(draws.log_importance)
    if toward is None:
        entropy = mean_label_entropy(decay, classes, draws.own_share(labels), importance)
    else:
        entropy = mean_degraded_entropy(decay, draws.whole_labels(labels, classes), toward.cpu().numpy(), importance)
    found = {"label_entropy": entropy}
    return found if draws.weight is None else {**found, "weight": float(draws.weight.mean())}


def look(loop: Loop, run: ResolvedRun, pipeline: Pipeline, images: int, adapted: Adapted) -> None:
    """Waits for the device. Raises NonFiniteLossError if any loss so far was not finite."""
    step = loop.bad_step()
    if step is None:
        return
    config, (B, steps_per_pass, _, steps) = run.config, loop.lengths
    epoch, position = divmod(step, steps_per_pass)
    batch = host_generator(config.seed, "batches", epoch).permutation(images)[position * B : (position + 1) * B]
    draws = pipeline.draw(config.seed, epoch, config.views, images, torch.device("cpu"), proposal=adapted.proposal)
    role, temperature, decay = (values[:, batch] for values in (draws.role, draws.temperature, draws.decay))
    shares = ", ".join(f"{name} {np.mean(role == i):.2f}" for i, name in enumerate(ROLES) if np.any(role == i))
    raise NonFiniteLossError(
        f"the loss is not finite at step {step} of {steps} under {config.likelihood} + {config.aggregator} at learning"
        f" rate {loop.rate(step):.3g}; its views: {shares}; temperature {temperature.mean():.3f} (up to"
        f" {temperature.max():.3f}), decay {decay.mean():.3f} (up to {decay.max():.3f}); the last good checkpoint is"
        " kept; a lower learning rate is the usual cure"
    )


def of_validation(predict: Predict, data: TrainingData, processes: Processes) -> Tensor:
    """Log-probabilities [V,C] of the clean validation images."""
    gallery, labels = data.validation
    return clean_log_probabilities(predict, gallery, processes) if len(labels) else torch.empty(0, data.classes)


def validation_scores(log_p: Tensor, labels: Tensor) -> dict[str, float]:
    """Error and NLL on the clean validation images, from log-probabilities [V,C] and labels [V], if there are any."""
    if len(labels) == 0:
        return {}
    predicted, truth = log_p.cpu().numpy(), labels.cpu().numpy()
    return {"validation_error": error(predicted, truth), "validation_nll": nll(predicted, truth)}
