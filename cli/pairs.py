"""`auglik confidence --by pair`: confidence under two operations at once, measured on validation images."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import rich_click as click
import torch

from auglik.cli.progress import bar
from auglik.confidence.pair_table import PairTable, write_pair_table
from auglik.confidence_tables.crossfitting import columns_in_turn
from auglik.confidence_tables.measuring import accuracy
from auglik.confidence_tables.pairing import measure_pairs
from auglik.confidence_tables.probes import Probe
from auglik.confidence_tables.reference import load_reference
from auglik.data import Arrays, Source
from auglik.runs.resolve import Facts
from auglik.runs.run import Job


def write_pairs(
    job: Job,
    source: Source,
    facts: Facts,
    first: Mapping[str, Probe],
    second: Mapping[str, Probe],
    validation: Arrays,
    images: int,
    output: Path,
    train: Callable[[Job, Source], None] | None,
) -> None:
    """Measures, after training the reference model if told how, and writes."""
    if train is not None:
        train(job, source)
    network = load_reference(job.folder, job.run, facts, job.run.train_images - len(validation.labels))
    pixels, labels = torch.from_numpy(validation.images[:images]), torch.from_numpy(validation.labels[:images])
    score = accuracy(network.predict, labels, network.mean, network.std, job.run.device)
    with bar("measuring") as tell:
        values = measure_pairs(first, second, pixels, score, tell)
    table = PairTable(
        source="accuracy of a network", dataset=source.name, images=len(labels), class_names=facts.class_names,
        operations=columns_in_turn(first), values=values,
    )  # fmt: skip
    write_pair_table(output, table)
    summarize(table)
    click.echo(f"wrote {output}, for --soften all:pairs:table={output}:relative=true --compose measured")


def summarize(table: PairTable) -> None:
    """How far the accuracy under two operations lies from the product, both relative to untouched images."""
    start = table.operations["identity"].columns.start
    relative = table.values / table.values[start, start]
    click.echo(f"{table.source} under two operations, on {table.images} validation images of {table.dataset}")
    names = [name for name in table.operations if name != "identity"]
    for i, first in enumerate(names):
        for second in names[i:]:
            rows, columns = table.operations[first].columns, table.operations[second].columns
            product = np.outer(relative[start, rows], relative[start, columns])
            above = relative[rows, columns] - product
            click.echo(
                f"  {first} and {second}: {above.mean():+.3f} above the product of the two on average, from"
                f" {above.min():+.3f} to {above.max():+.3f}"
            )
