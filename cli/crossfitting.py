"""`auglik confidence --by class`, `image` and `learned`: confidence in folds, so that no image sets its own label."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rich_click as click
import torch

from auglik.cli.progress import bar
from auglik.confidence.image_table import ImageTable, write_image_table
from auglik.confidence_tables.crossfitting import (
    PartSource,
    by_image,
    counts_by_class,
    folds_of,
    probability,
    strengths_of,
    whole_table,
)
from auglik.confidence_tables.learning import FEWEST
from auglik.confidence_tables.measuring import accuracy, scores
from auglik.confidence_tables.probes import Probe
from auglik.confidence_tables.reference import Reference, held_out, load_reference, reference_job
from auglik.data import Arrays, Source, take
from auglik.objectives import InputError
from auglik.runs.resolve import Facts, read_facts, resolve
from auglik.runs.resolved import ResolvedRun
from auglik.runs.run import Job, state_of
from auglik.runs.settings import RunConfig

OPERATION, PAIR, CLASS, IMAGE, LEARNED = BY = ("operation", "pair", "class", "image", "learned")
FOLDS = 2
VALIDATION = {CLASS: 1, IMAGE: 0, LEARNED: FEWEST}
"""The fewest validation images that a fold needs: an image's own table has no use for them."""

Train = Callable[[Job, Source], None]


class Fitted(NamedTuple):
    """A network, and the training images that it was fitted without."""

    network: Reference
    device: torch.device
    validation: Arrays
    """Of the images that it was given, those that it was not trained on."""


class Crossfit(NamedTuple):
    """What was asked for."""

    by: str
    folds: int
    probes: Mapping[str, Probe]
    images: int | None
    data_dir: Path
    threads: int | None


def check_crossfitting(
    by: str, output: Path, accurate: bool, run: Path | None, images: int | None, folds: int | None, trained_on: bool
) -> None:
    """Raises InputError for options that contradict each other, and for those that would do nothing."""
    if trained_on and (run is None or by in (OPERATION, PAIR)):
        raise InputError("--trained-on: only works with --run and --by class or image")
    if folds is not None and (trained_on or by in (OPERATION, PAIR)):
        raise InputError("--folds: only works with --by class, image or learned, and without --trained-on")
    if by == OPERATION:
        return
    if output.suffix != ".npz":
        raise InputError(f"--output: expected a .npz file for --by {by}, got {output}")
    if not accurate:
        raise InputError(f"--by {by}: needs a network, so --measure accuracy")
    if by == PAIR:
        return
    if run is not None and by == LEARNED:
        raise InputError(
            f"--run with --by {by}: {run} is surer of the images that it was trained on than of those that the"
            " estimator would be fitted to; drop --run, so that networks are trained in folds"
        )
    if run is not None and not trained_on:
        raise InputError(
            f"--run with --by {by}: {run} was trained on images whose labels it would set; drop --run, so that networks"
            " are trained in folds, or add --trained-on"
        )
    if by == IMAGE and images is not None:
        raise InputError("--images with --by image: every training image needs its own figures")
    if by == LEARNED and images is not None and images < FEWEST:
        raise InputError(f"--images with --by learned: expected at least {FEWEST} to learn from, got {images}")


class Folds(NamedTuple):
    """Networks of folds, and what they are of."""

    source: Source
    facts: Facts
    fold: np.ndarray
    """Of every training image [N]."""
    fitted: list[Fitted]
    """One for each fold; none was given an image of it, unless `whose` says so."""
    seed: int
    whose: str
    """In words."""


Write = Callable[[Crossfit, Folds, Path], None]


def crossfit(
    asked: Crossfit, config: RunConfig, source: Source, facts: Facts, output: Path, references: Path, train: Train,
    write: Write,
) -> None:  # fmt: skip
    """Trains a network for each fold on the others, below `references`, and writes.

    Raises InputError, before the first is trained for settings that no fold or table can be made with.
    """
    labels = source.train().labels
    fold = folds_of(labels, asked.folds, config.split_seed)
    planned = []
    for number in range(asked.folds):
        part = PartSource(source, np.flatnonzero(fold != number))
        of_part = read_facts(part)
        run = resolve(config, part, of_part)
        planned.append((part, of_part, run, held_out(run, part, VALIDATION[asked.by])))
    fitted = []
    for number, (part, of_part, run, validation) in enumerate(planned):
        folder, threads = references / f"fold-{number}", run.threads(asked.threads)
        job = reference_job(run, of_part, folder, asked.data_dir, threads)
        with state_of(job):
            train(job, part)
            fitted.append(fitted_in(folder, run, of_part, validation))
    write(asked, Folds(
        source=source, facts=facts, fold=fold, fitted=fitted, seed=config.split_seed,
        whose=f"networks of {asked.folds} folds",
    ), output)  # fmt: skip


