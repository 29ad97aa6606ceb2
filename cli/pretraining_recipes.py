"""`auglik reproduce` of recipes that pretrain: runs one after another, and a table."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import rich_click as click

from auglik.cli.errors import UserError
from auglik.cli.plans import interrupted, say_estimate
from auglik.cli.progress import bar
from auglik.cli.streams import whoever_reads
from auglik.data import open_dataset
from auglik.experiments.differences import plural
from auglik.experiments.engines.named import Chosen
from auglik.experiments.plan import Place
from auglik.objectives import InputError
from auglik.pretraining import execute, threads_of
from auglik.pretraining.differences import PRETRAINING_CSV, compared, jobs_of, write_rows
from auglik.pretraining.results import finished
from auglik.recipes import Recipe, Values
from auglik.runs.claim import claimed
from auglik.runs.loop import NonFiniteLossError, lengths
from auglik.runs.resolve import read_facts
from auglik.runs.run import state_of
from auglik.system.devices import available_cores
from auglik.system.files import ensure_writable
from auglik.system.paths import check_files
from auglik.system.process import process_state
from auglik.system.progress import part_of
from auglik.system.stop import Interrupted, stop_on_signals


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
    trained_on = {key: job.run.shared.trained_on(facts[job.config.dataset].classes) for key, job in jobs.items()}
    steps = sum(lengths(job.run.shared, trained_on[key]).steps for key, job in todo.items())
    images = " / ".join(dict.fromkeys(f"{count:,}" for count in trained_on.values()))
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
    # Here, as it brings JAX and matplotlib.
    from auglik.report.sections.published_figures import NETWORKS, read_published

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
