"""The reference model whose accuracy is measured: trained for it, or a finished run; it sees no test image."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from auglik.data import Arrays, Source, first, split_validation
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.evaluation import Predict, predictor
from auglik.runs.loop import lengths
from auglik.runs.resolve import Facts, load_training
from auglik.runs.resolved import ResolvedRun, settings_hash
from auglik.runs.run import CONFIG, Job, find_checkpoint
from auglik.runs.settings import flatten
from auglik.runs.step import make_network
from auglik.runs.training import train
from auglik.system.devices import choose_device
from auglik.system.files import ensure_writable, write_toml
from auglik.system.stop import StopRequest


class Reference(NamedTuple):
    """A trained network, and the channel statistics that its images are standardized by."""

    predict: Predict
    mean: list[float]
    std: list[float]


def held_out(run: ResolvedRun, source: Source, fewest: int = 1) -> Arrays:
    """The validation images of a run. Raises InputError if they are fewer than `fewest`."""
    arrays = first(source.train(), run.train_images, run.config.split_seed)
    _, validation = split_validation(arrays, run.config.validation_fraction, run.config.split_seed)
    if fewest and not len(validation.labels):
        raise InputError("validation_fraction: expected a share > 0, got 0: a table is measured on validation images")
    if len(validation.labels) < fewest:
        raise InputError(
            f"validation_fraction: expected at least {fewest} validation images, got {len(validation.labels)}"
            f" ({run.config.validation_fraction:g} of {len(arrays.labels)} images)"
        )
    return validation


def reference_job(run: ResolvedRun, facts: Facts, folder: Path, data_dir: Path, threads: int) -> Job:
    """The run that is measured, to be trained in `folder` by `train_reference`."""
    settings = settings_hash(run, facts.digest)
    return Job(cell="reference", run=run, settings=settings, folder=folder, data_dir=data_dir, threads=threads)


def train_reference(job: Job, source: Source, *, stop: StopRequest, progress: Callable[[float], None]) -> None:
    """Trains the reference model, or continues it; `load_reference` then loads its network.

    Raises InputError, Interrupted and NonFiniteLossError as `train` does.
    """
    ensure_writable(job.folder)
    resume = find_checkpoint(job)
    write_toml(job.folder / CONFIG, flatten(job.config))
    data = load_training(job.run, source)
    train(job.run, data, job.settings, job.folder, resume=resume, stop=stop, progress=progress)


def load_reference(folder: Path, run: ResolvedRun, facts: Facts, training_images: int) -> Reference:
    """The network of the run in `folder`, on its device.

    Raises InputError if its checkpoint is missing, damaged, of other settings or not at the end of the training, and
    where this machine lacks its device.
    """
    found = checkpoints.load(folder / checkpoints.NAME, settings_hash(run, facts.digest))
    steps = lengths(run, training_images).steps
    if found.step != steps:
        raise InputError(f"{folder} holds a run that is not finished (step {found.step} of {steps}): finish it first")
    choose_device(run.config.device)
    network = found.load_into(make_network(run, facts.channels, facts.classes))
    return Reference(predictor(run, network), found.mean, found.std)
