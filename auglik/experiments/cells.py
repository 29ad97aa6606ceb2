"""Cells of an ablation: what differs between them, and the plan of all runs."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from auglik.confidence.distributions import ONLINE, UNIFORM
from auglik.objectives import InputError
from auglik.runs.settings import RunConfig, change
from auglik.settings.foreign import load
from auglik.settings.names import nearest
from auglik.system.paths import check_names
from auglik.views.couplings import INDEPENDENT
from auglik.views.proposal import NO_PROPOSAL

OWN_FILE = re.compile(r"(?P<folder>(?:[^:,]*[/\\])?)(?P<file>[^/\\:,]+)\.py:(?P<name>[^\W\d]\w*)")
"""Own code by its file, wherever it stands in a setting."""
MOST_RUNS = 10_000
"""Of one comparison: more are a mistake, such as a seed given as the number of seeds."""


class Cell(NamedTuple):
    """A name and the settings, by flat name, that differ from the comparison's common settings."""

    name: str
    changes: Mapping[str, object]


class Planned(NamedTuple):
    """One cell of a plan: its settings except the seed, and the name of the cell that it is a variant of."""

    name: str
    base: str
    config: RunConfig


MAIN_CELLS: tuple[Cell, ...] = (
    Cell("reference", {"likelihood": "smoothed", "aggregator": "jensen"}),
    Cell("hard-labels", {"likelihood": "categorical", "aggregator": "jensen"}),
    Cell("tempered-labels", {"likelihood": "tempered", "aggregator": "jensen"}),
    Cell("log-mean", {"likelihood": "smoothed", "aggregator": "log-mean"}),
    Cell("corrected", {"likelihood": "smoothed", "aggregator": "durbin-koopman"}),
    Cell("normalized", {"likelihood": "smoothed-normalized", "aggregator": "jensen"}),
    Cell("both", {"likelihood": "smoothed-normalized", "aggregator": "log-mean"}),
    Cell("dirichlet", {"likelihood": "dirichlet", "aggregator": "log-mean"}),
    Cell(
        "context",
        {
            "likelihood": "categorical", "aggregator": "jensen", "views": 1,
            "augment": "none", "mollify": "none", "soften": "none",
        },
    ),
)  # fmt: skip
"""The main job: each cell changes one factor of the reference; context: training without augmentation."""


def plan(
    common: RunConfig, factors: Mapping[str, Sequence[object]], cells: Sequence[Cell] | None = None
) -> list[Planned]:
    """The cells of a comparison: `cells` (else the main job's), times every setting with several values.

    `factors` maps a flat name to its values; a single value is a common setting. Likelihoods or aggregators
    given there make their product the cells, instead of the main job's. What a cell sets itself stays as it
    is. Raises InputError for unknown settings, seeds and values out of range, for more than MOST_RUNS, for cells that
    would share a folder or cannot have one, and for `cells` with equal settings; equal ones among the products become
    one cell.
    """
    factors = dict(factors)
    if "seed" in factors:
        raise InputError("seed: expected none among the settings: all cells run with the comparison's seeds")
    for key, values in factors.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise InputError(f"{key}: expected a list of values, got {values!r:.60}: give [{values!r:.60}]")
    if empty := [key for key, values in factors.items() if not values]:
        raise InputError(f"{empty[0]}: expected at least one value, got none")
    if cells is not None and not cells:
        raise InputError("cells: expected at least one, got none")
    named = names_of([value for values in factors.values() for value in values])
    if cells is not None:
        _check_apart(common, {key: values[0] for key, values in factors.items() if len(values) == 1}, cells)
    elif "likelihood" in factors or "aggregator" in factors:
        likelihoods = factors.pop("likelihood", [common.likelihood])
        aggregators = factors.pop("aggregator", [common.aggregator])
        cells = [
            Cell(f"{named(likelihood)}+{named(aggregator)}", {"likelihood": likelihood, "aggregator": aggregator})
            for likelihood, aggregator in itertools.product(likelihoods, aggregators)
        ]
    planned: dict[RunConfig, Planned] = {}
    for cell in cells if cells is not None else MAIN_CELLS:
        if "seed" in cell.changes:
            raise InputError(f"cell {cell.name}: expected no seed: all cells run with the comparison's seeds")
        free = {key: values for key, values in factors.items() if key not in cell.changes}
        if math.prod(map(len, free.values())) > MOST_RUNS:
            raise InputError(f"expected a comparison of at most {MOST_RUNS:,} runs, got a product of more cells")
        for chosen in itertools.product(*free.values()):
            setting = dict(zip(free, chosen, strict=True))
            suffix = "".join(f"+{key}={named(value)}" for key, value in setting.items() if len(free[key]) > 1)
            config = change(common, {**setting, **cell.changes})
            planned.setdefault(config, Planned(folder_name(cell.name + suffix), cell.name, config))
    check_names([cell.name for cell in planned.values()])
    return list(planned.values())


