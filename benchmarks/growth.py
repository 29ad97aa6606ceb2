"""What a comparison of many finished runs costs: planning it again, comparing it, its status and its report.

One run is trained; the others are it under their own settings, with noise added to its predictions and scored anew.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy import special

from auglik import RunConfig, change
from auglik.cli.paths import PATH
from auglik.experiments.cells import Cell, plan
from auglik.experiments.plan import Place, make_plan
from auglik.experiments.status import noted
from auglik.objectives import InputError
from auglik.runs.log import METRICS_FILE
from auglik.runs.results import RESULTS, Results
from auglik.runs.run import CONFIG, Job, execute
from auglik.runs.settings import flatten
from auglik.scoring.metrics import marginal_log_likelihood, scores
from auglik.scoring.predictions import PARTS, PREDICTIONS, Predictions, as_arrays, load_predictions, part_of
from auglik.system.files import write_json, write_npz, write_toml
from auglik.system.records import to_json
from benchmarks.command import COUNT, benchmark, check_ended
from benchmarks.timing import machine

SETTINGS: dict[str, object] = {"dataset": "digits", "epochs": 5, "device": "cpu"}
CELL_EFFECT, SEED_EFFECT = 0.3, 1.0
"""Standard deviations of what is added to log-probabilities, for all runs of a cell and for one."""
COMMANDS = ("plan", "compare", "status", "report")
STATUS = Path("/proc/self/status")
COMMAND = """
import atexit, pathlib, sys
from auglik.cli.main import main
where = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: where.write_text(pathlib.Path("/proc/self/status").read_text()))
main()
"""
"""Notes the peak of its memory: what the system says of a child counts the parent's from before it began."""


def comparison(output: Path, cells: int, seeds: int) -> list[str]:
    """Makes the folder of a comparison that has ended; returns the options that ask for it again."""
    rates = [f"{0.01 * (1 + 0.1 * number):.4g}" for number in range(cells)]
    planned = plan(
        change(RunConfig(), SETTINGS),
        {},
        [Cell(f"rate-{rate}", {"learning_rate": float(rate)}) for rate in rates],
    )
    jobs = make_plan(planned, range(seeds), Place(output=str(output))).jobs
    made = execute(jobs[0])
    trained = load_predictions(jobs[0].folder)
    with noted(output, jobs):
        for number, job in enumerate(jobs[1:], 1):
            clone(job, jobs[0].folder, made, noisy(trained, number // seeds, number))
    config = output.with_suffix(".toml")
    lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in SETTINGS.items()]
    lines += [
        f"seeds = {seeds}",
        f'output = "{output}"',
        *(f'[[cells]]\nname = "rate-{rate}"\nlearning-rate = {rate}' for rate in rates),
    ]
    config.write_text("\n".join(lines), encoding="utf-8")
    return ["--config", str(config)]


def noisy(trained: Predictions, cell: int, run: int) -> Predictions:
    """The predictions of another run on the same images and views."""
    of_cell, of_run = np.random.default_rng([0, cell]), np.random.default_rng([1, run])

    scale = np.exp(0.1 * of_cell.normal() + 0.1 * of_run.normal())

    def moved(log_p: NDArray[np.float32]) -> NDArray[np.float32]:
        added = CELL_EFFECT * of_cell.normal(size=log_p.shape) + SEED_EFFECT * of_run.normal(size=log_p.shape)
        return np.asarray(special.log_softmax(scale * (log_p + added), -1), np.float32)

    views = trained.view_log_likelihoods + SEED_EFFECT * of_run.normal(size=trained.view_log_likelihoods.shape)
    return trained._replace(
        log_probabilities=moved(trained.log_probabilities),
        folded_log_probabilities=moved(trained.folded_log_probabilities),
        mollified_log_probabilities=moved(trained.mollified_log_probabilities),
        view_log_likelihoods=np.minimum(views, 0).astype(np.float32),
    )


def clone(job: Job, folder: Path, made: Results, predictions: Predictions) -> None:
    """Writes the finished run of a job, from one in `folder` of the same data."""
    job.folder.mkdir(parents=True)
    shutil.copy(folder / METRICS_FILE, job.folder)
    write_toml(job.folder / CONFIG, flatten(job.config))
    of_part = {part: scores(*part_of(predictions, part))._asdict() for part in PARTS}
    found = {f"{part}_{name}": value for part, values in of_part.items() for name, value in values.items()}
    marginal = marginal_log_likelihood(predictions.view_log_likelihoods)
    found |= {"marginal_log_likelihood": marginal.plain, "marginal_log_likelihood_corrected": marginal.corrected}
    digests = {name: str(getattr(predictions, name)) for name in ("test_digest", "evaluation_views_digest")}
    write_npz(job.folder / PREDICTIONS, **predictions._asdict() | as_arrays(digests))
    mine = replace(
        made, cell=job.cell, seed=job.config.seed, settings=job.settings, scores={**made.scores, **found},
        views_digest=f"{job.config.seed:064x}",
    )  # fmt: skip
    write_json(job.folder / RESULTS, to_json(mine))


def measured(command: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, CPU-seconds and the peak of memory in MB of a command. Raises InputError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        status, before = Path(folder) / "status", os.times()
        ended = subprocess.run([sys.executable, "-c", COMMAND, str(status), *command], capture_output=True, text=True)
        after = os.times()
        check_ended(command[0], ended)
        [peak] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return after.elapsed - before.elapsed, cpu, int(peak) / 1024


def counted(output: Path) -> tuple[int, int]:
    """Cells and seeds of a comparison that was kept. Raises InputError for a folder that is none, or has moved."""
    config = output.with_suffix(".toml")
    settings = tomllib.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    if settings.get("output") != str(output):
        raise InputError(f"--keep: expected a new folder or one that this benchmark made there, got {output}")
    return len(settings["cells"]), settings["seeds"]


@benchmark(__doc__)
@click.option("--cells", type=COUNT, help="[20, or the kept ones]")
@click.option("--seeds", type=COUNT, help="[20, or the kept ones]")
@click.option("--keep", type=PATH, help="Folder for the comparison, kept, or of one [a temporary one]")
@click.option("--only", multiple=True, type=click.Choice(COMMANDS), help="[all]")
def main(cells: int | None, seeds: int | None, keep: Path | None, only: tuple[str, ...]) -> None:
    if not STATUS.exists():
        raise InputError(f"expected a system that tells peaks of memory in {STATUS}, as Linux does, got none")
    with tempfile.TemporaryDirectory() as temporary:
        output = keep.resolve() if keep else Path(temporary) / "comparison"
        if output.exists():
            made = counted(output)
            if (cells or made[0], seeds or made[1]) != made:
                raise InputError(f"--keep: expected --cells {made[0]} --seeds {made[1]}, as {output} has them, or none")
            asked = ["--config", str(output.with_suffix(".toml"))]
        else:
            made = cells or 20, seeds or 20
            asked = comparison(output, *made)
        commands = {
            "plan": ["compare", *asked, "--dry-run"],
            "compare": ["compare", *asked, "--no-report"],
            "status": ["status", str(output)],
            "report": ["report", str(output)],
        }
        print(f"{made[0]} cells x {made[1]} seeds of digits, once each; {machine()}")
        for name, command in commands.items():
            if not only or name in only:
                seconds, cpu, peak = measured(command)
                print(f"{name:<8} {seconds:7.1f} s {cpu:7.1f} CPU-s {peak:7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
