"""`auglik confidence`: a table of label confidence, measured on a data set's validation images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import rich_click as click
import torch

from auglik.cli.crossfitting import (
    BY,
    FOLDS,
    LEARNED,
    OPERATION,
    PAIR,
    Crossfit,
    check_crossfitting,
    crossfit,
    of_run,
    write,
)
from auglik.cli.errors import UserError, one_line_errors
from auglik.cli.learning import write_learned
from auglik.cli.options import completer, config_options, data_dir_option, given, options, run_config, say_config
from auglik.cli.pairs import write_pairs
from auglik.cli.paths import PATH
from auglik.cli.progress import bar
from auglik.confidence.table import Table, write_table
from auglik.confidence_tables.measuring import accuracy, measure, similarity
from auglik.confidence_tables.probes import PROBED, Probe, choose_probes
from auglik.confidence_tables.reference import held_out, load_reference, reference_job, train_reference
from auglik.confidence_tables.similarity import SIMILARITIES, check_similarity, settings_of_similarity
from auglik.data import Arrays, Source
from auglik.objectives import InputError
from auglik.runs.loop import NonFiniteLossError
from auglik.runs.resolve import Facts, open_source, read_facts, resolve
from auglik.runs.run import Job, load_run, state_of
from auglik.runs.settings import SETTINGS, flatten
from auglik.settings.fields import LARGEST
from auglik.settings.groups import Group
from auglik.settings.names import look_up
from auglik.system.devices import MOST_THREADS
from auglik.system.files import ensure_writable
from auglik.system.paths import IN_A_RUN, check_files, check_folder
from auglik.system.stop import Interrupted, stop_on_signals

ACCURACY = "accuracy"
MEASURES = (ACCURACY, *SIMILARITIES)
SIMILARITY_IMAGES = 500
"""Enough for a standard error below 0.023 of a mean of values in [0,1], in a tenth of the time for all of CIFAR-10."""
DATA_SETTINGS = ("dataset", "train_images", "validation_fraction", "split_seed")
"""All that an image similarity depends on."""


@click.command()
@click.option(
    "--measure",
    "measured",
    shell_complete=completer(MEASURES),
    default=ACCURACY,
    show_default=True,
    help=f"One of {', '.join(MEASURES)}.",
    panel=Group.MEASURED,
)
@click.option(
    "--run",
    "run",
    type=PATH,
    help="Measure the network of this finished run.",
    panel=Group.MEASURED,
)
@click.option(
    "--operations",
    shell_complete=completer(PROBED),
    default="all",
    show_default=True,
    help=f"Comma-separated, of {', '.join(PROBED)}.",
    panel=Group.MEASURED,
)
@click.option(
    "--points",
    metavar="N",
    type=click.IntRange(2, 1000),
    default=11,
    show_default=True,
    help="Strengths per operation.",
    panel=Group.MEASURED,
)
@click.option(
    "--images",
    metavar="N",
    type=click.IntRange(1, LARGEST),
    help=f"Measure on the first N validation images [all; {SIMILARITY_IMAGES} for a similarity].",
    panel=Group.MEASURED,
)
@click.option(
    "--by",
    type=click.Choice(BY),
    default=OPERATION,
    show_default=True,
    help="One figure for all images, for each class or image, or what an estimator learned says of each image.",
    panel=Group.MEASURED,
)
@click.option(
    "--folds",
    metavar="N",
    type=click.IntRange(2, 20),
    help="By class, image, learned: parts of the images; networks trained on the other parts say a part's confidence."
    f"  [default: {FOLDS}]",
    panel=Group.MEASURED,
)
@click.option(
    "--trained-on",
    is_flag=True,
    help="By class or image: let --run say the confidence of images that it was trained on.",
    panel=Group.MEASURED,
)
@options(setting for setting in SETTINGS.values() if not setting.key.startswith("evaluation_"))
@click.option("--output", type=PATH, default=Path("confidence.json"), show_default=True, panel=Group.MACHINE)
@data_dir_option
@click.option("--download", is_flag=True, help="Download a data set that is missing.", panel=Group.MACHINE)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, MOST_THREADS),
    help="[1 for small networks on a CPU, else all cores]",
    panel=Group.MACHINE,
)
@config_options
@one_line_errors
def confidence(
    config_file: Path | None,
    print_config: bool,
    measured: str,
    output: Path,
    run: Path | None,
    operations: str,
    points: int,
    images: int | None,
    by: str,
    folds: int | None,
    trained_on: bool,
    data_dir: Path,
    download: bool,
    threads: int | None,
    **command_line: object,
) -> None:
    """Measures how much of a label survives each operation at each magnitude, for --soften measured:table=FILE.

    accuracy: of a reference model, trained with the options below (its checkpoint next to the table) or given by --run.
    ms-ssim, uqi, ncc, scc: similarity of images to their transformed versions, by torchmetrics. Only validation images
    are used; no test image is read.

    --by pair: accuracy under two operations at once, the later one of --operations last, in a .npz file for --soften
    pairs:table=FILE --compose measured.

    --by class: accuracy by class, partially pooled over classes, for the images of each fold from those of the others.
    --by image: what a network that was trained on the other folds gives the class of each training image. Both write
    a .npz file for --soften crossfitted:table=FILE.

    --by learned: a small estimator of it from class, operation, strength and features of the image, which is fitted to
    validation images and judged on others, beside figures by class. It writes a .npz file for --soften
    learned:file=FILE.
    """
    look_up("measure", measured, {name: name for name in MEASURES})
    check_files([output])
    check_crossfitting(by, output, measured == ACCURACY, run, images, folds, trained_on)
    if measured == ACCURACY and run is None:
        check_folder(reference_beside(output), IN_A_RUN)
    values = given(config_file, command_line)
    check_settings(values, measured, run)
    finished = load_run(run) if run is not None else None
    asked = finished.config if finished is not None else run_config(values)
    if print_config:
        return say_config({key: value for key, value in flatten(asked).items() if key in printed(measured, run)})
    source = open_source(asked, data_dir, download)
    facts = read_facts(source)
    probes = choose_probes(operations, facts, points, asked.split_seed)
    if by not in (OPERATION, PAIR):
        ensure_writable(output.parent)
        whole = Crossfit(
            by=by, folds=folds or FOLDS, probes=probes, images=images, data_dir=data_dir, threads=threads
        )  # fmt: skip
        if finished is not None and run is not None:
            return of_run(whole, finished, run, source, facts, output)
        writes = write_learned if by == LEARNED else write
        return crossfit(whole, asked, source, facts, output, reference_beside(output), train, writes)
    model = finished if finished is not None else resolve(asked, source, facts)
    if measured != ACCURACY:
        check_similarity(measured, min(facts.height, facts.width))
    ensure_writable(output.parent)
    validation = held_out(model, source)
    images = images or (len(validation.labels) if measured == ACCURACY else SIMILARITY_IMAGES)
    threads = model.threads(threads)
    job = reference_job(model, facts, run if run is not None else reference_beside(output), data_dir, threads)
    trains = measured == ACCURACY and run is None
    with state_of(job) if trains else model.state(threads):
        if by == PAIR:
            again = choose_probes(operations, facts, points, asked.split_seed + 1)
            return write_pairs(job, source, facts, probes, again, validation, images, output, train if trains else None)
        table = measured_table(job, source, facts, measured, probes, validation, points, images, trains)
    write_table(output, table)
    summarize(table)
    compose = ":relative=true (since operations multiply; without it each counts the errors on untouched images again)"
    click.echo(f"wrote {output}, for --soften all:measured:table={output}{compose if measured == ACCURACY else ''}")


def measured_table(
    job: Job,
    source: Source,
    facts: Facts,
    measured: str,
    probes: Mapping[str, Probe],
    validation: Arrays,
    points: int,
    images: int,
    trains: bool,
) -> Table:
    """Measures, after training the reference model if `trains`."""
    model, config, pixels = job.run, job.config, torch.from_numpy(validation.images[:images])
    settings: dict[str, object] = {"points": points}
    if measured == ACCURACY:
        if trains:
            train(job, source)
        network = load_reference(job.folder, model, facts, model.train_images - len(validation.labels))
        labels = torch.from_numpy(validation.labels[:images])
        score = accuracy(network.predict, labels, network.mean, network.std, model.device)
        settings |= {key: value for key, value in flatten(config).items() if not key.startswith("evaluation_")}
    else:
        score = similarity(measured, pixels)
        settings |= settings_of_similarity(measured, min(facts.height, facts.width))
        settings |= {key: flatten(config)[key] for key in DATA_SETTINGS}
    with bar("measuring") as tell:
        curves = measure(probes, pixels, score, tell)
    return Table(
        measure=measured,
        dataset=source.name,
        digest=facts.digest,
        classes=facts.classes,
        images=len(pixels),
        settings=settings,
        operations=curves,
        class_names=facts.class_names,
    )


def reference_beside(output: Path) -> Path:
    """The folder of the reference model of a table."""
    return output.with_name(f"{output.stem}-reference")


def printed(measured: str, run: Path | None) -> Sequence[str]:
    """The settings that a measure uses."""
    if measured != ACCURACY:
        return DATA_SETTINGS
    return [] if run is not None else [key for key in SETTINGS if not key.startswith("evaluation_")]


def check_settings(values: dict[str, object], measured: str, run: Path | None) -> None:
    """Raises InputError for settings that would be ignored."""
    if run is not None and measured != ACCURACY:
        raise InputError(f"--run: only works with --measure {ACCURACY}, got {measured}, which needs no network")
    if run is not None and values:
        raise InputError(f"--run: the run brings its own settings; drop {', '.join(values)}")
    if measured != ACCURACY and (ignored := [key for key in values if key not in DATA_SETTINGS]):
        raise InputError(f"--measure {measured}: uses no network; drop {', '.join(ignored)}")


def train(job: Job, source: Source) -> None:
    """Trains the reference model. Exits as `auglik train` does if interrupted or failed."""
    with stop_on_signals() as stop, bar("training") as tell:
        try:
            train_reference(job, source, stop=stop, progress=tell)
        except NonFiniteLossError as error:
            raise UserError(str(error)) from None
        except Interrupted:
            click.echo(f"interrupted; the checkpoint is in {job.folder}; run the same command again to continue")
            raise SystemExit(128 + (stop.signal or 0)) from None


def summarize(table: Table) -> None:
    """One line per operation: its values from the lowest strength to the highest."""
    click.echo(f"{table.measure} on {table.images} validation images of {table.dataset}")
    for name, curve in table.operations.items():
        shown = " ".join(f"{at:g}:{value:.3f}" for at, value in zip(curve.at, curve.value, strict=True))
        click.echo(f"  {name:<12} {shown}")
