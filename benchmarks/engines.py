"""What an engine costs a run: the main job's nine cells over two seeds of digits, by each engine in turn.

Start-up is the time until the first run begins; a run's time is that of its share of the machine from then to the last
result, and its overhead is what exceeds the training and scoring that the run itself timed. For Slurm, SLURM_CONF names
a cluster of this machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.timing import machine

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
    """One comparison. Raises CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "results"
        command = ["compare", *SETTINGS, "--jobs", str(AT_A_TIME), *OPTIONS[engine]]
        began = time.time()
        subprocess.run(
            [sys.executable, "-m", "auglik", *command, "--output", str(output)], check=True, capture_output=True
        )
        whole = time.time() - began
        found = [(path.parent / "config.toml", path) for path in output.glob("*/seed-*/results.json")]
        first = min(config.stat().st_mtime for config, _ in found)
        last = max(results.stat().st_mtime for _, results in found)
        read = [json.loads(results.read_text()) for _, results in found]
        own = statistics.mean(one["train_seconds"] + one["evaluation_seconds"] for one in read)
        return Taken(whole, first - began, AT_A_TIME * (last - first) / len(found), own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--engine", action="append", choices=OPTIONS, help="[all]")
    given = parser.parse_args()
    engines = given.engine or list(OPTIONS)
    taken: dict[str, list[Taken]] = {engine: [] for engine in engines}
    print(f"{' '.join(SETTINGS)}, {AT_A_TIME} runs at a time; {machine()}; load before {os.getloadavg()[0]:.1f}")
    for _ in range(given.rounds):
        for engine in engines:
            one = compared(engine)
            taken[engine].append(one)
            load = f"load {os.getloadavg()[0]:.1f}"
            print(
                f"{engine:<24} {one.whole:6.1f} s; start-up {one.start_up:5.1f} s; a run {one.run:5.2f} s, of which"
                f" {one.own:5.2f} s its own and {one.overhead:5.2f} s overhead; {load}",
                flush=True,
            )
    for engine, rounds in taken.items():
        overheads = [one.overhead for one in rounds]
        print(f"{engine:<24} overhead a run, median of {len(rounds)}: {statistics.median(overheads):.2f} s")


if __name__ == "__main__":
    main()
