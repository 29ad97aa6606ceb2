"""Runs the conditions of conditions.toml, one `auglik compare` each, and keeps what their reports need in kept/.

    python docs/evidence/what-turns-it/repeat.py FOLDER [CONDITION ...]

FOLDER takes the runs; conditions that are finished there are not run again.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np

from auglik import open_dataset

HERE = Path(__file__).parent
WRONG = 0.2
"""The share of training labels that are replaced by another class in noisy-digits.npz."""


def main() -> None:
    folder, *chosen = sys.argv[1:]
    conditions = tomllib.loads((HERE / "conditions.toml").read_text())["conditions"]
    output = Path(folder)
    output.mkdir(parents=True, exist_ok=True)
    write_noisy_digits(output / "noisy-digits.npz")
    for name in chosen or conditions:
        options = [str(output / value) if value.endswith(".npz") else value for value in conditions[name]]
        for command in (
            ["compare", "--config", HERE / "cells.toml", *options, "--no-report", "--output", output / name],
            ["keep", output / name, HERE / "kept" / name],
        ):
            subprocess.run([sys.executable, "-m", "auglik", *map(str, command)], check=True)


def write_noisy_digits(path: Path) -> None:
    """Digits, with a fifth of the training labels replaced by one of the other nine classes; test labels are right."""
    digits, rng = open_dataset("digits"), np.random.default_rng(20)
    train, test = digits.train(), digits.test()
    labels = np.asarray(train.labels)
    moved = (labels + rng.integers(1, 10, size=len(labels))) % 10
    wrong = rng.permutation(len(labels)) < WRONG * len(labels)
    np.savez(
        path,
        train_images=np.asarray(train.images),
        train_labels=np.where(wrong, moved, labels),
        test_images=np.asarray(test.images),
        test_labels=np.asarray(test.labels),
    )


if __name__ == "__main__":
    main()
