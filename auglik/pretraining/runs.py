"""One pretraining run from its settings to its results, in its own folder; results.json is written last."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from auglik.data import absent_classes, check_shape, digest, open_dataset
from auglik.data.source import opened
from auglik.objectives import InputError
from auglik.pretraining.config import PretrainConfig, ResolvedPretraining, resolve, settings_hash
from auglik.pretraining.probes import features_of, linear_accuracy, neighbour_accuracy
from auglik.pretraining.results import PretrainResults, finished
from auglik.pretraining.simsiam import SimSiam
from auglik.pretraining.training import make_model, pretrain
from auglik.runs import checkpoint as checkpoints
from auglik.runs.checkpoint import Checkpoint
from auglik.runs.planned import check_same_images, planned_images
from auglik.runs.resolve import Facts, Split, TrainingData, load_training, on_device, read_facts
from auglik.runs.results import RESULTS
from auglik.runs.run import CONFIG, device_name, versions
from auglik.settings.fields import read_toml
from auglik.system.files import ensure_writable, write_json, write_toml
from auglik.system.records import to_json
from auglik.system.stop import StopRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainJob:
    """A run and where it goes."""

    run: ResolvedPretraining
    settings: str
    """The hash of all settings and the training data."""
    folder: Path
    data_dir: Path
    threads: int = 1
    download: bool = False
    tensorboard: bool = False
    resume: bool = True
    """Continue from a checkpoint if there is one; else start over."""

    @property
    def config(self) -> PretrainConfig:
        """The run's settings."""
        return self.run.config


def make_job(
    config: PretrainConfig,
    folder: Path,
    data_dir: Path,
    *,
    threads: int = 1,
    download: bool = False,
    tensorboard: bool = False,
    resume: bool = True,
    facts: Facts | None = None,
) -> PretrainJob:
    """The run of these settings in `folder`. Raises InputError if the folder holds a run of others.

    `facts` of the data set are read where they are not given.
    """
    source = open_dataset(config.dataset, data_dir, download)
    facts = facts if facts is not None else read_facts(source)
    run = resolve(config, source, facts)
    job = PretrainJob(
        run=run, settings=settings_hash(run, facts.digest), folder=folder, data_dir=data_dir,
        threads=threads, download=download, tensorboard=tensorboard, resume=resume,
    )  # fmt: skip
    check_vacant(job)
    return job


def check_vacant(job: PretrainJob) -> None:
    """Raises InputError if the job's folder holds a run of other settings or data, or a damaged file of one.

    A checkpoint that it will not resume from may be damaged.
    """
    results, settings = finished(job.folder), job.folder / CONFIG
    before, now = read_toml(settings) if settings.exists() else job.config.flat(), job.config.flat()
    keys = [key for key in {**now, **before} if before.get(key) != now.get(key) and key != "dataset"]
    changed = [f"{key} {before.get(key)}, now {now.get(key)}" for key in keys]
    if changed or (results is not None and results.settings != job.settings):
        what = "; ".join(changed[:4]) or "its data set has other images"
        raise InputError(f"{job.folder} holds a run of other settings ({what}): give another --output, or delete it")
    find_checkpoint(job)


def find_checkpoint(job: PretrainJob) -> Checkpoint | None:
    """The checkpoint to continue from, if any. Raises InputError for a damaged one, and one of other settings."""
    return checkpoints.find(job.folder, job.settings) if job.resume else None


def threads_of(job: PretrainJob) -> int:
    """The threads to run a job on: those of the checkpoint it continues from, if any, since sums then round alike."""
    found = find_checkpoint(job)
    return found.threads if found is not None else job.threads


def execute(
    job: PretrainJob,
    *,
    stop: StopRequest | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> PretrainResults:
    """Pretrains, probes and writes one run, from its checkpoint if there is one and the job resumes.

    It runs on the threads that torch has, and records them: a command gives it `threads_of` the job.
    Raises InputError, Interrupted and NonFiniteLossError as `pretrain` does.
    """
    ensure_writable(job.folder)
    resume = find_checkpoint(job)
    if not job.resume:
        (job.folder / checkpoints.NAME).unlink(missing_ok=True)
    run, config, source = job.run, job.config, open_dataset(job.config.dataset, job.data_dir, job.download)
    images, known = planned_images(source, lambda data: settings_hash(run, data), job.settings)
    data = load_training(run.shared, source, images)
    write_toml(job.folder / CONFIG, config.flat())
    trained = pretrain(
        run, data, job.settings, job.folder,
        tensorboard=job.tensorboard, resume=resume, stop=stop, progress=progress,
    )  # fmt: skip
    began = time.monotonic()
    source = open_dataset(job.config.dataset, job.data_dir)  # as it is now
    check_same_images(source, known)
    test = opened(source, "test")
    check_shape(test, data.training.gallery.shape, where=f"{source.name} (test)")
    held_out = on_device(test, data.mean, data.std, run.shared.device)
    untrained = make_model(run, data.training.gallery.channels)
    results = PretrainResults(
        soften=config.soften,
        seed=config.seed,
        scores=test_scores(trained.model, data, held_out, run),
        untrained=test_scores(untrained, data, held_out, run),
        last_epoch=trained.last_epoch,
        projection=trained.model.width,
        train_seconds=trained.train_seconds,
        evaluation_seconds=time.monotonic() - began,
        training_images=len(data.training.labels),
        validation_images=len(data.validation.labels),
        test_images=len(test.labels),
        class_names=tuple(data.class_names),
        absent_classes=tuple(absent_classes(data.class_names, test.labels)),
        backbone_parameters=sum(parameter.numel() for parameter in trained.model.backbone.parameters()),
        batches_digest=trained.digests[0],
        view_digests=tuple(trained.digests[1:]),
        test_digest=digest(test),
        settings=job.settings,
        threads=torch.get_num_threads(),
        device=device_name(run.shared.device),
        versions=versions(),
    )
    write_json(job.folder / RESULTS, to_json(results))
    return results


def test_scores(model: SimSiam, data: TrainingData, test: Split, run: ResolvedPretraining) -> dict[str, float]:
    """Test accuracy of nearest neighbours and of a linear probe, both from the training images' frozen features."""
    bank, queries = (features_of(model.backbone, part, run.shared.precision) for part in (data.training, test))
    k, temperature = run.neighbours, run.config.neighbour_temperature
    probe = linear_accuracy(bank, queries)
    return {
        "knn_accuracy": neighbour_accuracy(bank, queries, data.classes, k, temperature),
        "linear_accuracy": probe.accuracy,
        "linear_iterations": probe.iterations,
    }
