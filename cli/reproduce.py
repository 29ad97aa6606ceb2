"""`auglik reproduce`: experiments by name, the published ones and those of the evidence."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import rich_click as click

from auglik.cli.engines import engine_options, take_engine
from auglik.cli.errors import UserError, one_line_errors
from auglik.cli.options import given, options, take, with_default
from auglik.cli.plans import (
    at_a_time,
    check_output,
    describe,
    interrupted,
    report_on,
    run_comparison,
    say_estimate,
    say_time,
)
from auglik.cli.progress import bar
from auglik.cli.robustness import chosen_or, measure
from auglik.cli.seeds import chosen_seeds, seed_options
from auglik.cli.streams import whoever_reads
from auglik.data import open_dataset, some
from auglik.experiments import cells as cells_
from auglik.experiments.differences import plural
from auglik.experiments.engines.named import Chosen
from auglik.experiments.engines.together import together
from auglik.experiments.plan import Place, make_plan
from auglik.objectives import InputError
from auglik.pretraining import PretrainConfig, execute, threads_of
from auglik.pretraining.differences import PRETRAINING_CSV, compared, jobs_of, write_rows
from auglik.pretraining.results import finished
from auglik.recipes import RECIPE_PROTOCOLS, RECIPE_SCALES, Recipe, Values, read_recipe, recipe_names
from auglik.report import ReportSettings
from auglik.robustness import RobustnessConfig
from auglik.runs.claim import claimed
from auglik.runs.loop import NonFiniteLossError, lengths
from auglik.runs.resolve import read_facts
from auglik.runs.run import state_of
from auglik.runs.settings import SETTINGS, RunConfig, change
from auglik.settings.fields import Setting, settings_of
from auglik.settings.groups import Group
from auglik.settings.names import look_up
from auglik.system.devices import available_cores
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files
from auglik.system.process import process_state
from auglik.system.progress import part_of
from auglik.system.stop import Interrupted, stop_on_signals


@click.command()
@click.argument("name", required=False)
@click.option("--scale", default="full", show_default=True, help=" or ".join(RECIPE_SCALES), panel=Group.COMPARED)
@click.option(
    "--protocol",
    default="text",
    show_default=True,
    help="Follow the paper's text or its published code: " + " or ".join(RECIPE_PROTOCOLS),
    panel=Group.COMPARED,
)
@click.option(
    "--cell",
    "only",
    multiple=True,
    metavar="NAME",
    help="Only this cell and the one that it is compared with; repeatable. [all]",
    panel=Group.COMPARED,
)
@seed_options("[the recipe's]")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="SETTING=VALUE",
    help="Override a setting in all cells.",
    panel=Group.COMPARED,
)
@click.option(
    "--corruptions/--no-corruptions",
    default=None,
    help="Also score corrupted test sets [if the paper does].",
    panel=Group.EVALUATION,
)
@options(with_default(settings_of(Place), "output", "results/NAME-SCALE"))
@engine_options
@click.option(
    "--report/--no-report",
    "with_report",
    default=None,
    help="Write a report at the end.  [default: report]",
    panel=Group.COMMAND,
)
@click.option(
    "--dry-run", is_flag=True, help="Print the plan and its estimated time; run nothing.", panel=Group.COMMAND
)
@one_line_errors
def reproduce(
    name: str | None,
    scale: str,
    protocol: str,
    only: tuple[str, ...],
    changes: tuple[str, ...],
    corruptions: bool | None,
    with_report: bool | None,
    dry_run: bool,
    **command_line: object,
) -> None:
    """Runs an experiment by name and reports it next to the published figures; without NAME, lists all.

    Where a recipe pretrains without labels, a table takes the report's place.

    `--scale quick` uses small networks and few images instead of the published ones: it shows that a recipe runs, but
    nothing about the paper.
    """
    if name is None:
        for known in recipe_names():
            recipe = read_recipe(known)
            click.echo(f"{known}\n    {recipe.source}. {recipe.question}")
        return
    recipe = read_recipe(name).only(only)
    settings, values = recipe.settings(scale, protocol), given(None, command_line)
    seeds = chosen_seeds(values, recipe.scales[scale].seeds)
    engine, place = take_engine(values), take({"output": f"results/{name}-{scale}", **values}, Place)
    if recipe.pretrains:
        check_pretraining(name, engine, place, corruptions, with_report)
    settings |= {key: [value] for key, value in overrides(recipe, scale, protocol, changes).items()}
    if recipe.pretrains:
        introduce(recipe, scale, protocol)
        return pretrain_cells(recipe, settings, seeds, place, dry_run)
    with_report = with_report is not False
    single = {key: chosen[0] for key, chosen in settings.items() if len(chosen) == 1}
    several = {key: chosen for key, chosen in settings.items() if len(chosen) > 1}
    planned = cells_.plan(change(RunConfig(), single), several, recipe.cells_at(scale))
    references = cells_.reference_of(planned, recipe.reference)
    planned = cells_.in_order(planned, references)
    plan = make_plan(planned, seeds, place)
    check_output(Path(place.output), with_report)
    if not dry_run:
        ensure_writable(Path(place.output))
    introduce(recipe, scale, protocol)
    describe(plan, references, at_a_time(engine, plan, place))
    corrupted = corruptions if corruptions is not None else recipe.scales[scale].corruptions
    if dry_run:
        on_top = " and ".join(["scores under corruption"] * corrupted + ["the report"] * with_report)
        return say_time(plan, place, engine, on_top)
    with whoever_reads():
        ended = run_comparison(planned, plan, place, engine, recipe.reference, fail_fast=False)
        if corrupted and ended.any_finished:
            conditions = {} if corruptions else recipe.scales[scale].robustness
            score_corruptions(Path(place.output), Path(place.data_dir), scale, conditions, engine)
        if with_report and ended.any_finished:
            title = f"{recipe.title} ({scale} scale)"
            report_on(Path(place.output), ReportSettings(against="published", data_dir=place.data_dir, title=title))
    if not ended.well:
        raise SystemExit(1)


def overrides(recipe: Recipe, scale: str, protocol: str, changes: tuple[str, ...]) -> dict[str, object]:
    """What --set says for all cells. Raises InputError for what is no setting, and for what would have no effect."""
    known = {setting.key: setting for setting in settings_of(PretrainConfig)} if recipe.pretrains else SETTINGS
    found = parse_changes(changes, known)
    for key in found:
        if own := [cell.name for cell in recipe.cells_at(scale) if key in cell.changes]:
            raise InputError(f"--set {key}: expected a setting that no cell sets itself, but {some(own)} do")
        if protocol == "code" and key in recipe.code:
            raise InputError(f"--set {key}: expected --protocol text with it, as --protocol code sets it")
    if "seed" in found:
        raise InputError("--set seed: expected --seed or --seeds, which say the runs' seeds")
    return found


def check_pretraining(
    name: str, engine: Chosen, place: Place, corruptions: bool | None, with_report: bool | None
) -> None:
    """Raises InputError for options that have no effect on a recipe that pretrains."""
    if not engine.is_local:
        raise InputError(f"{name}: expected the engine local, which pretraining runs on, got {engine.name}")
    asked = {
        "--engine-options": not engine.is_default, "--jobs": place.jobs is not None,
        "--corruptions": corruptions is True, "--report": with_report is True,
    }  # fmt: skip
    if idle := [option for option, was_given in asked.items() if was_given]:
        raise InputError(
            f"{name}: expected no {', '.join(idle)}, got {'it' if len(idle) == 1 else 'them'}: pretraining runs one"
            " after another, probes features on clean test images and prints a table"
        )


def pretrain_cells(
    recipe: Recipe,
    settings: Values,
    seeds: Sequence[int],
    place: Place,
    dry_run: bool,
) -> None:
    """Runs a pretraining recipe, one run after another, and prints accuracies and paired differences."""
    output, threads = Path(place.output), place.threads or available_cores()
    data_dir = Path(place.data_dir)
    datasets = [str(name) for name in settings["dataset"]]
    facts = {name: read_facts(open_dataset(name, data_dir, place.download)) for name in datasets}
    jobs = jobs_of(
        settings, recipe.cells, seeds, output, data_dir, threads, facts,
        tensorboard=place.tensorboard, resume=place.resume,
    )  # fmt: skip
    todo = {key: job for key, job in jobs.items() if finished(job.folder) is None}
    steps = sum(lengths(job.run.shared, job.run.shared.trained_on()).steps for job in todo.values())
    images = " / ".join(dict.fromkeys(f"{job.run.shared.trained_on():,}" for job in jobs.values()))
    state = f"{plural(len(jobs), 'run')}, {len(jobs) - len(todo)} finished"
    click.echo(f"{state}; to do: {plural(steps, 'step')}, on {images} images")
    if dry_run:
        from auglik.recipes.cost import estimate_pretraining

        return say_estimate(estimate_pretraining(todo.values(), within=state_of), 1, "the probes")
    check_files([output / PRETRAINING_CSV])
    ensure_writable(output)
    try:
        with whoever_reads(), stop_on_signals() as stop, bar("pretraining") as tell:
            for done, job in enumerate(todo.values()):
                with claimed(job.folder), process_state(threads_of(job), job.run.shared.device):
                    execute(job, stop=stop, progress=part_of(tell, done, len(todo)))
    except Interrupted:
        click.echo(interrupted(place.resume))
        raise SystemExit(128 + (stop.signal or 0)) from None
    except NonFiniteLossError as error:
        raise UserError(str(error)) from None
    results = {key: found for key, job in jobs.items() if (found := finished(job.folder)) is not None}
    rows = compared(results, recipe.reference)
    write_rows(output, rows)
    for row in rows:
        spread = 100 * row.value.standard_error
        shown = f"{100 * row.value.mean:.2f}%" + (f" ± {spread:.2f}" if isfinite(spread) else "")
        if row.difference is not None:
            mean, lower, upper = (100 * value for value in row.difference[:1] + row.difference[2:4])
            interval = f" [{lower:+.2f}, {upper:+.2f}]" if isfinite(lower) else ""
            shown += f", {mean:+.2f}{interval} against {recipe.reference}"
        click.echo(f"  {row.dataset:<10} {row.cell:<10} {row.metric.replace('_', ' '):<16} {shown}")
    ours = {key[:2]: str(job.config.network) for key, job in jobs.items()}
    for text in published_errors(ours):
        click.echo(f"  {text}")
    click.echo(f"wrote {output / PRETRAINING_CSV}")


def published_errors(ours: Mapping[tuple[str, str], str]) -> list[str]:
    """What Liu et al. 2023, Table 4, has for the networks of (data set, cell); a line that says so where it is none."""
    from auglik.report.sections.published_figures import (
        NETWORKS,
        read_published,
    )  # here, as it brings JAX and matplotlib

    known = {
        (one.dataset, one.augmentation, NETWORKS[one.network.removeprefix("SimSiam-")]): one.value
        for one in read_published()
        if (one.source, one.table) == ("liu2023", "table4")
    }
    found = [
        f"{dataset:<10} {cell:<10} published error  {known[dataset, cell, network]}%"
        for (dataset, cell), network in ours.items()
        if (dataset, cell, network) in known
    ]
    got = dict.fromkeys(f"{dataset}, {network}" for (dataset, _), network in ours.items())
    return found or [f"nothing published matches: {'; '.join(got)}"]


BOOLEANS = {"true": True, "false": False}


def parse_changes(texts: tuple[str, ...], known: Mapping[str, Setting] = SETTINGS) -> dict[str, object]:
    """SETTING=VALUE texts as values by flat name, in the settings' own types. Raises InputError for others."""
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.replace("-", "_")
        if not equals:
            raise InputError(f"--set: expected SETTING=VALUE, got {text!r}")
        kind = look_up("setting", key, known).type
        try:
            typed = BOOLEANS[value.lower()] if kind is bool else kind(value)
        except (ValueError, KeyError):
            raise InputError(f"--set {text}: expected {kind.__name__}, got {value!r}") from None
        if found.setdefault(key, typed) != typed:
            raise InputError(f"--set {key}: expected one value, got {found[key]} and {typed}")
    return found


def introduce(recipe: Recipe, scale: str, protocol: str) -> None:
    """What is run, and what it cannot show."""
    click.echo(f"{recipe.title}\n{recipe.source}\n{recipe.question}")
    if recipe.scales[scale].note:
        click.echo(f"scale {scale}: {recipe.scales[scale].note}")
    if recipe.code:
        shown = ", ".join(f"{key}={values[0]}" for key, values in recipe.code.items())
        click.echo(f"protocol {protocol}: the published code has {shown}, and --protocol code follows it")


def score_corruptions(
    output: Path, data_dir: Path, scale: str, conditions: Mapping[str, object], engine: Chosen
) -> None:
    """Scores the finished runs as `auglik robustness` does, at the quick scale on few images and severities.

    `conditions` are settings of it.
    """
    quick: dict[str, object] = {"images": 50, "severities": "3"} if scale == "quick" else {}
    with together() as alone:
        measure(output, data_dir, take({**conditions, **quick}, RobustnessConfig), None, chosen_or(alone, engine))
