"""The pretraining loop. As in supervised training, randomness is keyed and no step waits for the device."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from auglik.pretraining.config import PretrainConfig
from auglik.pretraining.pair_weights import overlap
from auglik.pretraining.probes import features_of, neighbour_accuracy
from auglik.pretraining.simsiam import SimSiam, build_simsiam, output_std, pair_losses
from auglik.runs.checkpoint import Checkpoint, Keeper
from auglik.runs.log import Log
from auglik.runs.resolve import TrainingData
from auglik.runs.training import INTERVAL, NonFiniteLossError, chained, learning_rate, lengths, note_first_bad
from auglik.system.devices import autocast, send
from auglik.system.keys import host_generator
from auglik.system.stop import Interrupted, StopRequest


class Meters(NamedTuple):
    """Sums over the epoch under way, 0-d float64 tensors on the device."""

    loss: Tensor
    similarity: Tensor
    output_std: Tensor
    first_bad_step: Tensor
    """The first step whose loss was not finite, or -1."""


class Pretrained(NamedTuple):
    """A pretrained model, and what was seen of its training."""

    model: SimSiam
    digests: list[str]
    """Chained SHA-256 of the draws: of the batches, then of the two views."""
    last_epoch: dict[str, float]
    train_seconds: float


def make_model(config: PretrainConfig, channels: int) -> SimSiam:
    """The run's model at its initial weights, on its device, channels last."""
    model = build_simsiam(str(config.network), channels, config.projection, config.bottleneck, config.seed)
    return model.to(torch.device(config.device)).to(memory_format=torch.channels_last)


def pretrain(
    config: PretrainConfig,
    data: TrainingData,
    settings: str,
    folder: Path,
    *,
    threads: int = 1,
    tensorboard: bool = False,
    resume: Checkpoint | None = None,
    stop: StopRequest | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Pretrained:
    """Trains one run of resolved settings, writing metrics.jsonl and checkpoint.pt into `folder`.

    The loss is the mean over a step's images of weight times pair loss. `resume` is the checkpoint to go on from.
    Raises Interrupted once `stop` is set and the checkpoint written, NonFiniteLossError with the last good one kept.
    """
    device, run = torch.device(config.device), config.run()
    views, pair_weight = config.views(), config.pair_weight()
    gallery = data.training.gallery
    N = len(gallery)
    B, _, steps_per_epoch, steps = lengths(run, N)

    model = make_model(config, gallery.channels)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=learning_rate(run, 0, steps),
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )
    meters = Meters(*torch.tensor([0.0, 0.0, 0.0, -1.0], dtype=torch.float64, device=device).unbind())
    first_step, digests, seconds_before = 0, [""] * 3, 0.0
    line: dict[str, float] = {}
    if resume is not None:
        model.load_state_dict(resume.network)
        optimizer.load_state_dict(resume.optimizer)
        meters = Meters(*resume.meters.to(device).unbind())
        first_step, digests, seconds_before = resume.step, resume.digests, resume.train_seconds
        line = resume.last_epoch

    began, keeper = time.monotonic(), Keeper(folder)
    drawn_epoch = -1

    def save(done: int) -> None:
        look(meters, config, N)
        state = Checkpoint(
            settings=settings,
            step=done,
            network=model.state_dict(),
            optimizer=optimizer.state_dict(),
            meters=torch.stack(meters).cpu(),
            digests=digests,
            last_epoch=line,
            mean=data.mean,
            std=data.std,
            train_seconds=seconds_before + time.monotonic() - began,
            threads=threads,
            online_labels={},
            class_names=data.class_names,
        )
        keeper.save(state)

    with Log(folder, first_step // steps_per_epoch, tensorboard) as log:
        for step in range(first_step, steps):
            epoch, position = divmod(step, steps_per_epoch)
            if epoch != drawn_epoch:
                order = host_generator(config.seed, "batches", epoch).permutation(N)
                pair, drawn_epoch = views.draw(config.seed, epoch, N, gallery.shape), epoch
                iou = overlap(pair[0].box, pair[1].box)
                weights = pair_weight.weights(iou)
                batches = order[: steps_per_epoch * B].reshape(steps_per_epoch, B)
                digests = chained(digests, batches, [drawn.digest() for drawn in pair]) if position == 0 else digests
            batch = batches[position]
            first, second = (
                views.render(gallery, drawn, batch).contiguous(memory_format=torch.channels_last) for drawn in pair
            )

            for group in optimizer.param_groups:
                group["lr"] = learning_rate(run, step, steps)
            with autocast(device, config.precision):
                outputs = model(first, second)
            losses = pair_losses(outputs)
            loss = (send(weights[batch].astype(np.float32), device) * losses).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

            done = step + 1
            meters.loss.add_(loss.detach())
            meters.similarity.sub_(losses.detach().mean())
            meters.output_std.add_(output_std(outputs.z[0]))
            note_first_bad(meters.first_bad_step, loss.detach(), step)
            if done % steps_per_epoch % INTERVAL == 0:
                look(meters, config, N)
                progress(done / steps)
            if done % steps_per_epoch == 0:
                used = order[: steps_per_epoch * B]
                line = {
                    "epoch": epoch + 1,
                    "step": done,
                    "learning_rate": learning_rate(run, step, steps),
                    "loss": float(meters.loss) / steps_per_epoch,
                    "similarity": float(meters.similarity) / steps_per_epoch,
                    "output_std": float(meters.output_std) / steps_per_epoch,
                    "pair_weight": float(weights[used].mean()),
                    "pair_iou": float(iou[used].mean()),
                }
                if (epoch + 1) % config.probe_every == 0 or done == steps:
                    line |= validation_scores(model, data, config)
                log.write(line)
                for meter in meters[:3]:
                    meter.zero_()
            stopping = bool(stop) and done < steps
            if done == steps or stopping or keeper.due():
                save(done)
            if stopping:
                raise Interrupted(f"stopped after step {done} of {steps}")
    return Pretrained(model, digests, line, seconds_before + time.monotonic() - began)


def look(meters: Meters, config: PretrainConfig, images: int) -> None:
    """Waits for the device. Raises NonFiniteLossError where a loss since the start was not finite."""
    step = int(meters.first_bad_step)
    if step >= 0:
        run = config.run()
        steps = lengths(run, images).steps
        raise NonFiniteLossError(
            f"the loss is not finite at step {step} of {steps} under soften {config.soften} at learning rate"
            f" {learning_rate(run, step, steps):.3g}; the last good checkpoint is kept; a lower learning rate is the"
            " usual cure"
        )


def validation_scores(model: SimSiam, data: TrainingData, config: PretrainConfig) -> dict[str, float]:
    """Nearest-neighbour accuracy on the validation images, where there are any."""
    if len(data.validation.labels) == 0:
        return {}
    assert config.neighbours is not None
    bank, queries = (features_of(model.backbone, part, config.precision) for part in (data.training, data.validation))
    k, temperature = config.neighbours, config.neighbour_temperature
    return {"validation_knn_accuracy": neighbour_accuracy(bank, queries, data.classes, k, temperature)}
