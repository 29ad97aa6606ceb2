"""Runs a page of evidence and keeps what its report needs in its kept/.

    python docs/evidence/repeat.py PAGE FOLDER [CONDITION | SEED ...]

PAGE is the name of a folder here, e.g. what-turns-it: a page has conditions, each an `auglik compare`, or blocks, each
one seed of a recipe. FOLDER takes the runs, and holds the data sets whose names end in .npz but for the noisy ones, and
human labels. What is finished there is not run again, what was begun is continued.
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
    output = Path(folder)
    output.mkdir(parents=True, exist_ok=True)
    if (HERE / page / "blocks.toml").exists():
        blocks(page, output, [int(seed) for seed in chosen])
    else:
        conditions(page, output, chosen)


def conditions(page: str, output: Path, chosen: list[str]) -> None:
    """Scored on corrupted images too, where the page says how."""
    of = tomllib.loads((HERE / page / "conditions.toml").read_text())
    every, robustness = of["conditions"], of.get("robustness")
    for name in chosen or every:
        options = [at(output, option) if option.endswith(".npz") else option for option in every[name]]
        auglik("compare", "--config", HERE / page / "cells.toml", *options, "--no-report", "--output", output / name)
        if robustness is not None:
            auglik("robustness", output / name, *robustness, "--data-dir", output)
        auglik("keep", output / name, HERE / page / "kept" / name)


def blocks(page: str, output: Path, chosen: list[int]) -> None:
    """Each with the seeds that the folder has already, so that its tables are of all of them."""
    of, runs = tomllib.loads((HERE / page / "blocks.toml").read_text()), output / page
    for seed in chosen or of["seeds"]:
        seeds = sorted({seed, *(int(path.parent.name[5:]) for path in runs.glob("*/seed-*/results.json"))})
        named = [text for one in seeds for text in ("--seed", one)]
        common = [*named, "--set", f"dataset={output / of['dataset']}", *of["options"], "--threads", 1, "--jobs", 2]
        auglik("reproduce", of["recipe"], *common, "--no-corruptions", "--no-report", "--output", runs)
        human = output / of["human_labels"]
        auglik("robustness", runs, *of["robustness"], "--human-labels", human, "--data-dir", output)
        auglik("keep", runs, HERE / page / "kept")


def auglik(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "auglik", *map(str, arguments)], check=True)


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
