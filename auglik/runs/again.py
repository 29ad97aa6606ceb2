"""A finished run, scored again from its checkpoint."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from auglik.data import absent_classes, absent_line, by_number, class_numbers, digest, open_dataset
from auglik.data.source import one_line
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.digests_now import check_scored_on
from auglik.runs.evaluation import Evaluation, evaluate
from auglik.runs.resolve import Split, check_evaluation, on_device
from auglik.runs.resolved import ResolvedRun
from auglik.runs.results import finished
from auglik.runs.step import make_network
from auglik.runs.tested import met_elsewhere, test_images
from auglik.system.notices import say_once
from auglik.system.processes import ONE, Processes, check_device
from auglik.views import Shape


def threads_of_finished(folder: Path) -> int:
    """The threads of the run in `folder`; torch's if it is not finished. Raises InputError as `finished` does."""
    results = finished(folder)
    return results.threads if results is not None else torch.get_num_threads()


def evaluate_again(
    folder: Path, trained: ResolvedRun, run: ResolvedRun, data_dir: Path, processes: Processes = ONE
) -> Evaluation:
    """Scores the finished run in `folder` again from its checkpoint, under the evaluation settings of `run`.

    `run` may name a different data set than `trained`; if it is the same, the test images must be those that the run
    was scored on. Classes are matched by name. Raises InputError if they are not the run's, if the images are
    not, if the run is not finished, if its checkpoint is missing or damaged, and for images with other channels.
    With the run's own number of threads, `threads_of_finished`, it reproduces the run's scores.
    """
    network, split, indices = processes.agreed(lambda: _trained_and_tested(folder, trained, run, data_dir, processes))
    return evaluate(run, network, split, indices, processes=processes)


def _trained_and_tested(
    folder: Path, trained: ResolvedRun, run: ResolvedRun, data_dir: Path, processes: Processes
) -> tuple[nn.Module, Split, NDArray[np.int64]]:
    """The network of the run in `folder`, the test images that `run` names and their positions in the test set."""
    check_device(processes, run.device)
    results = finished(folder)
    if results is None:
        raise InputError(f"{folder} holds an unfinished run: finish it first")
    objective, config = (results.likelihood, results.aggregator), trained.config
    if objective != (config.likelihood, config.aggregator):
        got = f"{config.likelihood} + {config.aggregator}"
        raise InputError(f"{folder}: expected the objective of its results, {' + '.join(objective)}, got {got}")
    found = checkpoints.load(folder / checkpoints.NAME, results.settings)
    dataset, same = run.config.dataset, run.config.dataset == trained.config.dataset
    source = open_dataset(dataset, data_dir)
    source.check()
    if same:
        check_scored_on(lambda: digest(test_images(trained, source)[0]), folder, trained, results)
    test, indices = test_images(run, source)
    _, c, H, W = test.images.shape
    if c != len(found.mean):
        raise InputError(
            f"{source.name}: expected images of {len(found.mean)} channels, as {folder} was trained on, got {c}"
        )
    classes = len(found.network["head.weight"]) - run.objective.likelihood.extra_outputs
    known = found.class_names or (source.class_names if same else by_number(classes))
    numbers = class_numbers(source.class_names, known, source.name, str(folder))
    test = test._replace(labels=numbers[test.labels])
    if absent := absent_classes(known, test.labels):
        say_once(f"{source.name}: {absent_line(absent)}")
    if not same and (line := met_elsewhere(test, indices, trained, results.settings, data_dir)):
        say_once(f"{source.name}: {line}")
    check_evaluation(run, Shape(c, H, W))
    try:
        network = found.load_into(make_network(run, c, classes))
    except RuntimeError as error:
        raise InputError(
            f"{folder}: expected the weights of {trained.config.network} in it, got others ({one_line(error)})"
        ) from None
    return network, on_device(test, found.mean, found.std, run.device), indices
