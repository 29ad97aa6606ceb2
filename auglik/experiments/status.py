"""What has become of the runs of a comparison, whichever engine has them: told from their folders alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from auglik.experiments.tuning import TUNING_FOLDER
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.claim import living_holder
from auglik.runs.log import share_of_epochs
from auglik.runs.loop import steps_of_epoch
from auglik.runs.resolved import trained_on
from auglik.runs.results import complete, finished
from auglik.runs.run import CONFIG, ERROR, Job
from auglik.runs.saved import saved_settings, unchecked
from auglik.runs.settings import RunConfig
from auglik.scoring.predictions import PREDICTIONS
from auglik.system.files import ensure_writable, write_json
from auglik.system.records import OtherRecordError

PLANNED = ".planned.json"
"""Which runs were asked for in a comparison's folder, begun or not; and the latest's cells with their references."""
STATES = ("done", "running", "waiting", "failed")


class Status(NamedTuple):
    """`state` is one of STATES; `text` says who, how far, or why."""

    folder: Path
    state: str
    text: str = ""


@contextmanager
def noted(output: Path, jobs: Sequence[Job], references: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Adds runs to those asked for in `output`, unless they are refused before any has begun.

    `references` has every cell of the comparison in order, and the cell that it is compared with.
    """
    ensure_writable(output)
    before, cells = _planned(output), references_of(output)
    names = [job.folder.relative_to(output).as_posix() for job in jobs]
    _write(output, [*before, *names], references)
    try:
        yield
    except InputError:
        if not any(job.folder.exists() for job in jobs):
            added, now = set(names) - set(before), references_of(output)
            _write(
                output, [name for name in _planned(output) if name not in added], cells if now == references else now
            )
        raise


def note_moved(before: Path, now: Path) -> None:
    """Has the runs of a cell, one of which moved to another cell's folder, asked for there, but for those that stay."""
    output, kept = now.parent.parent, _planned(now.parent.parent)
    names = [
        f"{now.parent.name}/{seed}" if cell == before.parent.name and not (output / name).exists() else name
        for name in kept
        for cell, _, seed in (name.partition("/"),)
    ]
    if names != kept:
        _write(output, names, references_of(output))


def _write(output: Path, runs: Sequence[str], cells: Mapping[str, str]) -> None:
    """A record without runs and cells is removed."""
    if runs or cells:
        write_json(output / PLANNED, {"runs": list(dict.fromkeys(runs)), "cells": dict(cells)})
    else:
        (output / PLANNED).unlink(missing_ok=True)


def _planned(output: Path) -> list[str]:
    runs = _read(output).get("runs")
    return [str(name) for name in runs] if isinstance(runs, list) else []


def references_of(output: Path) -> dict[str, str]:
    """The cells of the latest comparison in `output`, each with its reference; none of one older than this record."""
    cells = _read(output).get("cells")
    return {str(cell): str(reference) for cell, reference in cells.items()} if isinstance(cells, dict) else {}


def note_references(output: Path, references: Mapping[str, str]) -> None:
    """Adds cells of a comparison that is kept in `output` to those of it, without saying that runs were asked for."""
    _write(output, _planned(output), references_of(output) | dict(references))


def record_references(output: Path, references: Mapping[str, str]) -> None:
    """Makes the comparison whose tables are written in `output` the latest there."""
    if references_of(output) != references:
        _write(output, _planned(output), references)


def _read(output: Path) -> dict[str, object]:
    try:
        found = json.loads((output / PLANNED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def statuses(output: Path) -> Iterator[Status]:
    """Every run below a comparison's folder, those of its tuning first; runs of pretraining are passed over."""
    for root in (output / TUNING_FOLDER, output):
        begun = [path.relative_to(root).as_posix() for path in sorted(root.glob("*/seed-*")) if path.is_dir()]
        for name in dict.fromkeys([*_planned(root), *begun]):
            with suppress(OtherRecordError):
                yield status_of(root / name)


def status_of(folder: Path) -> Status:
    """Of one run. Raises OtherRecordError for one of pretraining."""
    try:
        if complete(folder) is not None:
            return Status(folder, "done")
        running = living_holder(folder) if folder.is_dir() else None
        if running is not None:
            return Status(folder, "running", f"{running}{_epochs(folder)}")
        if (folder / ERROR).exists():
            said = (folder / ERROR).read_text(encoding="utf-8", errors="replace")
            return Status(folder, "failed", said.partition("\n")[0])
        if finished(folder) is not None:
            return Status(folder, "waiting", f"{PREDICTIONS} is gone, so it will be scored again")
        return Status(folder, "waiting", _checkpoint(folder))
    except OtherRecordError:
        raise
    except InputError as error:
        return Status(folder, "failed", str(error))


def _epochs(folder: Path) -> str:
    config = _settings(folder)
    if config is None or config.epochs is None:
        return ""
    return f", {round(config.epochs * share_of_epochs(folder, config.epochs))} of {config.epochs} epochs"


def _checkpoint(folder: Path) -> str:
    step, config = checkpoints.step_of(folder), _settings(folder)
    if step is None:
        return "not begun" if not (folder / CONFIG).exists() else "no checkpoint yet"
    if config is None or config.epochs is None or config.train_images is None:
        return f"checkpoint at step {step}"
    images = trained_on(config.train_images, config.validation_fraction)
    return f"checkpoint at step {step} of {config.epochs * steps_of_epoch(images, config.batch_size)}"


def _settings(folder: Path) -> RunConfig | None:
    """Of a run, as they stand: whoever asks may lack the code that they name. None where they cannot be read."""
    with suppress(InputError):
        return unchecked(saved_settings(folder / CONFIG))
    return None
