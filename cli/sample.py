"""`auglik sample`: chains of one posterior."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import rich_click as click

from auglik.cli.errors import UserError, one_line_errors
from auglik.cli.options import config_options, given, options, run_config, say_config, take
from auglik.cli.paths import PATH, check_suffix
from auglik.cli.plans import interrupted, report_failure, say_time
from auglik.cli.progress import shown
from auglik.experiments.cells import MOST_RUNS, Cell, objective_name, plan
from auglik.experiments.differences import plural
from auglik.experiments.engines.local import Local
from auglik.experiments.engines.named import Chosen
from auglik.experiments.plan import Place, carry_out, collect, make_plan, runs_at_a_time
from auglik.objectives import InputError
from auglik.runs.prior_predictive import prior_predictive
from auglik.runs.resolve import load_training, on_device, open_source, read_facts, resolve
from auglik.runs.results import Results
from auglik.runs.run import Job
from auglik.runs.settings import SETTINGS, RunConfig, flatten
from auglik.runs.tested import test_images
from auglik.sampling.files import load_chain, write_densities
from auglik.sampling.registry import POINT
from auglik.scoring.columns import fixed
from auglik.scoring.ensembles import score
from auglik.scoring.predictions import load_predictions
from auglik.settings.fields import settings_of
from auglik.settings.groups import Group
from auglik.system.cards import asked_elsewhere
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files
from auglik.system.stop import stop_on_signals

CHAINS = 4


@click.command()
@click.option(
    "--chains", metavar="N", type=click.IntRange(1, MOST_RUNS), panel=Group.COMPARED,
    help=f"Chains, the seeds 0 to N-1, which differ in first weights, batches, views and noise.  [default: {CHAINS}]",
)  # fmt: skip
@options(setting for setting in SETTINGS.values() if setting.key != "seed")
@options(settings_of(Place))
@click.option(
    "--prior-predictive", "picture", metavar="PNG", type=PATH,
    help="Sample the prior alone, as many networks as draws and chains, and draw what they predict; run nothing.",
    panel=Group.COMMAND,
)  # fmt: skip
@click.option(
    "--leave-one-out", is_flag=True, panel=Group.COMMAND,
    help="Also say how training images are predicted that are left out (PSIS-LOO), and power-scaling sensitivity.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the estimated time; run nothing.", panel=Group.COMMAND)
@config_options
@one_line_errors
@asked_elsewhere()
def sample(
    config_file: Path | None,
    print_config: bool,
    chains: int | None,
    picture: Path | None,
    leave_one_out: bool,
    dry_run: bool,
    **command_line: object,
) -> None:
    """Samples the posterior of a network's weights, in OUTPUT/LIKELIHOOD+AGGREGATOR/seed-N/ a chain.

    The same settings in `auglik compare` make chains cells of a comparison.
    """
    values = given(config_file, command_line)
    place, of_file = take(values, Place), values.pop("chains", None)
    count = of_file if chains is None else chains
    config = run_config({"inference": "sghmc", **values})
    if config.sampling.inference == POINT:
        raise InputError(f"inference: expected a sampler, got {POINT}: `auglik train` makes a point estimate")
    count = CHAINS if count is None else count
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_RUNS:
        raise InputError(f"chains: expected an integer in 1..{MOST_RUNS}, got {count!r}")
    if picture is None and config.seed:  # 0 is what --print-config says
        raise InputError(f"seed: expected none, as chains take the seeds 0 to N-1, got {config.seed}; give chains")
    if print_config:
        return say_config({"chains": count}, asdict(place), flatten(config))
    if picture is not None:
        return draw_prior(config, place, count * config.sampling.draws, picture)
    cell = Cell(objective_name(config), {})
    planned = make_plan(plan(config, {}, [cell]), range(count), place, dry=dry_run)
    if leave_one_out:
        from auglik.runs.densities import check_left_out  # ArviZ takes a second to import
        from auglik.sampling.leave_one_out import FEWEST, check_draws

        check_left_out(planned.jobs[0].run)
        check_draws(count * config.sampling.draws)
    if dry_run:
        return say_time(planned, place, Chosen(options={}))
    with stop_on_signals() as stop, shown(planned.todo, "sampling") as progress:
        outcomes = carry_out(planned, Local(runs_at_a_time(planned.todo, place.jobs)), stop, progress, report_failure)
    if stop.signal is not None:
        click.echo(f"{interrupted(place.resume)} (checkpoints are in {place.output})")
        raise SystemExit(128 + stop.signal)
    (found,) = collect(planned, outcomes).values()
    if not found:
        raise UserError("no chain ended")
    folders = {job.config.seed: job.folder for job in planned.jobs}
    summarize(config.sampling.posterior_temperature, {run.seed: folders[run.seed] for run in found}, found)
    if leave_one_out and (left := len(found) * config.sampling.draws) < FEWEST:
        click.echo(f"no image is left out: {left} draws of the chains that ended, at least {FEWEST} are needed")
    elif leave_one_out:
        ended = {run.seed for run in found}
        say_left_out([job for job in planned.jobs if job.config.seed in ended], place)
    if len(found) < count:
        raise SystemExit(1)


def draw_prior(config: RunConfig, place: Place, networks: int, picture: Path) -> None:
    """Prints what networks of the prior predict, and draws it."""
    from auglik.report.contact_sheet import save  # here, as matplotlib takes long to load
    from auglik.report.prior_picture import prior_picture

    check_suffix("prior_predictive", picture, ".png")
    check_files([picture])
    source = open_source(config, Path(place.data_dir), place.download)
    run = resolve(config, source, read_facts(source))
    data = load_training(run, source)
    test = on_device(test_images(run, source)[0], data.mean, data.std, run.device)
    found = prior_predictive(run, data, test, networks)
    ensure_writable(picture.parent)
    save(prior_picture(found, f"{networks} networks {run.network_name} of the prior {config.sampling.prior}"), picture)
    for line in found.said():
        click.echo(line)
    click.echo(f"wrote {picture}")


def summarize(T: float, folders: Mapping[int, Path], runs: Sequence[Results]) -> None:
    """Prints whether the chains can be relied on, first of all; then what they predict."""
    from auglik.sampling.diagnostics import examine_folders  # ArviZ takes a second to import

    members = {seed: load_predictions(folder) for seed, folder in folders.items()}
    found = examine_folders(T, list(folders.values()), list(members.values()))
    if found is None:
        raise InputError(f"{next(iter(folders.values()))}: expected a chain, got a point estimate")
    for text in found.failures().values():
        click.echo(f"FAILS: {text}")
    click.echo(found.said())
    all_ = score("", members).scores
    means = found.member_nll, float(np.mean([run.score("clean_nll") for run in runs])), all_["clean_nll"]
    of_draws, of_chains, of_all = (fixed(one, 4) for one in means)
    click.echo(
        f"clean NLL: draws {of_draws}, chains {of_chains}, all {plural(len(runs), 'chain')} as one {of_all}"
        f" (error {all_['clean_error']:.2%})"
    )


def say_left_out(jobs: Sequence[Job], place: Place) -> None:
    """Prints what the chains of finished jobs say of training images that are left out, and keeps it for reports."""
    from auglik.runs.densities import densities  # ArviZ takes a second to import
    from auglik.sampling.leave_one_out import leave_out

    config = jobs[0].config
    data = load_training(jobs[0].run, open_source(config, Path(place.data_dir)))  # chains share their images
    of_chains = [densities(job.folder, job.settings, job.run, data) for job in jobs]
    for job, one in zip(jobs, of_chains, strict=True):
        write_densities(job.folder, one)
    found = leave_out(
        of_chains,
        [chain for job in jobs if (chain := load_chain(job.folder)) is not None],
        T=config.sampling.posterior_temperature,
        likelihood_temperature=config.sampling.likelihood_temperature,
    )
    seen = "all" if config.view.orbit() is not None else f"one draw of {config.views}"
    click.echo(f"on {seen} views of each training image:")
    for text in [*(f"FAILS: {text}" for text in found.failures()), *found.said()]:
        click.echo(text)
