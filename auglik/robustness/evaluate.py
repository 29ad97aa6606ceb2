"""The robustness of a finished run: its network under every condition of a suite."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from auglik.data import some
from auglik.objectives import InputError
from auglik.robustness.human import human_scores
from auglik.robustness.protocol import OCCLUDER
from auglik.robustness.stream import Condition, batch_size, predicted
from auglik.robustness.suite import Suite
from auglik.runs import checkpoint as checkpoints
from auglik.runs.checkpoint import Checkpoint
from auglik.runs.evaluation import predictor
from auglik.runs.resolved import ResolvedRun, settings_hash
from auglik.runs.results import RESULTS, Results, finished
from auglik.runs.run import CONFIG, device_name, load_run, versions
from auglik.runs.step import make_network
from auglik.scoring.conditions import Score, load_measured, load_scores, means, scored, write_scores
from auglik.system.devices import choose_device
from auglik.system.processes import ONE, Processes, check_device
from auglik.system.progress import Progress
from auglik.version import __version__
from auglik.views import Gallery


def evaluate_robustness(
    folder: Path,
    suite: Suite,
    device: str | None = None,
    progress: Progress = lambda share: None,
    processes: Processes = ONE,
) -> list[Score]:
    """The scores of the finished run in `folder` under every condition of the suite, and their means.

    They are written to robustness.csv in the run's folder, the conditions to robustness.json; if these hold the
    same conditions already, nothing is computed. On the run's own threads, `threads_of_finished`, its clean scores are
    the run's. Raises InputError for an unfinished run, a checkpoint that does not belong to it, one of data other than
    the suite's, and damaged files.
    """
    before = processes.shared(lambda: measured_of_run(folder, suite))
    if before is not None:
        return before
    began = time.monotonic()
    run, trained, network = processes.agreed(lambda: _trained(folder, suite, device, processes))
    scores = network_scores(run, network, trained.mean, trained.std, suite, progress, processes)
    if processes.first:
        seconds = time.monotonic() - began
        now = {
            "settings": trained.settings,
            "seconds": seconds,
            "auglik": __version__,
            "device": device_name(run.device),
            "versions": versions(),
        }
        measured = {**suite.measured, **now}
        write_scores(folder, scores, measured)
    return scores


def measured_of_run(folder: Path, suite: Suite) -> list[Score] | None:
    """`measured_before`, of a run on the suite's data set. Raises InputError for one that is not."""
    run, results = read_run(folder)
    if settings_hash(run, suite.training_digest) != results.settings:
        raise InputError(
            f"{folder}: expected a run of this version on its data set, got different training images"
            " or a run of another version: retrain it"
        )
    suite.digests_now.check(folder, run, results)
    return measured_before(folder, suite)


def _trained(
    folder: Path, suite: Suite, device: str | None, processes: Processes
) -> tuple[ResolvedRun, Checkpoint, nn.Module]:
    """The finished run in `folder` on the device that it is scored on, its checkpoint, and its network."""
    run, results = read_run(folder)
    trained = checkpoints.load(folder / checkpoints.NAME, results.settings)
    if trained.class_names and trained.class_names != suite.class_names:
        raise InputError(f"{folder}: expected its classes in the data set ({some(trained.class_names)}), got others")
    run = run.change(device=str(_usable(folder, run, device)))
    check_device(processes, run.device)
    return run, trained, trained_network(run, trained, suite)


def _usable(folder: Path, run: ResolvedRun, asked: str | None) -> torch.device:
    """The device that was asked for, or else the run's own. Raises InputError where this machine lacks it."""
    if asked is not None:
        return choose_device(asked)
    try:
        return choose_device(str(run.device))
    except InputError as error:
        raise InputError(f"{folder} was trained on {run.device}: {error}; --device cpu scores it on the CPU") from None


def measured_before(folder: Path, suite: Suite) -> list[Score] | None:
    """The scores in a run's folder if they are of the suite's conditions. Raises InputError for damaged ones."""
    measured = load_measured(folder)
    if measured is None or measured.identity != suite.measured["identity"]:
        return None
    return load_scores(folder)


def read_run(folder: Path) -> tuple[ResolvedRun, Results]:
    """A finished run by its settings, and its results. Raises InputError if it is unfinished or not a run."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: expected a run folder, with {CONFIG} in it")
    results = finished(folder)
    if results is None:
        raise InputError(f"{folder}: expected a finished run, got one without {RESULTS}: finish it first")
    return load_run(folder), results


def trained_network(run: ResolvedRun, trained: Checkpoint, suite: Suite) -> nn.Module:
    """The network of a checkpoint on the run's device."""
    return trained.load_into(make_network(run, suite.shape.channels, len(suite.class_names)))


def network_scores(
    run: ResolvedRun,
    network: nn.Module,
    mean: list[float],
    std: list[float],
    suite: Suite,
    progress: Progress = lambda share: None,
    processes: Processes = ONE,
) -> list[Score]:
    """The scores of a network that was trained on images of these channel statistics; conditions first, then means."""
    device, (c, H, W) = run.device, suite.shape
    standardize = Gallery.pack(np.zeros((1, c, 1, 1), np.uint8), mean, std, device).standardize
    looked = predicted(predictor(run, network), standardize, suite.conditions, device, batch_size(H, W), processes)
    scores = list(_scored_meanwhile(looked, suite, progress))
    clean = scores[0]
    found = means(score for score in scores if score.kind in ("corruption", "occlusion", "mollified"))
    unoccluded = [replace(clean, kind="occlusion", name=OCCLUDER, covered=0.0)] if suite.occlusion else []
    return [*scores, *unoccluded, *found]


def _scored_meanwhile(looked: Iterator[tuple[Condition, Tensor]], suite: Suite, progress: Progress) -> Iterator[Score]:
    """Scores of every condition, computed on the host while the network runs on the next."""
    pending = None
    with ThreadPoolExecutor(1) as scorer:
        for index, (condition, log_p) in enumerate(looked):
            if pending is not None:
                yield from pending.result()
            pending = scorer.submit(_scores_of, condition, log_p, suite)
            progress((index + 1) / len(suite.conditions))
        if pending is not None:
            yield from pending.result()


def _scores_of(condition: Condition, log_p: Tensor, suite: Suite) -> list[Score]:
    on_host = log_p.cpu().numpy()
    kind, name, category, severity = condition.kind, condition.name, condition.category, condition.severity
    of_labels = scored(kind, name, category, severity, on_host, condition.labels)
    of_labels = replace(of_labels, covered=condition.covered)
    of_people = human_scores(on_host, suite.human) if condition.kind == "clean" and suite.human is not None else []
    return [of_labels, *of_people]