def _check_apart(common: RunConfig, shared: Mapping[str, object], cells: Sequence[Cell]) -> None:
    """Raises InputError for two cells whose settings beside the `shared` ones are equal: one of them would vanish."""
    names: dict[RunConfig, str] = {}
    for cell in cells:
        config = change(common, {**shared, **cell.changes})
        if config in names:
            raise InputError(
                f"cells {names[config]!r} and {cell.name!r} have equal settings: remove one, or give it the setting"
                " that was meant to differ"
            )
        names[config] = cell.name


def names_of(values: Iterable[object], apart: Callable[[re.Match[str]], str] | None = None) -> Callable[[object], str]:
    """What each of the settings of a comparison is called in the names of its cells.

    Own code is named by its file and class, as it may move; where several files share these, by its digest too, or as
    `apart` says.
    """
    sources: dict[str, set[str]] = {}
    for match in (match for value in values for match in OWN_FILE.finditer(str(value))):
        sources.setdefault(f"{match['file']}.py:{match['name']}", set()).add(match["folder"])

    def name_of(match: re.Match[str]) -> str:
        short = f"{match['file']}.py:{match['name']}"
        if len({Path(folder).absolute() for folder in sources.get(short, ())}) < 2:
            return short
        return (apart or _by_digest)(match)

    return lambda value: OWN_FILE.sub(name_of, str(value))


def _by_digest(match: re.Match[str]) -> str:
    digest = load(f"{match['folder']}{match['file']}.py", match["name"]).digest
    return f"{match['file']}-{digest[:6]}.py:{match['name']}"


def objective_name(config: RunConfig) -> str:
    """The folder of a cell that is called by its objective."""
    named = names_of([config.likelihood, config.aggregator])
    return folder_name(f"{named(config.likelihood)}+{named(config.aggregator)}")


def folder_name(name: str) -> str:
    """A cell's name as a folder name."""
    return re.sub(r"[^\w.,:=+-]+", "-", name).strip("-.") or "cell"


def reference_of(cells: Sequence[Planned], name: str | None) -> dict[str, str]:
    """For every cell the cell that it is compared with: the reference `name` (else the first) on the same data set.

    And with the same network, unless each network has one cell, so that networks are what is compared. Raises
    InputError for an unknown name.
    """
    bases = {cell.name: cell.base for cell in cells}
    if name is not None and name not in bases and name not in bases.values():
        raise InputError(f"unknown reference {name!r}{nearest(name, bases)}")
    candidates = cells if name is None else [cell for cell in cells if name in (cell.name, cell.base)]
    base = candidates[0].base
    same_base = [*candidates[:1], *(cell for cell in cells if cell.base == base)]
    several = {dataset for (dataset, _), count in Counter(map(_place, cells)).items() if count > 1}
    found = {}
    for cell in cells:
        on_data = [other for other in same_base if other.config.dataset == cell.config.dataset]
        beside = [other for other in on_data if _place(other) == _place(cell)]
        found[cell.name] = [*(beside if cell.config.dataset in several else []), *on_data, candidates[0]][0].name
    return found


def _place(cell: Planned) -> tuple[str, str | None]:
    return cell.config.dataset, cell.config.network


def in_order(cells: Sequence[Planned], references: Mapping[str, str]) -> list[Planned]:
    """The cells that others are compared with, then the others: the order of all output."""
    return sorted(cells, key=lambda cell: cell.name not in references.values())


def remarks(config: RunConfig) -> list[str]:
    """What a reader of a cell's figures should know about its objective and views."""
    found = config.objective().remarks()
    if config.view.augment == "none" and config.view.mollify == "none":
        found.append("trained without augmentation; scored on the same evaluation views as the others")
    if config.coupling != INDEPENDENT:
        found.append(
            f"views of an image depend on each other ({config.coupling}): corrections of a bias that take them for"
            " independent do not hold"
        )
    if config.adaptive.proposal != NO_PROPOSAL:
        found.append(
            "roles and temperatures are drawn from a proposal that follows this run's own responsibilities, with"
            " importance weights: after the first pass over the images these are not the views of any other cell; the"
            " same seed still gives the same batches and the same flips, crops and other augmentations"
        )
    if config.adaptive.mean_views is not None:
        found.append(
            f"an image has {config.adaptive.mean_views:g} views on average, more where its views disagreed in"
            " earlier passes (all alike where images differ too little): it sees the first of the views that other"
            " cells of the seed see"
        )
    if config.degrade_toward == ONLINE:
        found.append(
            "labels degrade toward what the network in training takes their class for, which its validation images say:"
            " their scores are not of images that were left out altogether"
        )
    elif config.degrade_toward != UNIFORM:
        name = Path(config.degrade_toward).name
        found.append(f"labels degrade toward the distributions of their classes in {name}, not toward the uniform one")
    return found