def fitted_in(folder: Path, run: ResolvedRun, facts: Facts, validation: Arrays) -> Fitted:
    """The network in `folder`, from whose training images these were held out. Raises InputError."""
    count = run.train_images - len(validation.labels)
    return Fitted(load_reference(folder, run, facts, count), run.device, validation)


def of_run(asked: Crossfit, run: ResolvedRun, folder: Path, source: Source, facts: Facts, output: Path) -> None:
    """Writes the table of a finished run, which was trained on the images that the table is of. Raises InputError."""
    with run.state(run.threads(asked.threads)):
        fitted = fitted_in(folder, run, facts, held_out(run, source, VALIDATION[asked.by]))
        fold = np.zeros(len(source.train().labels), np.int64)
        folds = Folds(
            source=source, facts=facts, fold=fold, fitted=[fitted], seed=run.config.split_seed,
            whose="a network that was trained on them",
        )  # fmt: skip
        write(asked, folds, output)


def write(asked: Crossfit, folds: Folds, output: Path) -> None:
    """Measures, pools where that is asked for, and writes a table."""
    arrays, facts, fold, fitted = folds.source.train(), folds.facts, folds.fold, folds.fitted
    with bar("measuring") as tell:
        if asked.by == IMAGE:
            values = by_image(
                asked.probes, arrays, fold,
                lambda number, labels: probability(fitted[number].network, labels, fitted[number].device), tell,
            )  # fmt: skip
            group = np.arange(len(fold))
        else:
            values = np.concatenate([_by_class(asked, one, facts, folds.seed, tell) for one in fitted])
            group = fold * facts.classes + arrays.labels
    said = f"confidence by {asked.by}, of {folds.whose}"
    table = whole_table(asked.probes, values, group, said, folds.source.name, facts.digest, facts.class_names)
    write_image_table(output, table)
    summarize(table)
    click.echo(f"wrote {output}, for --soften all:crossfitted:table={output}:relative=true")


def _by_class(asked: Crossfit, one: Fitted, facts: Facts, seed: int, tell: Callable[[float], None]) -> np.ndarray:
    """Shares [C,S] of a network's validation images that it names rightly, pooled over classes."""
    seen = take(one.validation, np.arange(len(one.validation.labels))[: asked.images])
    return shares_by_class(asked.probes, named_rightly(asked.probes, one, seen, tell), seen.labels, facts.classes, seed)


def named_rightly(
    probes: Mapping[str, Probe], one: Fitted, seen: Arrays, tell: Callable[[float], None]
) -> dict[str, np.ndarray]:
    """Whether a network names the class of each image at every strength of every operation, 1 or 0: [m,N]."""
    labels = torch.from_numpy(seen.labels)
    score = accuracy(one.network.predict, labels, one.network.mean, one.network.std, one.device)
    return scores(probes, torch.from_numpy(seen.images), score, tell)


def shares_by_class(
    probes: Mapping[str, Probe], measured: Mapping[str, np.ndarray], labels: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """Shares [C,S] of what was measured of images of these labels, pooled over classes."""
    from auglik.inference.pooling import pooled  # here, as JAX takes long to load

    right, images = counts_by_class(measured, labels, classes)
    found = pooled(right, images, strengths_of(probes), seed)
    for warning in found.diagnostics.warnings("confidence by class"):
        click.echo(f"warning: {warning}")
    for name, (level, growth) in zip(probes, found.scales, strict=True):
        click.echo(
            f"  {name:<12} classes differ by {level:.2f} logits untouched, by {growth:.2f} more at full strength"
        )
    columns = [found.share[o, :, : len(probe.at)] for o, probe in enumerate(probes.values())]
    return np.concatenate(columns, 1).astype(np.float32)


def summarize(table: ImageTable) -> None:
    """One line per operation: the mean over images at every strength, and the range of classes at the weakest."""
    share = np.bincount(table.group, minlength=len(table.values)) / len(table.group)
    click.echo(
        f"{table.source}, of {len(table.group)} training images of {table.dataset}: mean [lowest, highest tenth]"
    )
    for name, (_, at, columns) in table.operations.items():
        values = table.values[:, columns][share > 0]
        low, high = np.quantile(values, (0.1, 0.9), axis=0)
        means = share @ table.values[:, columns]
        shown = " ".join(f"{x:g}:{m:.3f} [{a:.2f},{b:.2f}]" for x, m, a, b in zip(at, means, low, high, strict=True))
        click.echo(f"  {name:<12} {shown}")
