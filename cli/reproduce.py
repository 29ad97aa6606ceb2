"""`auglik reproduce`: experiments by name, the published ones and those of the evidence."""

from collections.abc import Mapping
from pathlib import Path

import rich_click as click
from click import get_current_context
from click.core import ParameterSource

from auglik.cli.engines import engine_options, take_engine
from auglik.cli.errors import one_line_errors
from auglik.cli.options import completer, given, options, take, with_default
from auglik.cli.plans import (
    at_a_time,
    check_output,
    describe,
    report_on,
    run_comparison,
    say_time,
)
from auglik.cli.pretraining_recipes import check_pretraining, pretrain_cells
from auglik.cli.robustness import chosen_or, measure
from auglik.cli.seeds import chosen_seeds, seed_options
from auglik.cli.streams import whoever_reads
from auglik.data import some
from auglik.experiments import cells as cells_
from auglik.experiments.engines.named import Chosen
from auglik.experiments.engines.together import together
from auglik.experiments.plan import Place, make_plan
from auglik.objectives import InputError
from auglik.pretraining import PretrainConfig
from auglik.recipes import RECIPE_PROTOCOLS, RECIPE_SCALES, Recipe, read_recipe, recipe_names
from auglik.report import ReportSettings
from auglik.robustness import RobustnessConfig
from auglik.runs.settings import SETTINGS, RunConfig, change
from auglik.settings.fields import Setting, settings_of
from auglik.settings.groups import Group
from auglik.settings.names import look_up
from auglik.system.cards import asked_elsewhere
from auglik.system.files import ensure_writable


@click.command()
@click.argument("name", required=False, shell_complete=completer(recipe_names()))
@click.option(
    "--scale",
    default="full",
    show_default=True,
    shell_complete=completer(RECIPE_SCALES),
    help=" or ".join(RECIPE_SCALES),
    panel=Group.COMPARED,
)
@click.option(
    "--protocol",
    default="text",
    show_default=True,
    shell_complete=completer(RECIPE_PROTOCOLS),
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
    shell_complete=completer(f"{key}=" for key in SETTINGS),
    help="Override a setting in all cells.",
    panel=Group.COMPARED,
)
@click.option(
    "--corruptions/--no-corruptions",
    default=None,
    help="Also score corrupted test sets [if the paper does].",
    panel=Group.EVALUATION,
)
@options(with_default(settings_of(Place), "output", "results/NAME-SCALE[-code]"))
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
@asked_elsewhere()
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
        check_listed(get_current_context())
        for known in recipe_names():
            recipe = read_recipe(known)
            click.echo(f"{known}\n    {recipe.source}. {recipe.question}")
        return
    recipe = read_recipe(name).only(only)
    settings, values = recipe.settings(scale, protocol), given(None, command_line)
    seeds = chosen_seeds(values, recipe.scales[scale].seeds)
    folder = f"results/{name}-{scale}{'-code' * (protocol == 'code')}"
    engine, place = take_engine(values), take({"output": folder, **values}, Place)
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
    plan = make_plan(planned, seeds, place, dry=dry_run)
    check_output(Path(place.output), with_report, dry_run)
    if not dry_run:
        if plan.todo:
            engine.check_here()
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


def check_listed(context: click.Context) -> None:
    """Raises InputError for options without a NAME, which the list of experiments would have no use for."""
    given = [
        (parameter.secondary_opts if context.params[parameter.name] is False else parameter.opts)[0]
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise InputError(f"{some(given)}: expected the NAME of an experiment too; auglik reproduce alone lists them")


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
