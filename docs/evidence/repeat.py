"""Runs the conditions of a page of evidence, one `auglik compare` each, and keeps what their reports need in its kept/.

    python docs/evidence/repeat.py PAGE FOLDER [CONDITION ...]

PAGE is the name of a folder here, e.g. what-turns-it. FOLDER takes the runs, and holds the data sets whose names end in
.npz but for the noisy ones; conditions that are finished there are not run again.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np

from auglik import open_dataset

HERE = Path(__file__).parent
NOISY = "noisy-"
WRONG = 0.2
"""The share of training labels that are replaced by another class in noisy-NAME.npz."""


def main() -> None:
    page, folder, *chosen = sys.argv[1:]
    conditions = tomllib.loads((HERE / page / "conditions.toml").read_text())["conditions"]
    output = Path(folder)
    output.mkdir(parents=True, exist_ok=True)
    for name in chosen or conditions:
        options = [at(output, option) if option.endswith(".npz") else option for option in conditions[name]]
        for command in (
            ["compare", "--config", HERE / page / "cells.toml", *options, "--no-report", "--output", output / name],
            ["keep", output / name, HERE / page / "kept" / name],
        ):
            subprocess.run([sys.executable, "-m", "auglik", *map(str, command)], check=True)


def at(folder: Path, name: str) -> Path:
    """The data set of that name in `folder`; a noisy one is made there."""
    path = folder / name
    if name.startswith(NOISY) and not path.exists():
        clean = name.removeprefix(NOISY)
        write_noisy(str(folder / clean) if (folder / clean).exists() else clean.removesuffix(".npz"), path)
    return path


def write_noisy(name: str, path: Path) -> None:
    """A fifth of the training labels replaced by one of the other nine classes; test labels are right."""
    dataset, rng = open_dataset(name), np.random.default_rng(20)
    train, test = dataset.train(), dataset.test()
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
