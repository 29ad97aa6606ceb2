"""`auglik evaluate`: scores finished runs again from their checkpoints."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.options import data_dir_option, options
from auglik.cli.paths import PATH
from auglik.cli.train import summarize
from auglik.experiments.differences import order_of
from auglik.experiments.engines.together import Together, together
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.again import evaluate_again, threads_of_finished
from auglik.runs.evaluation import Evaluation
from auglik.runs.reproduced import Scorer, unlike_recorded
from auglik.runs.resolved import ResolvedRun, resolved
from auglik.runs.results import RESULTS, finished
from auglik.runs.run import CONFIG, device_name, load_run, versions
from auglik.runs.settings import SETTINGS, change, flatten
from auglik.settings.groups import Group
from auglik.system.devices import choose_device
from auglik.system.files import write_json, write_npz
from auglik.system.paths import IN_A_RUN, check_folder, check_local
from auglik.system.processes import Processes
from auglik.system.stop import StopRequest

EVALUATION = [key for key in SETTINGS if key.startswith("evaluation_")]


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PATH)
@click.option(
    "--dataset",
    help="Score on the test images of another data set with the same classes and channels,"
    " e.g. imagenet:test=FOLDER for ImageNet-V2 [the run's].",
    panel=Group.DATA,
)
@options(SETTINGS[key] for key in EVALUATION)
@data_dir_option
@click.option("--device", help="Device to score on [the run's].", panel=Group.MACHINE)
@click.option(
    "--output",
    type=PATH,
    help="Folder for evaluation.json and predictions.npz of each run.",
    panel=Group.MACHINE,
)
@one_line_errors
def evaluate(folders: tuple[Path, ...], data_dir: Path, output: Path | None, **command_line: object) -> None:
    """Scores the finished runs in FOLDERS again, optionally under another protocol or on other images.

    The runs' own files stay untouched.
    """
    with together() as engine:
        changes = {key: value for key, value in command_line.items() if value is not None}
        _evaluate(engine, folders, data_dir, output, changes)


def _evaluate(
    engine: Together, folders: Sequence[Path], data_dir: Path, output: Path | None, changes: Mapping[str, object]
) -> None:
    for folder in folders:
        check_local(folder)
        if not (folder / CONFIG).is_file():
            raise InputError(f"{folder}: expected a run folder with {CONFIG} and a checkpoint in it")
    if output is not None:
        check_targets([target_of(output, folder) for folder in folders])
    for folder in in_order(folders):
        trained = load_run(folder)
        asked = change(trained.config, changes)
        run = resolved(change(asked, {"device": str(choose_device(asked.device))}))
        scored = engine.call(
            partial(again, folder, trained, run, data_dir, engine.processes.threads(threads_of_finished(folder)))
        )
        click.echo(f"{folder}")
        summarize(scored.scores)
        if line := unlike(folder, trained, run, scored):
            click.echo(line, err=True)
        if output is not None:
            target = target_of(output, folder)
            target.mkdir(parents=True, exist_ok=True)
            evaluation = {key: flatten(run.config)[key] for key in SETTINGS if key == "dataset" or key in EVALUATION}
            write_npz(target / "predictions.npz", **scored.arrays)
            write_json(target / "evaluation.json", {**scored.scores, **evaluation})
            click.echo(f"wrote {target}")


def again(
    folder: Path,
    trained: ResolvedRun,
    run: ResolvedRun,
    data_dir: Path,
    threads: int,
    *,
    stop: StopRequest,
    processes: Processes,
) -> Evaluation:
    """`evaluate_again` in one of the processes, on that many threads; it does not stop early."""
    with run.state(threads):
        return evaluate_again(folder, trained, run, data_dir, processes)


def unlike(folder: Path, trained: ResolvedRun, run: ResolvedRun, scored: Evaluation) -> str | None:
    """A line if the clean scores are not those that the run recorded; other data have others."""
    results = finished(folder)
    if results is None or run.config.dataset != trained.config.dataset:
        return None
    error, nll = scored.scores["clean_error"], scored.scores["clean_nll"]
    positions = scored.arrays["indices"].astype(np.int64)
    return unlike_recorded(folder, results, trained, positions, error, nll, Scorer(device_name(run.device), versions()))


def target_of(output: Path, folder: Path) -> Path:
    """Where the scores of a run go: OUTPUT/CELL/seed-N."""
    whole = folder.absolute()
    return output / whole.parent.name / whole.name


def check_targets(targets: Sequence[Path]) -> None:
    """Raises InputError if scores cannot be written, two runs' would go to one folder, or a run has its files there."""
    for target in targets:
        if targets.count(target) > 1:
            raise InputError(f"--output: expected runs of different cells or seeds, got several for {target}")
        check_folder(target, IN_A_RUN)
        if held := [name for name in (CONFIG, RESULTS, checkpoints.NAME) if (target / name).exists()]:
            raise InputError(
                f"--output: expected a folder apart from runs, whose predictions stay, but {target} holds {held[0]} of"
                " a run: give another --output"
            )


def in_order(folders: Sequence[Path]) -> list[Path]:
    """The runs in the comparison's order of cells, the reference first, whatever the order of the arguments."""
    comparisons = list(dict.fromkeys(folder.absolute().parent.parent for folder in folders))
    places = {comparison: order_of(comparison) for comparison in comparisons}

    def key(folder: Path) -> tuple[int, int]:
        cell = folder.absolute().parent
        of_cells = places[cell.parent]
        return comparisons.index(cell.parent), of_cells.get(cell.name, len(of_cells))

    return sorted(folders, key=key)
