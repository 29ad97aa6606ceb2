"""One run from its settings to its results, in its own folder.

`config.toml`, `metrics.jsonl`, `checkpoint.pt` and `predictions.npz` come first; `results.json` is written last and
atomically, so a folder with one holds a finished run.
"""

import hashlib
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auglik.data import Arrays, Content, LazyArrays, Source, check_shape, content, open_dataset
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.checkpoint import Checkpoint
from auglik.runs.evaluation import draw_log_likelihoods, evaluate, on_validation
from auglik.runs.log import share_of_epochs
from auglik.runs.loop import lengths
from auglik.runs.planned import Known, check_same_images, planned_code, planned_images
from auglik.runs.resolve import TrainingData, load_training, on_device, training_pipeline
from auglik.runs.resolved import ResolvedRun, resolved, settings_hash
from auglik.runs.results import RESULTS, Results, complete
from auglik.runs.saved import saved_settings
from auglik.runs.settings import RunConfig, change, flatten
from auglik.runs.tested import Tested, test_images, tested
from auglik.runs.training import train
from auglik.runs.vacant import check_vacant
from auglik.sampling.files import DRAW_LOG_LIKELIHOODS, TEMPERATURES
from auglik.scoring.predictions import PREDICTIONS, as_arrays
from auglik.system.files import ensure_writable, write_json, write_npz, write_toml
from auglik.system.processes import ONE, Processes, check_device
from auglik.system.records import to_json
from auglik.system.stop import Interrupted, StopRequest
from auglik.version import __version__

CONFIG = "config.toml"
ERROR = "error.txt"
"""Why a run failed, on the first line; then the traceback of an error that is not the user's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A run and where it goes: all that an engine needs, picklable."""

    cell: str
    run: ResolvedRun
    settings: str
    """The hash of all settings and the training data."""
    folder: Path
    data_dir: Path
    threads: int
    """For a run that starts."""
    tensorboard: bool = False
    resume: bool = True
    """Continue from a checkpoint if there is one; else start over."""
    scored: bool = True
    """Score the test images; else the run ends after training and sees none."""
    code: Mapping[str, str] | None = None
    """The digests of the user's own code that the settings name, at the time of planning."""
    imports = ()

    @property
    def config(self) -> RunConfig:
        """The run's settings."""
        return self.run.config

    @property
    def name(self) -> str:
        return f"{self.cell}, seed {self.config.seed}"

    @property
    def output(self) -> Path:
        """The comparison's folder."""
        return self.folder.parent.parent

    @property
    def errors(self) -> Path:
        return self.folder / ERROR

    @property
    def size(self) -> float:
        """The views that it trains on: its time is about proportional to them."""
        count = lengths(self.run, self.run.train_images)
        return count.steps * count.images * self.run.mean_views()

    @property
    def device(self) -> torch.device:
        return self.run.device

    @property
    def datasets(self) -> tuple[tuple[str, Path], ...]:
        return ((self.config.dataset, self.data_dir),)

    def absolute(self) -> "Job":
        return replace(self, folder=self.folder.absolute())

    def again(self) -> "Job":
        return replace(self, resume=True)

    def check(self) -> None:
        check_vacant(self.folder / CONFIG, self.settings, self.config, self.code, self.resume)

    def found(self) -> Results | None:
        """The results of a run in the folder, if it is this run."""
        results = complete(self.folder)
        return results if results is not None and results.settings == self.settings else None

    def share(self) -> float:
        """Of its epochs."""
        return share_of_epochs(self.folder, self.run.epochs)

    def execute(self, stop: StopRequest, progress: Callable[[float], None], processes: Processes) -> Results:
        """`execute`, on its threads."""
        with state_of(self, processes):
            return execute(self, stop, progress, processes)


