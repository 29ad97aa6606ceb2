"""`auglik robustness`: finished runs under corruptions, occlusion and mollification, and against human labels."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path

import rich_click as click

from auglik.cli.errors import one_line_errors
from auglik.cli.evaluate import in_order
from auglik.cli.options import data_dir_option, options, take
from auglik.cli.progress import bar
from auglik.cli.streams import whoever_reads
from auglik.experiments.differences import plural
from auglik.experiments.engines.held import LOOK
from auglik.experiments.engines.together import Together, together
from auglik.objectives import InputError
from auglik.robustness import RobustnessConfig, Score, Suite, evaluate_robustness, open_suite
from auglik.robustness.evaluate import measured_before, read_run
from auglik.runs.claim import ClaimedError, claimed
from auglik.runs.results import RESULTS
from auglik.runs.run import CONFIG, threads_of_finished
from auglik.scoring.columns import ABSENT, COVERED, PART_TITLES, PRINTED, text_table
from auglik.scoring.conditions import ALL, SCORES
from auglik.settings.fields import settings_of
from auglik.settings.groups import Group
from auglik.system.devices import choose_device
from auglik.system.notices import say_once
from auglik.system.paths import IN_A_RUN, check_folder, check_local
from auglik.system.process import process_state
from auglik.system.processes import Processes
from auglik.system.progress import Progress, part_of
from auglik.system.stop import StopRequest


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options(settings_of(RobustnessConfig))
@data_dir_option
@click.option("--device", help="Device to score on [the runs'].", panel=Group.MACHINE)
@one_line_errors
def robustness(folder: Path, data_dir: Path, device: str | None, **command_line: object) -> None:
    """Scores all finished runs below DIR, the output of `auglik compare`, under corrupted and occluded test images.

    Each run's scores go to robustness.csv in its folder; runs that already have it are skipped. Data sets without a
    published -C set get one, made once and kept in the data folder. Several such commands at once share the runs.
    """
    with together() as engine:
        config = take({key: value for key, value in command_line.items() if value is not None}, RobustnessConfig)
        _robustness(engine, folder, data_dir, config, device)


def _robustness(engine: Together, folder: Path, data_dir: Path, config: RobustnessConfig, device: str | None) -> None:
    if device is not None:
        choose_device(device)
    failed: list[str] = []
    runs = finished_runs(folder)
    for run in runs:
        check_folder(run, IN_A_RUN)
    datasets = datasets_of(runs, failed)
    suites: dict[str, Suite] = {}
    for dataset in dict.fromkeys(datasets.values()):
        with bar(f"corruptions of {dataset}") as tell:
            suites[dataset] = open_suite(dataset, data_dir, config, tell)
            tell(1.0)
    before = [run for run, dataset in datasets.items() if has_scores(run, suites[dataset])]
    with whoever_reads(), bar("scoring") as tell:
        scored = partial(score, data_dir=data_dir, config=config, device=device)
        scores = score_all(engine, scored, datasets, suites, tell, failed)
    if scores:
        click.echo(table(by_cell(scores)))
    for message in failed:
        click.echo(f"failed: {message}", err=True)
    kept = len(scores.keys() & set(before))
    again = f"; {kept} already had theirs" if kept else ""
    click.echo(f"\nwrote {SCORES} into {plural(len(scores) - kept, 'run folder')} below {folder}{again}")
    if failed:
        raise SystemExit(1)


def finished_runs(folder: Path) -> list[Path]:
    """The folders of the finished runs at or below `folder`, the reference's first; prints which are left out.

    Raises InputError if there is none.
    """
    places = (CONFIG, f"*/{CONFIG}", f"*/*/{CONFIG}")
    found = in_order(sorted((path.parent for place in places for path in folder.glob(place)), key=by_seed))
    for run in found:
        if not (run / RESULTS).is_file():
            click.echo(f"left out: {run} is not finished", err=True)
    runs = [run for run in found if (run / RESULTS).is_file()]
    if not runs:
        check_local(folder)
        got = "no such folder" if not folder.is_dir() else f"{len(found)} runs, none of them finished"
        raise InputError(f"{folder}: expected the output of `auglik compare`, <cell>/seed-<n>/ below it, got {got}")
    return runs


def by_seed(run: Path) -> tuple[Path, int, str]:
    """Sorts seed-10 behind seed-9."""
    number = run.name.removeprefix("seed-")
    return run.parent, int(number) if number.isdecimal() else -1, run.name


def has_scores(run: Path, suite: Suite) -> bool:
    """Whether a run was already scored on this suite; damaged scores do not count."""
    try:
        return measured_before(run, suite) is not None
    except InputError:
        return False


def datasets_of(runs: Sequence[Path], failed: list[str]) -> dict[Path, str]:
    """The data set of every readable run; the others go to `failed`. Raises InputError if none is readable."""
    found = {}
    for run in runs:
        try:
            found[run] = read_run(run)[0].config.dataset
        except InputError as error:
            failed.append(str(error))
    if not found:
        raise InputError(failed[0])
    return found


def score_all(
    engine: Together,
    scored: partial[list[Score]],
    datasets: Mapping[Path, str],
    suites: Mapping[str, Suite],
    tell: Progress,
    failed: list[str],
) -> dict[Path, list[Score]]:
    """The scores of every run by `scored`; a run's error goes to `failed`, and the others continue.

    Runs that another command works in come last: their scores are taken, or they are scored once it is gone.
    """
    scores: dict[Path, list[Score]] = {}
    left, held = list(datasets), 0
    while left:
        run = left.pop(0)
        suite, done = suites[datasets[run]], len(datasets) - len(left) - 1
        try:
            with nullcontext() if has_scores(run, suite) else claimed(run):
                work = partial(scored, run, datasets[run], engine.threads(threads_of_finished(run)))
                here = partial(work, suite=suite, progress=part_of(tell, done, len(datasets)))
                scores[run] = engine.call(work, here=here)
        except ClaimedError as error:
            say_once(f"{error}: it is waited for, and scored should that end before it")
            left.append(run)
            held += 1
            if held >= len(left):
                time.sleep(LOOK)
            continue
        except InputError as error:
            failed.append(str(error))
        held = 0
        tell((done + 1) / len(datasets))
    return {run: scores[run] for run in datasets if run in scores}


def score(
    run: Path,
    dataset: str,
    threads: int,
    *,
    data_dir: Path,
    config: RobustnessConfig,
    device: str | None,
    stop: StopRequest,
    processes: Processes,
    suite: Suite | None = None,
    progress: Progress = lambda share: None,
) -> list[Score]:
    """`evaluate_robustness` in one of the processes, on that many threads; it does not stop early."""
    same = processes.agreed(lambda: suite or opened_suite(dataset, data_dir, config))
    found = processes.shared(lambda: same.measured)
    processes.agreed(lambda: check_suite(same, found))
    with process_state(threads, choose_device(device) if device else read_run(run)[0].device):
        return evaluate_robustness(run, same, device, progress, processes)


@cache
def opened_suite(dataset: str, data_dir: Path, config: RobustnessConfig) -> Suite:
    """The conditions, opened once in each of the other processes: the first one has made those that had to be made."""
    return open_suite(dataset, data_dir, config)


def check_suite(suite: Suite, measured: Mapping[str, object]) -> None:
    """Raises InputError for other conditions than those of the first process."""
    if suite.measured != measured:
        raise InputError("expected the test images and corruptions of the first process, got others")


def by_cell(scores: Mapping[Path, Sequence[Score]]) -> dict[str, list[Sequence[Score]]]:
    """The scores of every cell's runs."""
    found: dict[str, list[Sequence[Score]]] = {}
    for run, of_run in scores.items():
        found.setdefault(run.parent.name, []).append(of_run)
    return found


