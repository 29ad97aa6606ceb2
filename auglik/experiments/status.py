"""What has become of the runs of a comparison, whichever engine has them: told from their folders alone."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from auglik.experiments.tuning import TUNING_FOLDER
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.claim import living_holder
from auglik.runs.log import share_of_epochs
from auglik.runs.loop import lengths
from auglik.runs.results import finished
from auglik.runs.run import CONFIG, ERROR, Job, load_run
from auglik.system.files import write_json

PLANNED = ".planned.json"
"""Which runs were asked for in a comparison's folder, begun or not."""
STATES = ("done", "running", "waiting", "failed")


class Status(NamedTuple):
    """`state` is one of STATES; `text` says who, how far, or why."""

    folder: Path
    state: str
    text: str = ""


@contextmanager
def noted(output: Path, jobs: Sequence[Job]) -> Iterator[None]:
    """Adds runs to those asked for in `output`, unless they are refused before any has begun."""
    before = _planned(output)
    names = [job.folder.relative_to(output).as_posix() for job in jobs]
    write_json(output / PLANNED, {"runs": list(dict.fromkeys([*before, *names]))})
    try:
        yield
    except InputError:
        if not any(job.folder.exists() for job in jobs):
            write_json(output / PLANNED, {"runs": before})
            if not before:
                (output / PLANNED).unlink()
        raise


def _planned(output: Path) -> list[str]:
    try:
        found = json.loads((output / PLANNED).read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # of a comparison that began before there was such a list
    return [str(name) for name in found]


def statuses(output: Path) -> Iterator[Status]:
    """Every run below a comparison's folder, those of its tuning first."""
    for root in (output / TUNING_FOLDER, output):
        begun = [path.relative_to(root).as_posix() for path in sorted(root.glob("*/seed-*")) if path.is_dir()]
        for name in dict.fromkeys([*_planned(root), *begun]):
            yield status_of(root / name)


def status_of(folder: Path) -> Status:
    """Of one run."""
    try:
        if finished(folder) is not None:
            return Status(folder, "done")
        running = living_holder(folder) if folder.is_dir() else None
        if running is not None:
            return Status(folder, "running", f"{running}{_epochs(folder)}")
        if (folder / ERROR).exists():
            return Status(folder, "failed", (folder / ERROR).read_text(encoding="utf-8").partition("\n")[0])
        return Status(folder, "waiting", _checkpoint(folder))
    except InputError as error:
        return Status(folder, "failed", str(error))


def _epochs(folder: Path) -> str:
    if not (folder / CONFIG).exists():
        return ""
    epochs = load_run(folder).epochs
    return f", {round(epochs * share_of_epochs(folder, epochs))} of {epochs} epochs"


def _checkpoint(folder: Path) -> str:
    step = checkpoints.step_of(folder)
    if step is None:
        return "not begun" if not (folder / CONFIG).exists() else "no checkpoint yet"
    run = load_run(folder)
    return f"checkpoint at step {step} of {lengths(run, run.trained_on()).steps}"
