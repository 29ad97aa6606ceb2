"""Whether the nodes of a cluster can execute runs as this one would: the same versions, and folders that all see."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import torch

from auglik.data import open_dataset
from auglik.experiments.engines.task import Task
from auglik.objectives import InputError
from auglik.runs.run import versions
from auglik.system.files import ensure_writable


class Mark(NamedTuple):
    """What a node is asked: to see a file of the driver's in every output folder, and to write one beside it."""

    folders: tuple[Path, ...]
    name: str
    datasets: tuple[tuple[str, Path], ...]
    """Names or paths, and the folder of data sets."""
    versions: Mapping[str, str]
    cuda: bool = False
    """Whether a run on CUDA may come to the node."""


class Node(NamedTuple):
    """What a node answers."""

    address: str
    versions: Mapping[str, str]
    wrong: tuple[str, ...]
    """What it cannot see, write or use."""
    own: str
    """The name of the file that it wrote into every folder."""


@contextmanager
def marked(jobs: Sequence[Task[object]]) -> Iterator[Mark]:
    """A mark in the output folders of tasks, for as long as nodes are asked. Raises InputError as `ensure_writable`."""
    folders = tuple(dict.fromkeys(job.output.absolute() for job in jobs))
    name = f".partial-{secrets.token_hex(8)}"
    datasets = tuple(dict.fromkeys(one for job in jobs for one in job.datasets))
    try:
        for folder in folders:
            ensure_writable(folder)
            (folder / f"{name}.tmp").touch()
        yield Mark(folders=folders, name=name, datasets=datasets, versions=versions())
    finally:
        for folder in folders:
            for path in folder.glob(f"{name}*.tmp"):
                path.unlink(missing_ok=True)


def probe(mark: Mark) -> tuple[Mapping[str, str], tuple[str, ...], str]:
    """The answer of the node that it is called on: all of `Node` but the address."""
    wrong, own = [], f"{mark.name}-{secrets.token_hex(8)}.tmp"
    for folder in mark.folders:
        if not (folder / f"{mark.name}.tmp").exists():
            wrong.append(f"does not see the output folder {folder}: it must be on a file system that all nodes share")
            continue
        try:
            (folder / own).touch()
        except OSError as error:
            wrong.append(f"cannot write into the output folder {folder}: {error.strerror or error}")
    for dataset, data_dir in mark.datasets:
        try:
            open_dataset(dataset, data_dir).check()
        except (InputError, OSError) as error:
            wrong.append(f"cannot read the data set {dataset}: {error}")
    if mark.cuda and not torch.cuda.is_available():
        wrong.append("has no CUDA device that torch can use")
    return versions(), tuple(wrong), own


def differences(nodes: Sequence[Node | str], mark: Mark) -> list[str]:
    """A line each of what is wrong with nodes; a text is one already. Call it while the mark is there."""
    found = []
    for node in nodes:
        if isinstance(node, str):
            found.append(node)
            continue
        for what, expected in mark.versions.items():
            if (got := node.versions.get(what)) != expected:
                found.append(f"node {node.address}: expected {what} {expected}, as here, got {got}")
        found += [f"node {node.address}: {text}" for text in node.wrong]
        for folder in mark.folders if not node.wrong else ():
            with suppress(OSError):
                next(folder.iterdir(), None)  # makes a network file system look again
            if not (folder / node.own).exists():
                found.append(f"node {node.address}: writes into another folder {folder} than the one here")
    return found
