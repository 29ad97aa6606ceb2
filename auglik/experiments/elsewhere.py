"""Runs that lie under another cell's name: finished ones are there under both, unfinished ones move."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from auglik.experiments.status import note_moved
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.claim import living_holder
from auglik.runs.results import RESULTS, Results, complete
from auglik.runs.run import Job
from auglik.system.files import write_json
from auglik.system.records import OtherRecordError, to_json


def finished_runs(output: Path) -> Iterator[tuple[Path, Results]]:
    """The folders of the finished runs below a comparison's folder that are complete, with their results.

    Runs of pretraining are passed over.
    """
    for path in sorted(output.glob(f"*/seed-*/{RESULTS}")):
        results = None
        with suppress(OtherRecordError):
            results = complete(path.parent)
        if results is not None:
            yield path.parent, results


def begun_elsewhere(output: Path, jobs: Sequence[Job]) -> list[tuple[Job, Path]]:
    """The runs to resume that have nothing in their folders, and the folder whose checkpoint has their hash."""
    missing = {job.settings: job for job in jobs if job.resume and not job.folder.exists()}
    found = []
    for path in sorted(output.glob(f"*/seed-*/{checkpoints.NAME}")) if missing else []:
        if (path.parent / RESULTS).exists():
            continue
        with suppress(InputError):  # a damaged one is of whoever resumes it
            if (job := missing.pop(checkpoints.settings_of(path.parent) or "", None)) is not None:
                found.append((job, path.parent))
    return found


def take_begun(begun: Sequence[tuple[Job, Path]]) -> None:
    """Moves unfinished runs that nobody works in to where the plan has them."""
    for job, folder in begun:
        if living_holder(folder) is None and not job.folder.exists():
            job.folder.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(job.folder)
            note_moved(folder, job.folder)
            with suppress(OSError):  # other seeds may be there
                folder.parent.rmdir()


def take_finished(job: Job, folder: Path, results: Results) -> None:
    """A finished run with these results under the cell's name of this plan, sharing its files where the disk can."""
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=job.folder.parent, prefix=".partial-") as partial:
        whole = Path(partial) / job.folder.name
        shutil.copytree(folder, whole, copy_function=_link)
        write_json(whole / RESULTS, to_json(replace(results, cell=job.cell)))
        if job.folder.exists() and living_holder(job.folder) is None:
            job.folder.rename(Path(partial) / "begun")  # under this name too: the other is as good
        if not job.folder.exists():
            whole.rename(job.folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
