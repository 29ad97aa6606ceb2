"""`auglik views`: what the network sees."""

from pathlib import Path

import click
import numpy as np

from auglik.cli.errors import one_line_errors
from auglik.cli.options import config_option, given, options, run_config
from auglik.data import open_dataset
from auglik.objectives import InputError
from auglik.runs.resolve import load_training, read_facts, resolve, training_pipeline
from auglik.runs.settings import SETTINGS
from auglik.settings.fields import LARGEST
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files

SHOWN = (
    "dataset", "train_images", "views", "augment", "flip", "crop_padding", "rotation", "mollify", "clean_share",
    "alpha", "beta", "k_noise", "k_blur", "soften", "soften_into", "compose", "seed",
)  # fmt: skip


MOST = 100
"""Rows and columns that a sheet can have and be looked at."""


@click.command()
@config_option
@click.option("--output", type=click.Path(path_type=Path), default=Path("views.png"), show_default=True)
@click.option(
    "--images", type=click.IntRange(1, MOST), default=6, show_default=True, help="Images on the sheet, one a row."
)
@click.option(
    "--epoch", type=click.IntRange(0, LARGEST), default=0, show_default=True, help="The epoch whose views are shown."
)
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@options(setting for setting in SETTINGS.values() if setting.key in SHOWN)
@one_line_errors
def views(
    config_file: Path | None, output: Path, images: int, epoch: int, data_dir: Path, **command_line: object
) -> None:
    """Writes a contact sheet (PNG) of the views that a run of these settings trains on.

    A row shows an image as it is and its K views, each with its role, temperature, decay and operations.
    """
    from auglik.report.contact_sheet import class_names, contact_sheet, save  # here, as matplotlib takes long to load

    asked = run_config(given(config_file, command_line))
    if asked.views > MOST:
        raise InputError(f"views: expected at most {MOST} on a sheet, got {asked.views:,}")
    check_files([output])
    source = open_dataset(asked.dataset, data_dir)
    run = resolve(asked, source, read_facts(source))
    data = load_training(run, source)
    gallery, labels = data.training
    pipeline = training_pipeline(run, gallery.shape, data.classes)
    draws = pipeline.draw(asked.seed, epoch, asked.views, len(gallery), run.device)
    count = min(images, len(gallery))
    names = class_names(draws, labels.cpu().numpy(), count)
    ensure_writable(output.parent)
    save(contact_sheet(gallery, pipeline, draws, names), output)
    click.echo(pipeline.describe())
    shares = np.bincount(draws.role.ravel(), minlength=4) / draws.role.size
    click.echo(f"decay {draws.decay.mean():.3f} on average; shares of clean, noise, blur, both: {np.round(shares, 3)}")
    click.echo(f"wrote {output}: {count} images, {asked.views} views of each")
