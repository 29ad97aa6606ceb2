"""`auglik robustness`: finished runs under corruptions, occlusion and mollification, and against human labels."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import rich_click as click

from auglik.cli.engines import engine_options, take_engine
from auglik.cli.errors import one_line_errors
from auglik.cli.evaluate import in_order
from auglik.cli.options import data_dir_option, options, take
from auglik.cli.paths import PATH
from auglik.cli.progress import bar, shown
from auglik.cli.streams import whoever_reads
from auglik.experiments.differences import plural
from auglik.experiments.engines.engine import Engine, Outcome
from auglik.experiments.engines.held import carried
from auglik.experiments.engines.named import Chosen
from auglik.experiments.engines.together import Together, together
from auglik.objectives import InputError
from auglik.robustness import RobustnessConfig, Score, Suite, open_suite
from auglik.robustness.evaluate import read_run
from auglik.robustness.scoring import Scoring
from auglik.runs.again import threads_of_finished
from auglik.runs.reproduced import Scorer, unlike_recorded
from auglik.runs.resolved import ResolvedRun
from auglik.runs.results import RESULTS, finished
from auglik.runs.run import CONFIG
from auglik.scoring.columns import ABSENT, COVERED, PART_TITLES, PRINTED, text_table
from auglik.scoring.conditions import ALL, SCORES, load_measured
from auglik.settings.fields import settings_of
from auglik.settings.groups import Group
from auglik.system.devices import choose_device
from auglik.system.paths import IN_A_RUN, check_folder, check_local
from auglik.system.records import OtherRecordError
from auglik.system.stop import stop_on_signals


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@options(settings_of(RobustnessConfig))
@data_dir_option
@click.option("--device", help="Device to score on [the runs'].", panel=Group.MACHINE)
@engine_options
@one_line_errors
def robustness(folder: Path, data_dir: Path, device: str | None, **command_line: object) -> None:
    """Scores all finished runs below DIR, the output of `auglik compare`, under corrupted and occluded test images.

    Each run's scores go to robustness.csv in its folder; runs that already have it are skipped. Data sets without a
    published -C set get one, made once and kept in the data folder. Several such commands at once share the runs.
    """
    values = {key: value for key, value in command_line.items() if value is not None}
    with together() as engine:
        chosen, config = take_engine(values), take(values, RobustnessConfig)
        if engine.processes.count > 1 and not chosen.is_default:
            raise InputError("torchrun: expected no other engine, as its processes score the runs themselves")
        measure(folder, data_dir, config, device, chosen_or(engine, chosen), chosen.detaches)


def chosen_or(engine: Together, chosen: Chosen) -> Engine:
    """The engine that was chosen; where none was, all processes, or this one, which opens the conditions once.

    Raises InputError where what it is built on is not installed: before conditions are made.
    """
    if chosen.is_default:
        return engine
    chosen.check_here()
    return chosen.engine(1 if chosen.is_local else None)


def measure(
    folder: Path, data_dir: Path, config: RobustnessConfig, device: str | None, engine: Engine, detaches: bool = False
) -> None:
    """Scores finished runs by an engine, prints the table and says what was written."""
    if device is not None:
        choose_device(device)
    failed: list[str] = []
    runs = finished_runs(folder)
    for run in runs:
        check_folder(run, IN_A_RUN)
    tasks: list[Scoring] = []
    suites: dict[str, Suite] = {}
    read = readable(runs, failed)
    for dataset in dict.fromkeys(resolved.config.dataset for resolved in read.values()):
        with bar(f"corruptions of {dataset}") as tell:
            suites[dataset] = open_suite(dataset, data_dir, config, tell)
            tell(1.0)
    scores: dict[Path, Sequence[Score]] = {}
    for run, resolved in read.items():
        suite = suites[resolved.config.dataset]
        task = Scoring(
            folder=run, output=folder, dataset=resolved.config.dataset, data_dir=data_dir, config=config, asked=device,
            run=resolved.change(device=str(choose_device(device))) if device else resolved,
            threads=threads_of_finished(run),
            identity=suite.measured["identity"], suite=suite,
        )  # fmt: skip
        try:
            found = task.found()
        except InputError as error:
            failed.append(str(error))
            continue
        if found is None:
            tasks.append(task)
        else:
            scores[run] = found
    before = len(scores)

    def ended(outcome: Outcome[list[Score]]) -> None:
        if outcome.results is not None:
            scores[outcome.job.folder] = outcome.results
        elif outcome.error is not None:
            failed.append(outcome.error)

    with whoever_reads(), stop_on_signals() as stop, shown(tasks, "scoring") as progress:
        carried(engine, tasks, stop, progress, ended)
    for run in scores:
        if line := unlike(run, read[run], suites[read[run].config.dataset], scores[run][0]):
            click.echo(line, err=True)
    if scores:
        click.echo(table(by_cell({run: scores[run] for run in runs if run in scores})))
    for message in failed:
        click.echo(f"failed: {message}", err=True)
    again = f"; {before} already had theirs" if before else ""
    click.echo(f"\nwrote {SCORES} into {plural(len(scores) - before, 'run folder')} below {folder}{again}")
    if detaches and tasks:
        click.echo("the same command without --detach takes the scores of the others")
    if stop.signal is not None:
        click.echo("interrupted; run the same command again to continue")
        raise SystemExit(128 + stop.signal)
    if failed:
        raise SystemExit(1)


def unlike(folder: Path, run: ResolvedRun, suite: Suite, clean: Score) -> str | None:
    """A line if the clean scores are not those that the run recorded."""
    results, measured = finished(folder), load_measured(folder)
    if results is None or measured is None:
        return None
    now = Scorer(measured.device, measured.versions or {})
    return unlike_recorded(folder, results, run, suite.positions, clean.error, clean.nll, now)


def finished_runs(folder: Path) -> list[Path]:
    """The folders of the finished runs at or below `folder`, the reference's first; prints which are left out.

    Raises InputError if there is none.
    """
    places = [f"{below}{name}" for below in ("", "*/", "*/*/") for name in (CONFIG, RESULTS)]
    found = in_order(sorted({path.parent for place in places for path in folder.glob(place)}, key=by_seed))
    lacking = {run: why for run in found if (why := why_left_out(run))}
    for run, why in lacking.items():
        click.echo(f"left out: {run} {why}", err=True)
    runs = [run for run in found if run not in lacking]
    if not runs:
        check_local(folder)
        got = "no such folder" if not folder.is_dir() else f"{len(found)} runs, none of them finished and whole"
        raise InputError(f"{folder}: expected the output of `auglik compare`, <cell>/seed-<n>/ below it, got {got}")
    return runs


def why_left_out(run: Path) -> str | None:
    """What keeps a run from being scored; None for one that can be, or is damaged."""
    if not (run / RESULTS).is_file():
        return "is not finished"
    with suppress(InputError):
        try:
            finished(run)
        except OtherRecordError:
            return "is of pretraining"
    return None if (run / CONFIG).is_file() else f"has no {CONFIG}, which says its settings"


def by_seed(run: Path) -> tuple[Path, int, str]:
    """Sorts seed-10 behind seed-9."""
    number = run.name.removeprefix("seed-")
    return run.parent, int(number) if number.isdecimal() else -1, run.name


def readable(runs: Sequence[Path], failed: list[str]) -> dict[Path, ResolvedRun]:
    """The settings of every readable run; the others go to `failed`. Raises InputError if none is readable."""
    found = {}
    for run in runs:
        try:
            found[run] = read_run(run)[0]
        except InputError as error:
            failed.append(str(error))
    if not found:
        raise InputError(failed[0])
    return found


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
    for key, one in {score.condition: score for score in found}.items():
        columns = PRINTED if one.covered is None else (*PRINTED, COVERED)
        rows = {}
        for cell, of_runs in cells.items():
            same = [score for of_run in of_runs for score in of_run if score.condition == key]
            rows[cell] = [column.mean([getattr(score, column.name) for score in same]) for column in columns]
        lines += ["", _title(one), *text_table([column.title for column in columns], rows, width)]
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
