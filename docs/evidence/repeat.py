"""Repeats a page of evidence, and writes its own figures beside the committed ones.

    python docs/evidence/repeat.py PAGE FOLDER [CONDITION | SEED ...]

PAGE is the name of a folder here, e.g. what-turns-it: a page has conditions, each an `auglik compare`, or blocks, each
one seed of a recipe. FOLDER holds the data sets whose names end in .npz but for the noisy ones, and human labels. It
takes the runs in PAGE/runs, what a report needs of them in PAGE/kept, and PAGE.md with both tables; what is committed
stays as it is. What is finished there is not run again, what was begun is continued.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
from kept import HERE
from page import PAGES, write_repeated

from auglik import open_dataset

NOISY = "noisy-"
WRONG = 0.2
"""The share of training labels that are replaced by another class in noisy-NAME.npz."""


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit("expected PAGE FOLDER [CONDITION | SEED ...]")
    page, folder, *chosen = sys.argv[1:]
    pages = [name for name in PAGES if name != "known"]  # made of other pages' runs
    if page not in pages:
        sys.exit(f"expected a page, one of {', '.join(pages)}, got {page}")
    root = Path(folder)
    (root / page).mkdir(parents=True, exist_ok=True)
    if (HERE / page / "blocks.toml").exists():
        if wrong := [one for one in chosen if not one.isdecimal()]:
            sys.exit(f"expected seeds of {page}, got {', '.join(wrong)}")
        blocks(page, root, [int(seed) for seed in chosen])
    else:
        conditions(page, root, chosen)
    print(f"{write_repeated(page, root)}: the table of these runs, and the committed one")


def conditions(page: str, root: Path, chosen: list[str]) -> None:
    """Scored on corrupted images too, where the page says how."""
    of = tomllib.loads((HERE / page / "conditions.toml").read_text())
    every, robustness = of["conditions"], of.get("robustness")
    if unknown := [name for name in chosen if name not in every]:
        sys.exit(f"expected conditions of {page}, of {', '.join(every)}, got {', '.join(unknown)}")
    for name in chosen or every:
        runs = root / page / "runs" / name
        options = [at(root, option) if option.endswith(".npz") else option for option in every[name]]
        auglik("compare", "--config", HERE / page / "cells.toml", *options, "--no-report", "--output", runs)
        if robustness is not None:
            auglik("robustness", runs, *robustness, "--data-dir", root)
        auglik("keep", runs, root / page / "kept" / name)


def blocks(page: str, root: Path, chosen: list[int]) -> None:
    """Each with the seeds that the folder has already, so that its tables are of all of them."""
    of, runs = tomllib.loads((HERE / page / "blocks.toml").read_text()), root / page / "runs"
    for seed in chosen or of["seeds"]:
        seeds = sorted({seed, *(int(path.parent.name[5:]) for path in runs.glob("*/seed-*/results.json"))})
        named = [text for one in seeds for text in ("--seed", one)]
        common = [*named, "--set", f"dataset={root / of['dataset']}", *of["options"], "--threads", 1, "--jobs", 2]
        auglik("reproduce", of["recipe"], *common, "--no-corruptions", "--no-report", "--output", runs)
        human = root / of["human_labels"]
        auglik("robustness", runs, *of["robustness"], "--human-labels", human, "--data-dir", root)
        auglik("keep", runs, root / page / "kept")


def auglik(*arguments: object) -> None:
    if code := subprocess.run([sys.executable, "-m", "auglik", *map(str, arguments)]).returncode:
        sys.exit(code)


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
