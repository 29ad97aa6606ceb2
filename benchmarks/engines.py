"""What an engine costs a run: the main job's nine cells over two seeds of digits, by each engine in turn.

Start-up is the time until the first run begins; a run's time is that of its share of the machine from then to the last
result, and its overhead is what exceeds the training and scoring that the run itself timed; all by the wall's clock.
For Slurm, SLURM_CONF names a cluster of this machine. Engines that cannot be used here are left out, unless asked for.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click

from auglik.objectives import InputError
from benchmarks.command import benchmark, check_ended, rounds_option
from benchmarks.timing import load, machine

SETTINGS = ("--epochs", "5", "--seeds", "2", "--device", "cpu", "--no-report")
AT_A_TIME = 2
OPTIONS = {
    "local": (),
    "ray": ("--engine", "ray", "--engine-options", "address=local"),
    "slurm": ("--engine", "slurm"),
    "slurm, nine runs a task": ("--engine", "slurm", "--engine-options", "runs_per_task=9"),
}


class Taken(NamedTuple):
    """Seconds of one comparison."""

    whole: float
    start_up: float
    run: float
    """Of one run's share of the machine."""
    own: float
    """Of that, in training and scoring."""

    @property
    def overhead(self) -> float:
        return self.run - self.own


def compared(engine: str) -> Taken:
    """One comparison. Raises InputError with its last line if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "results"
        command = ["compare", *SETTINGS, "--jobs", str(AT_A_TIME), *OPTIONS[engine]]
        began = time.time()
        ended = subprocess.run(
            [sys.executable, "-m", "auglik", *command, "--output", str(output)], capture_output=True, text=True
        )
        whole = time.time() - began
        check_ended(engine, ended)
        found = [(path.parent / "config.toml", path) for path in output.glob("*/seed-*/results.json")]
        first = min(config.stat().st_mtime for config, _ in found)
        last = max(results.stat().st_mtime for _, results in found)
        read = [json.loads(results.read_text()) for _, results in found]
        own = statistics.mean(one["train_seconds"] + one["evaluation_seconds"] for one in read)
        return Taken(whole, first - began, AT_A_TIME * (last - first) / len(found), own)


@benchmark(__doc__)
@click.option("--engine", "chosen", multiple=True, type=click.Choice(list(OPTIONS)), help="[all]")
@rounds_option(2)
def main(chosen: tuple[str, ...], rounds: int) -> None:
    taken: dict[str, list[Taken]] = {engine: [] for engine in chosen or OPTIONS}
    print(f"{' '.join(SETTINGS)}, {AT_A_TIME} runs at a time; {machine()}")
    for _ in range(rounds):
        for engine in list(taken):
            try:
                one = compared(engine)
            except InputError as error:
                if chosen:
                    raise
                print(f"left out: {error}", flush=True)
                del taken[engine]
                continue
            taken[engine].append(one)
            print(
                f"{engine:<24} {one.whole:6.1f} s; start-up {one.start_up:5.1f} s; a run {one.run:5.2f} s, of which"
                f" {one.own:5.2f} s its own and {one.overhead:5.2f} s overhead; load {load():.1f}",
                flush=True,
            )
    for engine, ended in taken.items():
        overheads = [one.overhead for one in ended]
        spread = f"{statistics.median(overheads):.2f} s [{min(overheads):.2f}-{max(overheads):.2f}]"
        print(f"{engine:<24} overhead a run, median of {len(overheads)} [min-max]: {spread}")


if __name__ == "__main__":
    main()