def table(cells: Mapping[str, Sequence[Sequence[Score]]]) -> str:
    """Clean scores, means over conditions and scores against people as text: mean ± standard error over seeds."""
    width = max((len(cell) for cell in cells), default=0) + 2
    lines = []
    found = (score for of_runs in cells.values() for of_run in of_runs for score in of_run if _is_summary(score))
    for key, shown in {score.condition: score for score in found}.items():
        columns = PRINTED if shown.covered is None else (*PRINTED, COVERED)
        rows = {}
        for cell, of_runs in cells.items():
            same = [score for of_run in of_runs for score in of_run if score.condition == key]
            rows[cell] = [column.mean([getattr(score, column.name) for score in same]) for column in columns]
        lines += ["", _title(shown), *text_table([column.title for column in columns], rows, width)]
    if any(ABSENT in line for line in lines):
        lines += ["", f"{ABSENT} not measured for this cell, or not finite: a label of probability zero"]
    return "\n".join(lines)


def _is_summary(score: Score) -> bool:
    if score.kind == "corruption":
        return score.category == ALL and score.severity is None
    return score.kind == "clean" or score.severity is None


def _title(score: Score) -> str:
    titles = {
        "clean": PART_TITLES["clean"],
        "corruption": "Corruptions, mean over all conditions",
        "occlusion": "One black square or rectangle, mean over the areas above 0",
        "mollified": f"Mollified by {score.name}, mean over t",
        "human": f"Human labels, {score.name}",
    }
    return f"{titles[score.kind]}: mean ± standard error over seeds"
