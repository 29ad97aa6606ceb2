"""`auglik train`: one run."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import rich_click as click

from auglik.cli.errors import UserError, one_line_errors
from auglik.cli.options import check_one_way, config_options, given, options, run_config, say_config, take
from auglik.cli.progress import shown
from auglik.data import absent_line
from auglik.experiments.cells import Cell, objective_name, plan
from auglik.experiments.engines.together import Together, together
from auglik.experiments.plan import Place, carry_out, make_plan
from auglik.objectives import InputError
from auglik.runs import checkpoint as checkpoints
from auglik.runs.resolve import training_pipeline
from auglik.runs.results import Results
from auglik.runs.settings import SETTINGS, flatten
from auglik.runs.tested import met_before
from auglik.scoring.columns import PRINTED, fixed
from auglik.scoring.predictions import PARTS
from auglik.settings.fields import settings_of
from auglik.settings.groups import Group
from auglik.system.stop import stop_on_signals


@click.command()
@options(SETTINGS.values())
@options(setting for setting in settings_of(Place) if setting.key not in ("resume", "jobs"))
@click.option("--resume", is_flag=True, help="Continue the interrupted run from its checkpoint.", panel=Group.COMMAND)
@click.option("--restart", is_flag=True, help="Start the interrupted run over.", panel=Group.COMMAND)
@config_options
@one_line_errors
def train(config_file: Path | None, print_config: bool, resume: bool, restart: bool, **command_line: object) -> None:
    """Trains and scores one run, in OUTPUT/LIKELIHOOD+AGGREGATOR/seed-N/."""
    with together() as engine:
        check_one_way(resume, restart)
        _train(engine, given(config_file, command_line), print_config, resume, restart)


def _train(engine: Together, values: dict[str, object], print_config: bool, resume: bool, restart: bool) -> None:
    place = replace(take(values, Place), resume=not restart)
    config = run_config(values)
    if print_config:
        return say_config(asdict(place), flatten(config))
    cell = Cell(objective_name(config), {})
    planned = make_plan(plan(config, {}, [cell]), [config.seed], place)
    (job,) = planned.jobs
    if not planned.todo:
        held = next((folder for _, folder in planned.renamed), job.folder)
        click.echo(f"{held} already holds this run, finished:")
        return summarize_run(planned.done[job.settings])
    begun = next((folder for _, folder in planned.begun), job.folder)
    if (begun / checkpoints.NAME).exists() and not (resume or restart):
        raise InputError(f"{begun} holds this run, interrupted: --resume continues it, --restart starts over")
    if resume and not (begun / checkpoints.NAME).exists():
        click.echo(f"no checkpoint of this run in {place.output}: it begins anew")

    facts = planned.facts[config.dataset]
    click.echo(f"views: {training_pipeline(job.run, facts.shape(), facts.classes).describe()}")
    with stop_on_signals() as stop, shown(planned.todo, "training") as progress:
        (outcome,) = carry_out(planned, engine, stop, progress, lambda outcome: None)
    if outcome.interrupted:
        click.echo(interrupted_alone(job.folder, restart))
        raise SystemExit(128 + (stop.signal or 0))
    if outcome.results is None:
        if outcome.details is not None:
            click.echo(outcome.details, err=True)
        raise UserError(str(outcome.error))
    summarize_run(outcome.results)
    click.echo(f"wrote {job.folder}")


def interrupted_alone(folder: Path, restarts: bool) -> str:
    """How a command of one run, which goes on where it is told to, does so."""
    way = "give --resume instead of --restart in" if restarts else "add --resume to"
    return f"interrupted; the checkpoint is in {folder}; {way} the same command to continue"


def summarize_run(results: Results) -> None:
    """The scores of a run, and which classes its test images lack."""
    summarize(results.scores)
    say_absent([results])


def summarize(scores: Mapping[str, float]) -> None:
    """One line per part."""

    def score(name: str) -> float:
        return scores.get(name, math.nan)

    for part in PARTS:
        values = [f"{column.name} {fixed(score(f'{part}_{column.name}'), 4)}" for column in PRINTED]
        click.echo(f"  {part:<10}" + ", ".join(values))
    click.echo(
        f"  marginal   log-likelihood {fixed(score('marginal_log_likelihood'), 4)} (bias-corrected"
        f" {fixed(score('marginal_log_likelihood_corrected'), 4)}) ± {fixed(score('marginal_standard_error'), 4)},"
        f" {score('effective_views'):.1f} effective views"
    )


def say_absent(runs: Iterable[Results]) -> None:
    """Prints which classes the runs' test images lack, and how many are copies or were trained on, each case once."""
    found = list(runs)
    for absent in dict.fromkeys(run.absent_classes for run in found if run.absent_classes):
        click.echo(absent_line(absent))
    for line in met_before(found):
        click.echo(line)
