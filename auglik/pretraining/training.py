"""The pretraining loop. As in supervised training, randomness is keyed and no step waits for the device."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from auglik.pretraining.config import ResolvedPretraining
from auglik.pretraining.pair_weights import overlap
from auglik.pretraining.probes import features_of, neighbour_accuracy
from auglik.pretraining.simsiam import SimSiam, build_simsiam, output_std, pair_losses
from auglik.runs.checkpoint import Checkpoint
from auglik.runs.log import Log
from auglik.runs.loop import Loop, NonFiniteLossError
from auglik.runs.resolve import TrainingData
from auglik.system.devices import autocast, send
from auglik.system.keys import host_generator
from auglik.system.stop import StopRequest


class Pretrained(NamedTuple):
    """A pretrained model, and what was seen of its training."""

    model: SimSiam
    digests: list[str]
    """Chained SHA-256 of the draws: of the batches, then of the two views."""
    last_epoch: dict[str, float]
    train_seconds: float


def make_model(run: ResolvedPretraining, channels: int) -> SimSiam:
    """The run's model at its initial weights, on its device, channels last."""
    config, shared = run.config, run.shared
    model = build_simsiam(shared.network, channels, config.projection, config.bottleneck, config.seed)
    return model.to(shared.device).to(memory_format=torch.channels_last)


def pretrain(
    run: ResolvedPretraining,
    data: TrainingData,
    settings: str,
    folder: Path,
    *,
    tensorboard: bool = False,
    resume: Checkpoint | None = None,
    stop: StopRequest | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Pretrained:
    """Trains one run, writing metrics.jsonl and checkpoint.pt into `folder`.

    The loss is the mean over a step's images of weight times pair loss. `resume` is the checkpoint to continue from.
    Raises Interrupted once `stop` is set and the checkpoint written, NonFiniteLossError with the last good one kept.
    """
    config, shared = run.config, run.shared
    gallery = data.training.gallery
    N = len(gallery)

    model = make_model(run, gallery.channels)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=0.0,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
    loop = Loop(
        shared, data, model, optimizer, ("loss", "similarity", "output_std"), 2,
        settings=settings, folder=folder, resume=resume, stop=stop,
    )  # fmt: skip
    B, _, steps_per_epoch, steps = loop.lengths
    drawn_epoch = -1

    with Log(folder, loop.first_step // steps_per_epoch, tensorboard) as log:
        for step in range(loop.first_step, steps):
            epoch, position = divmod(step, steps_per_epoch)
            if epoch != drawn_epoch:
                order = host_generator(config.seed, "batches", epoch).permutation(N)
                pair, drawn_epoch = run.views.draw(config.seed, epoch, N, gallery.shape), epoch
                iou = overlap(pair[0].box, pair[1].box)
                weights = run.pair_weight.weights(iou)
                batches = order[: steps_per_epoch * B].reshape(steps_per_epoch, B)
                if position == 0:
                    loop.chain(batches, [drawn.digest() for drawn in pair])
                gallery.announce(batches[position:])
            batch = batches[position]
            first, second = (
                view.contiguous(memory_format=torch.channels_last) for view in run.views.render(gallery, pair, batch)
            )

            for group in optimizer.param_groups:
                group["lr"] = loop.rate(step)
            with autocast(shared.device, shared.precision):
                outputs = model(first, second)
            losses = pair_losses(outputs)
            loss = (send(weights[batch].astype(np.float32), shared.device) * losses).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

            done = step + 1
            loop.add_loss(step, loss.detach())
            loop.sums["similarity"].sub_(losses.detach().mean())
            loop.sums["output_std"].add_(output_std(outputs.z[0]))
            if loop.look_due(done):
                look(loop, config.soften)
                progress(done / steps)
            if done % steps_per_epoch == 0:
                used = order[: steps_per_epoch * B]
                line = {
                    "epoch": epoch + 1,
                    "step": done,
                    "learning_rate": loop.rate(step),
                    "loss": loop.mean("loss"),
                    "similarity": loop.mean("similarity"),
                    "output_std": loop.mean("output_std"),
                    "pair_weight": float(weights[used].mean()),
                    "pair_iou": float(iou[used].mean()),
                }
                if (epoch + 1) % config.probe_every == 0 or done == steps:
                    line |= validation_scores(model, data, run)
                log.write(line)
                loop.end_epoch(line)
            if loop.save_due(done):
                look(loop, config.soften)
                loop.save(done, {})
            loop.check_stop(done)
    return Pretrained(model, loop.digests, loop.last_epoch, loop.seconds())


def look(loop: Loop, soften: str) -> None:
    """Waits for the device. Raises NonFiniteLossError if a loss since the start was not finite."""
    step = loop.bad_step()
    if step is not None:
        raise NonFiniteLossError(
            f"the loss is not finite at step {step} of {loop.lengths.steps} under soften {soften} at learning"
            f" rate {loop.rate(step):.3g}; the last good checkpoint is kept; a lower learning rate is the usual cure"
        )


def validation_scores(model: SimSiam, data: TrainingData, run: ResolvedPretraining) -> dict[str, float]:
    """Nearest-neighbour accuracy on the validation images, if there are any."""
    if len(data.validation.labels) == 0:
        return {}
    precision = run.shared.precision
    bank, queries = (features_of(model.backbone, part, precision) for part in (data.training, data.validation))
    k, temperature = run.neighbours, run.config.neighbour_temperature
    return {"validation_knn_accuracy": neighbour_accuracy(bank, queries, data.classes, k, temperature)}
