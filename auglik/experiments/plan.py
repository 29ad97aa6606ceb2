"""A comparison: from a plan of cells and seeds to finished runs and their comparison."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from auglik.data import open_dataset
from auglik.experiments.cells import MOST_RUNS, Planned, reference_of
from auglik.experiments.differences import Difference, RunsOfCells, differences, write_comparison
from auglik.experiments.elsewhere import begun_elsewhere, finished_runs, take_begun, take_finished
from auglik.experiments.engines.engine import Engine, Outcome, Progress
from auglik.experiments.engines.held import carried
from auglik.experiments.status import record_references
from auglik.objectives import InputError
from auglik.runs.digests_now import DigestsNow
from auglik.runs.loop import lengths
from auglik.runs.own_code import code_digests, own_code
from auglik.runs.resolve import Facts, read_facts, resolve
from auglik.runs.resolved import settings_hash
from auglik.runs.results import Results, finished
from auglik.runs.run import CONFIG, Job
from auglik.runs.settings import change, flatten
from auglik.runs.vacant import name_anew
from auglik.sampling.registry import POINT
from auglik.sampling.step_sizes import draw_steps
from auglik.scoring.ensembles import write_ensembles
from auglik.scoring.predictions import Predictions, load_predictions
from auglik.settings.fields import option
from auglik.settings.groups import Group
from auglik.system.devices import MOST_THREADS, available_cores, card_count
from auglik.system.paths import IN_A_RUN, check_folder, check_local, check_names
from auglik.system.stop import StopRequest


@dataclass(frozen=True)
class Place:
    """Where runs read and write, and how they are carried out: none of it affects a run's numbers."""

    output: str = option("results", "Folder for the output.", group=Group.MACHINE)
    data_dir: str = option("data", "Folder of torchvision's data sets.")
    download: bool = option(False, "Download a data set that is missing.")
    threads: int | None = option(None, "Threads per run [1 for small networks on a CPU, else all cores].")
    jobs: int | None = option(
        None, "Runs at a time [on a CPU as many as there are cores for their threads, one per card on CUDA]."
    )
    tensorboard: bool = option(False, "Also log for TensorBoard (needs auglik[tensorboard]).")
    resume: bool = option(True, "Continue unfinished runs from their checkpoints; else start them over.")

    def __post_init__(self) -> None:
        for name in ("threads", "jobs"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST_THREADS:
                raise InputError(f"{name}: expected an integer in 1..{MOST_THREADS}, got {value}")
        for name in ("output", "data_dir"):
            if not (path := getattr(self, name)):
                raise InputError(f"{name}: expected a folder name, got an empty one")
            check_local(path)


class Plan(NamedTuple):
    """All runs of a comparison: those to do, and those already finished."""

    jobs: list[Job]
    done: dict[str, Results]
    """By settings hash."""
    todo: list[Job]
    facts: dict[str, Facts]
    """By data set."""
    renamed: Sequence[tuple[Job, Path]] = ()
    """Finished under another cell's name, and where."""
    begun: Sequence[tuple[Job, Path]] = ()
    """To do, unfinished under another cell's name, and where."""

    def classes(self) -> dict[str, int]:
        """How many each data set has."""
        return {name: facts.classes for name, facts in self.facts.items()}


class Cost(NamedTuple):
    """The cost of the runs to do: optimizer steps, and views that pass through a network forward and backward."""

    runs: int
    steps: int
    views: int


def make_plan(
    cells: Sequence[Planned], seeds: Sequence[int], place: Place, scored: bool = True, *, dry: bool = False
) -> Plan:
    """Resolves every run and finds finished ones under `place.output` by the hash of their settings.

    Runs that are not `scored` end with their training; of a `dry` plan none are executed.

    Reads each data set's training images once. Raises InputError for anything that would stop a run before it starts:
    unknown names, unusable data, names and paths that cannot be written, more than MOST_RUNS runs, an output folder
    that holds runs with other settings.
    """
    output = Path(place.output)
    if len(cells) * len(seeds) > MOST_RUNS:
        raise InputError(f"expected at most {MOST_RUNS:,} runs, got {len(cells)} cells x {len(seeds):,} seeds")
    check_names([cell.name for cell in cells])
    for cell in cells:
        check_folder(output / cell.name / f"seed-{max(seeds)}", IN_A_RUN, dry=dry)
    facts: dict[str, Facts] = {}
    jobs = []
    for cell in cells:
        source = open_dataset(cell.config.dataset, Path(place.data_dir), place.download)
        if cell.config.dataset not in facts:
            facts[cell.config.dataset] = read_facts(source)
        run = resolve(cell.config, source, facts[cell.config.dataset])
        code = code_digests(own_code(flatten(run.config)))
        for seed in seeds:
            seeded = replace(run, config=change(run.config, {"seed": seed}))  # no text that was read is another
            settings = settings_hash(seeded, facts[cell.config.dataset].digest)
            folder = output / cell.name / f"seed-{seed}"
            jobs.append(
                Job(
                    cell=cell.name,
                    run=seeded,
                    settings=settings,
                    folder=folder,
                    data_dir=Path(place.data_dir).absolute(),
                    threads=run.threads(place.threads),
                    tensorboard=place.tensorboard,
                    resume=place.resume,
                    scored=scored,
                    code=code,
                )
            )
    found = list(finished_runs(output))
    done = {results.settings: results for _, results in found}
    folders = {results.settings: folder for folder, results in found}
    in_place = {(folder, results.settings) for folder, results in found}
    todo = [job for job in jobs if job.settings not in done]
    renamed = [
        (job, folders[job.settings])
        for job in jobs if job.settings in done and (job.folder, job.settings) not in in_place
    ]  # fmt: skip
    for job in (*todo, *(job for job, _ in renamed)):
        job.check()
    for job in todo:
        _check_draws(job, facts[job.config.dataset].classes)
    _check_test_images([(job, done[job.settings]) for job in jobs if job.settings in done], Path(place.data_dir))
    return Plan(jobs=jobs, done=done, todo=todo, facts=facts, renamed=renamed, begun=begun_elsewhere(output, todo))


def _check_draws(job: Job, classes: int) -> None:
    """Raises InputError for a chain of more draws than its steps allow."""
    sampling = job.config.sampling
    if sampling.inference != POINT:
        steps = lengths(job.run, job.run.trained_on(classes)).steps
        draw_steps(sampling.parsed_step_sizes().stretches(steps), sampling.draws)


def _check_test_images(finished: Sequence[tuple[Job, Results]], data_dir: Path) -> None:
    """Raises InputError for runs scored on other test images than their data sets have now, which no hash tells."""
    now = DigestsNow(data_dir)
    for job, results in finished:
        now.check(job.folder, job.run, results, ": give another output folder, or put them back")


def cost(jobs: Sequence[Job], classes: Mapping[str, int]) -> Cost:
    """Counted from the settings and the `classes` of data sets, without scoring, whose views are in `evaluation`."""
    total = Cost(0, 0, 0)
    for job in jobs:
        count = lengths(job.run, job.run.trained_on(classes[job.config.dataset]))
        parts = (1, count.steps, round(count.steps * count.images * job.run.mean_views()))
        total = Cost(*(a + b for a, b in zip(total, parts, strict=True)))
    return total


def runs_at_a_time(jobs: Sequence[Job], asked: int | None, processes: int = 1) -> int:
    """As many as given, else on a CPU as many as have a core for each of their threads, and one per card on CUDA.

    Each is of so many `processes`. Raises InputError where they outnumber the cores, or the cards, of this machine.
    """
    automatic, on_cpu = 1, all(job.run.device.type == "cpu" for job in jobs)
    if jobs and processes > 1 and processes > (most := available_cores() if on_cpu else card_count()):
        what = "cores" if on_cpu else "GPUs"
        raise InputError(f"engine local: processes_per_run: expected at most the {what} here, {most}, got {processes}")
    if on_cpu:
        automatic = available_cores() // (processes * max((job.threads for job in jobs), default=1))
    if jobs and all(job.config.device == "cuda" for job in jobs):
        automatic = card_count() // processes
    return max(1, min(asked or automatic, len(jobs)))


def predictions_of(output: Path, runs: RunsOfCells) -> dict[str, dict[int, Predictions]]:
    """What the runs of every cell predicted, by seed, from their folders. Raises InputError if one is damaged."""
    folders = {results.settings: folder for folder, results in finished_runs(output)}
    return {
        cell: {run.seed: load_predictions(folders[run.settings]) for run in of_cell} for cell, of_cell in runs.items()
    }


def carry_out(
    plan: Plan,
    engine: Engine,
    stop: StopRequest,
    progress: Progress,
    report: Callable[[Outcome[Results]], None],
    fail_fast: bool = False,
) -> list[Outcome[Results]]:
    """Executes the runs to do, as `carried` does.

    Runs that are finished under another name are there under both, unfinished ones move here.
    """
    for job, folder in plan.renamed:
        take_finished(job, folder, plan.done[job.settings])
    take_begun(plan.begun)
    for job in plan.jobs:
        if job.settings in plan.done and (results := finished(job.folder)) and results.settings == job.settings:
            name_anew(job.folder / CONFIG, job.config)
    return carried(engine, plan.todo, stop, progress, report, fail_fast)


def collect(plan: Plan, outcomes: Sequence[Outcome[Results]]) -> RunsOfCells:
    """The finished runs of every cell, under the cell's name in this plan."""
    results = plan.done | {item.results.settings: item.results for item in outcomes if item.results is not None}
    runs: dict[str, list[Results]] = {job.cell: [] for job in plan.jobs}
    for job in plan.jobs:
        if job.settings in results:
            runs[job.cell].append(replace(results[job.settings], cell=job.cell))
    return runs


def write(
    output: Path, plan: Plan, cells: Sequence[Planned], runs: RunsOfCells, reference: str | None
) -> list[Difference]:
    """Writes runs.csv, comparison.csv and ensembles.csv into `output` and returns the paired differences.

    The record of cells there is then of this comparison, as the tables are, whatever else began there since.
    """
    named = {job.cell: {"dataset": job.config.dataset, "network": job.config.network} for job in plan.jobs}
    references = reference_of(cells, reference)
    found = write_tables(output, runs, references, predictions_of(output, runs), named)
    record_references(output, references)
    return found


def write_tables(
    output: Path,
    runs: RunsOfCells,
    references: Mapping[str, str],
    predictions: Mapping[str, Mapping[int, Predictions]],
    named: Mapping[str, Mapping[str, object]],
) -> list[Difference]:
    """The same of these runs; `named` as in `write_comparison`."""
    from auglik.inference import primary_differences  # here, as its package brings xarray, which training does without

    found = differences(runs, references, primary_differences(predictions, references))
    write_comparison(output, runs, found, named)
    write_ensembles(output, predictions)
    return found
