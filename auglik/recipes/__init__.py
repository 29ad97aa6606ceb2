"""Experiments by name: one TOML file each, read into a plan of cells, seeds and settings.

A recipe says what its paper did, `evidence-*` what a page of docs/evidence does; `quick` is what replaces that on a
small machine, `code` what the published code did where it differs from the text.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import NamedTuple

from auglik.experiments.cells import Cell
from auglik.objectives import InputError
from auglik.pretraining import PretrainConfig
from auglik.robustness import RobustnessConfig
from auglik.runs.settings import SETTINGS, coerced
from auglik.settings.fields import in_type, settings_of
from auglik.settings.names import look_up, nearest

RECIPE_SCALES = ("full", "quick")
RECIPE_PROTOCOLS = ("text", "code")

Values = Mapping[str, Sequence[object]]
"""Settings by flat name, each with the values asked for."""


class Scale(NamedTuple):
    """How large a recipe is run."""

    settings: Values
    seeds: tuple[int, ...]
    corruptions: bool
    """Whether scores under corruption or occlusion belong to what is published."""
    robustness: Mapping[str, object]
    """Which of them, as settings of `auglik robustness`; all where there are none."""
    note: str
    """What it leaves out of the experiment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One experiment."""

    name: str
    title: str
    source: str
    question: str
    cells: tuple[Cell, ...]
    reference: str
    scales: Mapping[str, Scale]
    code: Values
    """What the published code did, where text and code disagree."""
    pretrains: bool = False
    """Whether its runs are those of `auglik pretrain`; else those of `auglik compare`."""

    def settings(self, scale: str, protocol: str) -> dict[str, list[object]]:
        """The common settings of a comparison.

        Raises InputError for unknown scales and protocols, and for code that is not known to differ from the text.
        """
        for value, known, kind in ((scale, RECIPE_SCALES, "scale"), (protocol, RECIPE_PROTOCOLS, "protocol")):
            if value not in known:
                raise InputError(f"expected {kind} {' or '.join(known)}, got {value!r}{nearest(value, known)}")
        if protocol == "code" and not self.code:
            raise InputError(f"{self.name}: expected --protocol text, as no setting of its published code differs")
        chosen = {**self.scales[scale].settings, **(self.code if protocol == "code" else {})}
        return {key: list(values) for key, values in chosen.items()}

    def only(self, names: Sequence[str]) -> "Recipe":
        """With these cells alone and the reference; with all if none is named. Raises InputError for an unknown one."""
        known = {cell.name: cell for cell in self.cells}
        kept = {self.reference, *(look_up("cell", name, known).name for name in names)} if names else known.keys()
        return replace(self, cells=tuple(cell for cell in self.cells if cell.name in kept))

    def cells_at(self, scale: str) -> tuple[Cell, ...]:
        """The cells, without what the quick scale replaces for all of them."""
        if scale == "full":
            return self.cells
        replaced = self.scales["quick"].settings.keys() & {"dataset", "network", "epochs", "learning_rate"}
        return tuple(
            Cell(cell.name, {key: value for key, value in cell.changes.items() if key not in replaced})
            for cell in self.cells
        )


def recipe_names() -> list[str]:
    """The recipes that there are."""
    folder = resources.files("auglik.recipes")
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


def read_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises InputError for an unknown one and for a file that is no recipe."""
    if name not in recipe_names():
        raise InputError(f"unknown recipe {name!r}{nearest(name, recipe_names())}")
    return parse_recipe(name, (resources.files("auglik.recipes") / f"{name}.toml").read_text(encoding="utf-8"))


def parse_recipe(name: str, text: str) -> Recipe:
    """The recipe that a TOML text is. Raises InputError if it is none."""
    try:
        table = tomllib.loads(text)
        pretrains = bool(table.get("pretrain", False))
        read, small = (_pretraining, QUICK_PRETRAINING) if pretrains else (_supervised, QUICK)
        cells = tuple(_cell(entry, read) for entry in table["cells"])
        full, quick = table["full"], {**table["full"], **small, **table.get("quick", {})}
        scales = {"full": _scale(full, read), "quick": _scale(quick, read)}
        recipe = Recipe(
            name=name,
            **{key: table[key] for key in ("title", "source", "question", "reference")},
            cells=cells,
            scales=scales,
            code=read(table.get("code", {})),
            pretrains=pretrains,
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"recipe {name}: expected title, source, question, reference, full and cells: {error}"
        ) from None
    if recipe.reference not in [cell.name for cell in cells]:
        raise InputError(f"recipe {name}: unknown reference {recipe.reference!r}")
    return recipe


QUICK: Mapping[str, object] = {
    "dataset": "digits",
    "network": "small-cnn:width=8",
    "epochs": 2,
    "learning_rate": 0.1,
    "warmup": 0.1,
    "batch_size": 64,
    "train_images": 400,
    "validation_fraction": 0.1,
    "seeds": 2,
    "evaluation_views": 8,
    "evaluation_images": 200,
    "precision": "fp32",
    "note": "digits, a small network and two epochs stand in for the published data, network and training",
}
"""What the quick scale replaces in every recipe; a recipe's own [quick] comes on top."""


QUICK_PRETRAINING: Mapping[str, object] = {
    "dataset": "digits",
    "network": "small-cnn:width=8",
    "epochs": 5,
    "batch_size": 64,
    "train_images": 400,
    "validation_fraction": 0.1,
    "projection": 64,
    "smallest_crop": 0.6,
    "precision": "fp32",
    "seeds": 2,
    "note": "digits, a small network and five epochs stand in for the published data, network and training",
}
"""The same for recipes that pretrain."""

ReadSettings = Callable[[Mapping[str, object]], dict[str, list[object]]]
"""Settings from a table, each with the values asked for. Raises InputError for unknown ones and for other types."""


def _scale(table: Mapping[str, object], read: ReadSettings) -> Scale:
    rest = dict(table)
    seeds, corruptions, note = rest.pop("seeds", 1), rest.pop("corruptions", False), rest.pop("note", "")
    robustness = _of(RobustnessConfig, rest.pop("robustness", {}))  # type: ignore[arg-type]
    numbers = seeds if isinstance(seeds, list) else range(int(str(seeds)))
    return Scale(
        settings=read(rest), seeds=tuple(numbers), corruptions=bool(corruptions),
        robustness={key: value for key, (value,) in robustness.items()}, note=str(note),
    )  # fmt: skip


def _supervised(table: Mapping[str, object]) -> dict[str, list[object]]:
    for key in table:
        if key not in SETTINGS:
            raise InputError(f"unknown setting {key!r}{nearest(key, SETTINGS)}")
    return {key: [coerced(key, item) for item in _listed(value)] for key, value in table.items()}


def _pretraining(table: Mapping[str, object]) -> dict[str, list[object]]:
    return _of(PretrainConfig, table)


def _of(config: type, table: Mapping[str, object]) -> dict[str, list[object]]:
    known = {setting.key: setting for setting in settings_of(config)}
    for key in table:
        if key not in known:
            raise InputError(f"unknown setting {key!r}{nearest(key, known)}")
    return {key: [in_type(known[key], item) for item in _listed(value)] for key, value in table.items()}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _cell(entry: Mapping[str, object], read: ReadSettings) -> Cell:
    changes = read({key: value for key, value in entry.items() if key != "name"})
    return Cell(str(entry["name"]), {key: value for key, (value,) in changes.items()})
