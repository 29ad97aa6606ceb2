"""`auglik datasets`: the data sets by name, and whether they are available locally."""

from pathlib import Path

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.options import data_dir_option
from auglik.data import DATASET_NAMES, DATASETS, open_dataset
from auglik.objectives import InputError


@click.command()
@data_dir_option
@one_line_errors
def datasets(data_dir: Path) -> None:
    """Lists the data sets, whether they are available locally, and how to use your own."""
    for name in (*DATASETS, *DATASET_NAMES.plug_ins()):
        classes, state = "?", "here"
        try:
            source = open_dataset(name, data_dir)
            classes = str(source.classes)
            source.check()
        except InputError as error:
            state = str(error)
        click.echo(f"  {name:<15}{classes:>4} classes   {state}")
    click.echo("\nYour own, by path:")
    click.echo(
        "  FILE.npz       train_images, train_labels, test_images, test_labels; images uint8 [N,H,W] or [N,H,W,3]"
    )
    click.echo("                 and optionally class_names; FILE.npz:labels=remap renumbers other labels to 0..C-1")
    click.echo("  FOLDER         train.npy, train_labels.npy, val.npy, val_labels.npy, and a .npy file per corruption")
    click.echo("  FOLDER         train/CLASS/*.jpg and val/CLASS/*.jpg: FOLDER:size=64, :resize=73, :test=OTHER/FOLDER")
