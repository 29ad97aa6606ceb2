"""`auglik confusions`: what the classes of a data set are taken for, by a finished run or by people."""

from pathlib import Path

import numpy as np
import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.options import data_dir_option
from auglik.cli.paths import PATH, check_suffix
from auglik.confidence.distributions import Distributions, class_means, write_distributions
from auglik.data import open_dataset
from auglik.objectives import InputError
from auglik.robustness.human import load_human_labels
from auglik.runs.run import load_run
from auglik.scoring.predictions import load_predictions
from auglik.settings.groups import Group
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files

LARGEST_SHOWN = 5
DATASET = "cifar10"


@click.command()
@click.argument("source", metavar="RUN|FILE.npy", type=PATH)
@click.option("--dataset", help=f"Whose test images people saw.  [default: {DATASET}]", panel=Group.DATA)
@click.option("--output", type=PATH, default=Path("confusions.csv"), show_default=True, panel=Group.MACHINE)
@data_dir_option
@one_line_errors
def confusions(source: Path, dataset: str | None, output: Path, data_dir: Path) -> None:
    """Writes what a label may degrade toward, for --degrade-toward FILE: for each class, what it is taken for.

    RUN is the folder of a finished run: its mean predictions of its validation images, which it was not trained on.
    FILE.npy holds distributions [N,C] of people's answers about the N test images of --dataset, e.g. CIFAR-10H.
    Each class keeps 1/C of its own label, so that none falls below chance; the rest is shared as the class is confused.
    """
    check_suffix("output", output, ".csv")
    of_answers = source.suffix == ".npy"
    if dataset is not None and not of_answers:
        raise InputError(
            f"--dataset: only works with FILE.npy of people's answers, got the run {source}, which has one"
        )
    check_files([output])
    ensure_writable(output.parent)
    found = of_people(source, dataset or DATASET, data_dir) if of_answers else of_run(source, data_dir)
    write_distributions(output, found)
    names, off = found.class_names or (), found.pi.clone().fill_diagonal_(0).numpy()
    for place in np.argsort(-off, axis=None)[:LARGEST_SHOWN]:
        taken, what = divmod(int(place), len(names))
        click.echo(f"  {names[taken]} is taken for {names[what]}: {off[taken, what]:.3f} of its lost label")
    click.echo(f"wrote {output}")


def of_run(folder: Path, data_dir: Path) -> Distributions:
    """From the validation images of a finished run."""
    run, predictions = load_run(folder), load_predictions(folder)
    names = open_dataset(run.config.dataset, data_dir).class_names
    if not len(predictions.validation_labels):
        raise InputError(f"{folder}: expected a run with validation images, got none: train with --validation-fraction")
    predicted = np.exp(predictions.validation_log_probabilities.astype(np.float64))
    pi = class_means(predicted, predictions.validation_labels, len(names))
    return Distributions(pi, names, "confusions of a run on its validation images")


def of_people(path: Path, dataset: str, data_dir: Path) -> Distributions:
    """From distributions of people's answers about the test images."""
    source = open_dataset(dataset, data_dir)
    labels = np.asarray(source.test().labels)
    human = load_human_labels(path, labels, source.class_names)
    return Distributions(
        class_means(human, labels, source.classes), source.class_names, "answers of people about test images"
    )