def execute(
    job: Job,
    stop: StopRequest | None = None,
    progress: Callable[[float], None] = lambda share: None,
    processes: Processes = ONE,
) -> Results:
    """Trains, scores and writes one run. Raises InputError, Interrupted and NonFiniteLossError as `train` does.

    It uses torch's current threads and records them: a job's own method sets them to `threads_of` it. With several
    `processes`, each of which executes the job, only the first one reads and writes the run's folder.
    """
    own = processes.agreed(lambda: planned_code(job.config, job.code))
    processes.agreed(lambda: check_device(processes, job.run.device))
    resume = processes.shared(lambda: begin_in_folder(job))
    run, config, source = job.run, job.config, open_dataset(job.config.dataset, job.data_dir)
    expected = processes.shared(versions)
    data, known, trained_on = processes.agreed(lambda: _checked_data(job, source, processes, expected))
    training = training_share(run, len(data.training.labels))
    trained = train(
        run, data, job.settings, job.folder,
        tensorboard=job.tensorboard, resume=resume, stop=stop,
        progress=lambda share: progress(share * training), processes=processes,
    )  # fmt: skip
    began = time.monotonic()

    def scoring(share: float) -> None:
        if processes.any(bool(stop)):
            raise Interrupted("stopped while scoring; the trained network is in the checkpoint")
        progress(training + (1 - training) * share)

    scores: Mapping[str, float] = {}
    views_digest: str | None = None
    of_test = Tested()
    if job.scored:
        test, indices = processes.agreed(lambda: _checked_test_images(job, known))
        check_shape(test, data.training.gallery.shape, where=f"{source.name} (test)")
        split = on_device(test, data.mean, data.std, run.device)
        scored = evaluate(run, trained.network, split, indices, scoring, processes)
        validation = on_validation(run, trained.network, data, processes)
        chain: dict[str, NDArray[np.generic]] = {}
        if trained.temperatures is not None:
            drawn = draw_log_likelihoods(run, trained.network, split, processes)
            chain = {DRAW_LOG_LIKELIHOODS: drawn, TEMPERATURES: trained.temperatures.numpy()}
        scores, views_digest, of_test = scored.scores, scored.views_digest, tested(test, indices, data, trained_on)
        digests = {"test_digest": str(of_test.digest), "evaluation_views_digest": views_digest}
        if processes.first:
            write_npz(job.folder / PREDICTIONS, **scored.arrays, **validation, **chain, **as_arrays(digests))
    count = lengths(run, len(data.training.labels))
    results = Results(
        cell=job.cell,
        likelihood=config.likelihood,
        aggregator=config.aggregator,
        views=config.views,
        seed=config.seed,
        scores=scores,
        test_images=of_test.images,
        test_digest=of_test.digest,
        evaluation_views_digest=views_digest,
        absent_classes=of_test.absent,
        test_copies=of_test.copies,
        test_in_training=of_test.in_training,
        first_in_training=of_test.first_in_training,
        last_epoch=trained.last_epoch,
        train_seconds=trained.train_seconds,
        evaluation_seconds=time.monotonic() - began,
        steps=count.steps,
        training_images=len(data.training.labels),
        validation_images=len(data.validation.labels),
        class_names=tuple(data.class_names),
        parameters=sum(parameter.numel() for parameter in trained.network.parameters()),
        views_digest=hashlib.sha256("".join(trained.digests).encode()).hexdigest(),
        batches_digest=trained.digests[0],
        view_digests=tuple(trained.digests[1:]),
        pipeline=training_pipeline(run, data.training.gallery.shape, data.classes).describe(),
        settings=job.settings,
        threads=torch.get_num_threads(),
        processes=processes.count if processes.count > 1 else None,
        device=device_name(run.device),
        versions=versions(),
        own_code=own or None,
    )
    if processes.first:
        write_json(job.folder / RESULTS, to_json(results))
    return results


def training_share(run: ResolvedRun, images: int) -> float:
    """About the share of a run's time that training takes: a view costs two more passes there than in scoring."""
    count, config = lengths(run, images), run.config
    scored = config.evaluation.images or images // 5
    training = 3 * count.steps * count.images * run.mean_views()
    return training / (training + (config.evaluation.views + config.evaluation.folded_views + 1) * scored)


def _checked_data(
    job: Job, source: Source, processes: Processes, expected: Mapping[str, str]
) -> tuple[TrainingData, Known, Content | None]:
    """The run's data, and what the images that it trains on hold, if it is scored.

    Raises InputError where they are not as planned, or versions of libraries not as `expected`.
    """
    if not processes.first and (got := versions()) != expected:
        raise InputError(f"expected {dict(expected)}, as in the first process, got {got}")
    arrays, known = planned_images(source, lambda data: settings_hash(job.run, data), job.settings)
    data = load_training(job.run, source, arrays)
    return data, known, content(arrays.images, data.rows) if job.scored else None


def _checked_test_images(job: Job, known: Known) -> tuple[Arrays | LazyArrays, NDArray[np.int64]]:
    """As `test_images`, of the data set as it is now. Raises InputError as `check_same_images` does."""
    source = open_dataset(job.config.dataset, job.data_dir)
    check_same_images(source, known)
    return test_images(job.run, source)


def begin_in_folder(job: Job) -> Checkpoint | None:
    """Writes the settings, and gives the checkpoint to go on from as `find_checkpoint` does.

    The checkpoint of a run that starts over is removed, lest a later command goes on from it.
    """
    ensure_writable(job.folder)
    found = find_checkpoint(job)
    if not job.resume:
        (job.folder / checkpoints.NAME).unlink(missing_ok=True)
    write_toml(job.folder / CONFIG, flatten(job.config))
    return found


def find_checkpoint(job: Job) -> Checkpoint | None:
    """The checkpoint to continue from, if any. Raises InputError for a damaged one, and one of other settings."""
    return checkpoints.find(job.folder, job.settings) if job.resume else None


def threads_of(job: Job) -> int:
    """The threads to run a job on: those of the checkpoint it continues from, if any, since sums then round alike."""
    found = find_checkpoint(job)
    return found.threads if found is not None else job.threads


def state_of(job: Job, processes: Processes = ONE) -> AbstractContextManager[None]:
    """What a run asks of its process. Raises InputError for a damaged checkpoint."""
    return job.run.state(processes.threads(processes.shared(lambda: threads_of(job))))


def load_run(folder: Path) -> ResolvedRun:
    """The run in `folder`, finished or not, by its settings. Raises InputError if it holds none."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: expected a run folder with {CONFIG} and a checkpoint in it")
    return resolved(change(RunConfig(), saved_settings(folder / CONFIG)))


def versions() -> dict[str, str]:
    """Of the libraries that a run's numbers depend on."""
    return {"auglik": __version__, "torch": torch.__version__, "python": platform.python_version()}


def device_name(device: torch.device) -> str:
    """The device by a readable name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"
