"""What the networks saw: the exact views that runs were trained on, drawn again from their keys."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auglik.data import Arrays, digest, open_dataset, opened
from auglik.objectives import ROLES, InputError
from auglik.report.collect import Cell, Collected
from auglik.report.contact_sheet import levels_of
from auglik.report.content import Datum, Figure, Section, listed
from auglik.report.figures.contact import Shot, contact
from auglik.report.figures.svg import Drawing
from auglik.report.run_files import Run
from auglik.runs.resolve import load_training, training_pipeline
from auglik.runs.resolved import resolved, settings_hash
from auglik.views import Draws

IMAGES, VIEWS, SHEETS = 4, 4, 6
"""The most images, views of each, and sheets."""


def seen(collected: Collected, data_dir: Path) -> Section:
    """A sheet for cells that shared their views; in words, what could not be drawn and why."""
    groups: dict[object, list[Cell]] = {}
    for cell in collected.cells.values():
        groups.setdefault(_identity(cell), []).append(cell)
    drawings: list[Drawing] = []
    data: list[Datum] = []
    said: list[str] = []
    for cells in list(groups.values())[:SHEETS]:
        names = listed([cell.name for cell in cells])
        try:
            drawing, numbers = _sheet(cells, next(iter(cells[0].runs.values())), data_dir)
        except InputError as error:
            said.append(f"The views of {names} are not shown: {error}.")
            continue
        drawings.append(drawing)
        data += numbers
        said.append(f"Sheet {len(drawings)}: {names}.")
    if more := [cell.name for cells in list(groups.values())[SHEETS:] for cell in cells]:
        said.append(f"Not shown, to keep this page short: the views of {listed(more)}.")
    caption = (
        "Views of the first epoch and the first seed: each image, then its training views with role, "
        "temperature t and label decay γ."
    )
    figures = (
        (Figure(key="views-seen", caption=caption, drawings=tuple(drawings), data=tuple(data)),) if drawings else ()
    )
    first = "Drawn again from the keys that the runs drew from: cells whose digests of views agree share a sheet."
    return Section("seen", "What the networks saw", (first, *said) if drawings else tuple(said), figures)


def _identity(cell: Cell) -> object:
    """What views depend on: the digests of every seed's draws, and the data."""
    return cell.config.dataset, *((seed, run.results.views_digest) for seed, run in cell.runs.items())


def _sheet(cells: Sequence[Cell], run: Run, data_dir: Path) -> tuple[Drawing, list[Datum]]:
    """Raises InputError if the data set is missing or a different one."""
    config, trained = run.config, resolved(run.config)
    source = open_dataset(config.dataset, data_dir)
    arrays = opened(source, "train")
    if isinstance(arrays, Arrays) and settings_hash(trained, digest(arrays)) != run.results.settings:
        raise InputError(f"{config.dataset} in {data_dir} is not what they were trained on")
    data = load_training(trained.change(device="cpu"), source)
    gallery, labels = data.training.gallery, data.training.labels.numpy()
    pipeline = training_pipeline(trained, gallery.shape, data.classes, data.rows)
    draws = pipeline.draw(config.seed, 0, config.views, len(gallery), torch.device("cpu"))
    images = np.arange(min(IMAGES, len(gallery)))
    shown = min(VIEWS, config.views)
    views = levels_of(pipeline.render(gallery, draws, images).images.numpy(), gallery)
    originals = levels_of(gallery.clean(slice(0, len(images))).numpy(), gallery)
    names = [_classes(draws, labels, int(image)) for image in images]
    rows, numbers = [], list[Datum]()
    for image in images:
        row = [Shot(originals[image], names[image])]
        for view in range(shown):
            t, decay = float(draws.temperature[view, image]), float(draws.decay[view, image])
            role = ROLES[draws.role[view, image]]
            row.append(Shot(views[view, image], [role if role == "clean" else f"{role} t={t:.2f}", f"γ={decay:.2f}"]))
            where = f"{cells[0].name}, image {image}, view {view}"
            numbers += [] if role == "clean" else [Datum(where, "t", t, f"{t:.2f}")]
            numbers.append(Datum(where, "decay", decay, f"{decay:.2f}"))
        rows.append(row)
    several = f" of {config.views}" if shown < config.views else ""
    title = f"{cells[0].name}{f' and {len(cells) - 1} more' if len(cells) > 1 else ''}"
    label = f"{len(images)} images and {shown}{several} views of each, as {title} saw them: {pipeline.describe()}"
    return contact(title, rows, label), numbers


def _classes(draws: Draws, labels: NDArray[np.int64], image: int) -> list[str]:
    """The class of an image; where it is mixed, two classes and their shares."""
    if not draws.mixing:
        return [f"class {labels[image]}", ""]
    share = float(draws.mixing["share"][image])
    other = labels[int(draws.mixing["partner"][image])]
    return [f"{share:.2f} class {labels[image]}", f"{1 - share:.2f} class {other}"]
