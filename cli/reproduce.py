"""`auglik reproduce`: the published experiments by name."""

from pathlib import Path

import click

from auglik import cells as cells_
from auglik.config import SETTINGS, RunConfig, change, settings_of
from auglik.cost import estimate
from auglik.experiments import Place, make_plan, runs_at_a_time
from auglik.files import ensure_writable
from auglik.recipes import PROTOCOLS, SCALES, Recipe, read_recipe, recipe_names
from cli.comparing import describe, run_comparison
from cli.errors import one_line_errors
from cli.options import factors, options, take
from objectives import InputError


@click.command()
@click.argument("name", required=False)
@click.option("--scale", default="full", show_default=True, help=" or ".join(SCALES))
@click.option(
    "--protocol",
    default="text",
    show_default=True,
    help="What text says, or what the code did: " + " or ".join(PROTOCOLS),
)
@click.option("--seeds", type=click.IntRange(1), help="Seeds of each cell [the paper's].")
@click.option("--set", "changes", multiple=True, metavar="SETTING=VALUE", help="Replaces a setting for all cells.")
@click.option(
    "--corruptions/--no-corruptions", default=None, help="Score corrupted test sets too [where the paper does]."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and its cost, and run nothing.")
@options(setting for setting in settings_of(Place))
@one_line_errors
def reproduce(
    name: str | None,
    scale: str,
    protocol: str,
    seeds: int | None,
    changes: tuple[str, ...],
    corruptions: bool | None,
    dry_run: bool,
    **command_line: object,
) -> None:
    """Runs a published experiment and reports it beside the published figures; without NAME, lists them.

    `--scale quick` stands small networks and few images in for the published ones: it shows that a recipe runs, and
    nothing about the paper.
    """
    if name is None:
        for known in recipe_names():
            recipe = read_recipe(known)
            click.echo(f"{known}\n    {recipe.source}. {recipe.question}")
        return
    recipe = read_recipe(name)
    settings = {**recipe.settings(scale, protocol), **factors(parse_changes(changes), also_known=())}
    values = {key: value for key, value in command_line.items() if value is not None}
    place = take({"output": f"results/{name}-{scale}", **values}, Place)
    single = {key: chosen[0] for key, chosen in settings.items() if len(chosen) == 1}
    several = {key: chosen for key, chosen in settings.items() if len(chosen) > 1}
    planned = cells_.plan(change(RunConfig(), single), several, recipe.cells_at(scale))
    count = seeds if seeds is not None else recipe.scales[scale].seeds
    plan = make_plan(planned, range(count), place)
    if not dry_run:
        ensure_writable(Path(place.output))
    introduce(recipe, scale, protocol)
    describe(plan, cells_.reference_of(planned, recipe.reference), runs_at_a_time(plan.todo, place.jobs))
    total = estimate(plan.todo, plan.facts)
    click.echo(
        f"to train: {total.images:,} images in {total.steps:,} steps, about {total.hours:.2g} hours of this device"
        " (from a few timed steps; scoring comes on top)"
    )
    if dry_run:
        return
    ended_well = run_comparison(planned, plan, place, recipe.reference, fail_fast=False)
    if corruptions if corruptions is not None else recipe.scales[scale].corruptions:
        score_corruptions(Path(place.output), Path(place.data_dir), scale)
    if not ended_well:
        raise SystemExit(1)


def parse_changes(texts: tuple[str, ...]) -> dict[str, object]:
    """SETTING=VALUE texts by flat name, the values in the settings' own types. Raises InputError for others."""
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.replace("-", "_")
        if not equals:
            raise InputError(f"--set: expected SETTING=VALUE, got {text!r}")
        kind = SETTINGS[key].type if key in SETTINGS else str
        try:
            found[key] = value.lower() == "true" if kind is bool else kind(value)
        except ValueError:
            raise InputError(f"--set {text}: expected {kind.__name__}, got {value!r}") from None
    return found


def introduce(recipe: Recipe, scale: str, protocol: str) -> None:
    """What is run, and what it cannot show."""
    click.echo(f"{recipe.title}\n{recipe.source}\n{recipe.question}")
    if recipe.scales[scale].note:
        click.echo(f"scale {scale}: {recipe.scales[scale].note}")
    if recipe.code:
        shown = ", ".join(f"{key}={values[0]}" for key, values in recipe.code.items())
        click.echo(f"protocol {protocol}: the published code has {shown}, and --protocol code follows it")


def score_corruptions(output: Path, data_dir: Path, scale: str) -> None:
    """Scores the finished runs as `auglik robustness` does; at the quick scale on few images and severities."""
    from cli.robustness import robustness

    quick = {"images": 50, "severities": "3"} if scale == "quick" else {}
    context = click.get_current_context()
    context.invoke(robustness, folder=output, data_dir=data_dir, device=None, **quick)
