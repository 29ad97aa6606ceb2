"""`auglik confidence --by class` and `--by image`: confidence in folds, so that no image sets its own label."""

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
from auglik.confidence_tables.measuring import accuracy, scores
from auglik.confidence_tables.probes import Probe
from auglik.confidence_tables.reference import Reference, held_out, load_reference, reference_job
from auglik.data import Source
from auglik.objectives import InputError
from auglik.runs.resolve import Facts, read_facts, resolve
from auglik.runs.resolved import ResolvedRun
from auglik.runs.run import Job, threads_of
from auglik.runs.settings import RunConfig
from auglik.system.devices import available_cores
from auglik.system.process import process_state

OPERATION, CLASS, IMAGE = BY = ("operation", "class", "image")

Train = Callable[[Job, Source], None]


class Fitted(NamedTuple):
    """A network, and the training images that it was fitted without."""

    network: Reference
    run: ResolvedRun
    source: Source
    """Of these it was trained on all but its validation images."""


class Crossfit(NamedTuple):
    """What was asked for."""

    by: str
    folds: int
    probes: Mapping[str, Probe]
    images: int | None
    data_dir: Path
    threads: int | None


def check_crossfitting(
    by: str, output: Path, accurate: bool, run: Path | None, images: int | None, trained_on: bool
) -> None:
    """Raises InputError for options that contradict each other."""
    if trained_on and (run is None or by == OPERATION):
        raise InputError("--trained-on: only works with --run and --by class or image")
    if by == OPERATION:
        return
    if output.suffix != ".npz":
        raise InputError(f"--output: expected a .npz file for --by {by}, got {output}")
    if not accurate:
        raise InputError(f"--by {by}: needs a network, so --measure accuracy")
    if run is not None and not trained_on:
        raise InputError(
            f"--run with --by {by}: {run} was trained on images whose labels it would set; drop --run, so that networks"
            " are trained in folds, or add --trained-on"
        )
    if by == IMAGE and images is not None:
        raise InputError("--images with --by image: every training image needs its own figures")


def crossfit(
    asked: Crossfit, config: RunConfig, source: Source, facts: Facts, output: Path, references: Path, train: Train
) -> None:
    """Trains a network for each fold on the others, below `references`, and writes the table. Raises InputError."""
    labels = source.train().labels
    fold = folds_of(labels, asked.folds, config.split_seed)
    fitted = []
    for number in range(asked.folds):
        part = PartSource(source, np.flatnonzero(fold != number))
        of_part = read_facts(part)
        run = resolve(config, part, of_part)
        threads = asked.threads or (1 if run.is_small() else available_cores())
        job = reference_job(run, of_part, references / f"fold-{number}", asked.data_dir, threads)
        with process_state(threads_of(job), run.device, compiles=config.compile):
            train(job, part)
            count = run.train_images - len(held_out(run, part).labels)
            fitted.append(Fitted(load_reference(job.folder, run, of_part, count), run, part))
    write(asked, source, facts, fold, fitted, output, f"networks of {asked.folds} folds")


def of_run(asked: Crossfit, run: ResolvedRun, folder: Path, source: Source, facts: Facts, output: Path) -> None:
    """Writes the table of a finished run, which was trained on the images that the table is of. Raises InputError."""
    threads = asked.threads or (1 if run.is_small() else available_cores())
    with process_state(threads, run.device, compiles=run.config.compile):
        count = run.train_images - len(held_out(run, source).labels)
        fitted = Fitted(load_reference(folder, run, facts, count), run, source)
        fold = np.zeros(len(source.train().labels), np.int64)
        write(asked, source, facts, fold, [fitted], output, "a network that was trained on them")


def write(
    asked: Crossfit, source: Source, facts: Facts, fold: np.ndarray, fitted: list[Fitted], output: Path, whose: str
) -> None:
    """Measures, pools where that is asked for, and writes."""
    arrays = source.train()
    with bar("measuring") as tell:
        if asked.by == IMAGE:
            values = by_image(
                asked.probes, arrays, fold,
                lambda number, labels: probability(fitted[number].network, labels, fitted[number].run.device), tell,
            )  # fmt: skip
            group = np.arange(len(fold))
        else:
            values = np.concatenate([_by_class(asked, one, facts, tell) for one in fitted])
            group = fold * facts.classes + arrays.labels
    said = f"confidence by {asked.by}, of {whose}"
    table = whole_table(asked.probes, values, group, said, source.name, facts.digest, facts.class_names)
    write_image_table(output, table)
    summarize(table)
    click.echo(f"wrote {output}, for --soften all:crossfitted:table={output}:relative=true")


def _by_class(asked: Crossfit, one: Fitted, facts: Facts, tell: Callable[[float], None]) -> np.ndarray:
    """Shares [C,S] of a network's validation images that it names rightly, pooled over classes."""
    from auglik.inference.pooling import pooled  # here, as JAX takes long to load

    validation = held_out(one.run, one.source)
    pixels, labels = validation.images[: asked.images], validation.labels[: asked.images]
    score = accuracy(one.network.predict, torch.from_numpy(labels), one.network.mean, one.network.std, one.run.device)
    measured = scores(asked.probes, torch.from_numpy(pixels), score, tell)
    right, images = counts_by_class(measured, labels, facts.classes)
    found = pooled(right, images, strengths_of(asked.probes), one.run.config.split_seed)
    for warning in found.diagnostics.warnings("confidence by class"):
        click.echo(f"warning: {warning}")
    for name, (level, growth) in zip(asked.probes, found.scales, strict=True):
        click.echo(
            f"  {name:<12} classes differ by {level:.2f} logits untouched, by {growth:.2f} more at full strength"
        )
    columns = [found.share[o, :, : len(probe.at)] for o, probe in enumerate(asked.probes.values())]
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
