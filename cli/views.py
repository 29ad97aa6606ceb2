"""`auglik views`: what the network sees."""

from pathlib import Path

import numpy as np
import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.options import config_options, data_dir_option, given, options, run_config, say_config
from auglik.cli.paths import PATH, check_suffix
from auglik.data import open_dataset
from auglik.objectives import InputError
from auglik.runs.resolve import load_training, read_facts, resolve, training_pipeline
from auglik.runs.settings import SETTINGS, flatten
from auglik.settings.fields import LARGEST
from auglik.settings.groups import Group
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files

SHEET_SETTINGS = (
    "dataset", "train_images", "views", "augment", "flip", "crop_padding", "rotation", "mollify", "clean_share",
    "alpha", "beta", "k_noise", "k_blur", "soften", "soften_into", "compose", "seed",
)  # fmt: skip


MOST_VIEWS = 100
"""Most rows and columns of a sheet that can still be viewed."""


@click.command()
@options(setting for setting in SETTINGS.values() if setting.key in SHEET_SETTINGS)
@click.option(
    "--images",
    metavar="N",
    type=click.IntRange(1, MOST_VIEWS),
    default=6,
    show_default=True,
    help="Images on the sheet, one per row.",
    panel=Group.VIEWS,
)
@click.option(
    "--epoch",
    metavar="N",
    type=click.IntRange(0, LARGEST),
    default=0,
    show_default=True,
    help="Epoch whose views are shown.",
    panel=Group.VIEWS,
)
@click.option("--output", type=PATH, default=Path("views.png"), show_default=True, panel=Group.MACHINE)
@data_dir_option
@config_options
@one_line_errors
def views(
    config_file: Path | None,
    print_config: bool,
    output: Path,
    images: int,
    epoch: int,
    data_dir: Path,
    **command_line: object,
) -> None:
    """Writes a contact sheet (PNG) of the views that a run with these settings trains on.

    Each row shows an image and its K views, each with its role, temperature, decay and operations.
    """
    from auglik.report.contact_sheet import class_names, contact_sheet, save  # here, as matplotlib takes long to load

    asked = run_config(given(config_file, command_line))
    if print_config:
        return say_config({key: value for key, value in flatten(asked).items() if key in SHEET_SETTINGS})
    if asked.views > MOST_VIEWS:
        raise InputError(f"views: expected at most {MOST_VIEWS} per sheet, got {asked.views:,}")
    check_files([output])
    check_suffix("output", output, ".png")
    source = open_dataset(asked.dataset, data_dir)
    run = resolve(asked, source, read_facts(source))
    data = load_training(run, source)
    gallery, labels = data.training
    pipeline = training_pipeline(run, gallery.shape, data.classes, data.rows)
    draws = pipeline.draw(asked.seed, epoch, asked.views, len(gallery), run.device)
    count = min(images, len(gallery))
    names = class_names(draws, labels.cpu().numpy(), count)
    ensure_writable(output.parent)
    save(contact_sheet(gallery, pipeline, draws, names), output)
    click.echo(pipeline.describe())
    shares = np.bincount(draws.role.ravel(), minlength=4) / draws.role.size
    click.echo(f"decay {draws.decay.mean():.3f} on average; shares of clean, noise, blur, both: {np.round(shares, 3)}")
    click.echo(f"wrote {output}: {count} images, {asked.views} views of each")
