"""Every run: its settings, digests and versions, shown on request."""

import math
from collections.abc import Callable

import tomli_w

from auglik.report.collect import Cell, Collected
from auglik.report.content import Details, Row, Section, Shown, Table, count, listed, number, words
from auglik.report.run_files import Run
from auglik.runs.settings import flatten

DIGEST = 16
"""Characters of a digest that are shown; the run's results.json has them all."""


def runs(collected: Collected) -> Section:
    """One entry a cell: the settings that its runs share, and a row a run."""
    named = collected.named()
    return Section(
        "runs",
        "Every run",
        ("Settings are those that determine a run's numbers; a digest identifies all random draws.", *_own(collected)),
        tuple(_cell(cell, named) for cell in collected.cells.values()),
    )


def _own(collected: Collected) -> list[str]:
    """A sentence for each piece of code that is not auglik's."""
    found: dict[str, None] = {}
    for run in (run for cell in collected.cells.values() for run in cell.runs.values()):
        code = run.results.own_code or {}
        found |= dict.fromkeys(f"{name} ({digest[:DIGEST]})" for name, digest in code.items())
    return [f"Code other than auglik's, by the SHA-256 of its source: {listed(list(found))}."] if found else []


def _cell(cell: Cell, named: Callable[[object], str]) -> Details:
    columns = (
        "run", "clean NLL", "clean error %", "settings", "batches", "views", "test images", "threads", "device",
        "versions",
    )  # fmt: skip
    rows = tuple(Row(f"{cell.name}, seed {seed}", _run(run)) for seed, run in cell.runs.items())
    settings = {key: value for key, value in flatten(cell.config).items() if key != "seed" and value is not None}
    table = Table(key=f"runs-{cell.name}", caption=f"The runs of {cell.name}", columns=columns, rows=rows)
    seeds = f"{len(cell.runs)} seed{'s' * (len(cell.runs) != 1)}"
    return Details(
        f"{cell.name}: {named(cell.config.likelihood)} + {named(cell.config.aggregator)}, {seeds}",
        (table,),
        tomli_w.dumps(settings),
    )


def _run(run: Run) -> tuple[Shown, ...]:
    found = run.results
    nll = found.score("clean_nll")
    digests = found.settings, found.batches_digest, found.views_digest, found.test_digest
    return (
        words("not finite") if math.isnan(nll) else number(nll, 4),
        number(100 * found.score("clean_error"), 2),
        *(words((digest or "")[:DIGEST]) for digest in digests),
        count(found.threads),
        words(found.device),
        words(", ".join(f"{name} {version}" for name, version in found.versions.items())),
    )
