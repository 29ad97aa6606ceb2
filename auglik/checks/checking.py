"""The probes of anything that a setting can name: built-in entries, plug-ins and a user's own code."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from auglik.confidence import MAP_NAMES
from auglik.confidence.probes import MAP_PROBES
from auglik.data import DATASET_NAMES, SETTINGS, open_dataset
from auglik.data.probes import DATASET_PROBES
from auglik.networks import LIBRARIES, NETWORK_NAMES
from auglik.networks.probes import NETWORK_PROBES, Probed
from auglik.objectives import InputError
from auglik.objectives.probes import AGGREGATOR_PROBES, LIKELIHOOD_PROBES, Finding, Probe, findings
from auglik.robustness.own import CORRUPTION_NAMES, CORRUPTION_PROBES
from auglik.settings.foreign import IMPORT_PATH, Code, said_of
from auglik.settings.names import nearest
from auglik.settings.objectives import AGGREGATOR_NAMES, LIKELIHOOD_NAMES
from auglik.settings.registry import SIGNS, Registry, value_named
from auglik.views import Shape
from auglik.views.probes import STAGE_PROBES
from auglik.views.registry import AUGMENTATION_NAMES


class Kind(NamedTuple):
    names: Registry[Any]  # the kinds' contracts have nothing in common
    probes: Mapping[str, Probe[Any]]
    sign: str
    """A member that only this kind has."""


KINDS: Mapping[str, Kind] = {
    "likelihood": Kind(LIKELIHOOD_NAMES, LIKELIHOOD_PROBES, "table"),
    "aggregator": Kind(AGGREGATOR_NAMES, AGGREGATOR_PROBES, "fold"),
    "network": Kind(NETWORK_NAMES, NETWORK_PROBES, "build"),
    "augmentation": Kind(AUGMENTATION_NAMES, STAGE_PROBES, "render"),
    "mixing": Kind(AUGMENTATION_NAMES, STAGE_PROBES, "mix"),
    "confidence": Kind(MAP_NAMES, MAP_PROBES, "confidence"),
    "dataset": Kind(DATASET_NAMES, DATASET_PROBES, "train"),
    "corruptions": Kind(CORRUPTION_NAMES, CORRUPTION_PROBES, "corrupt"),
}


class Checked(NamedTuple):
    kind: str
    code: Code | None
    findings: Iterator[Finding]


def check(text: str, kind: str | None, shape: Shape, data_dir: Path) -> Checked:
    """The probes' findings on what `text` names, as that kind or, if `kind` is None, the kind it is.

    `shape`: of the images that a network is tried on. Raises InputError for what cannot be found or imported, for an
    unclear kind and for wrong parameters; a missing part of the contract is a finding.
    """
    if kind is None:
        kind = kind_of(text)
    chosen = KINDS[kind]
    code = chosen.names.code_alone(text) if text.partition(":")[0] not in LIBRARIES else None

    def found() -> Iterator[Finding]:
        try:
            with nullcontext() if code is None else said_of(code):
                probed = _object(kind, text, shape, data_dir)
        except InputError as error:
            yield Finding("contract", False, str(error))
            return
        yield Finding("contract", True, "all its members are present")
        yield from findings(probed, chosen.probes)

    return Checked(kind, code, found())


def _object(kind: str, text: str, shape: Shape, data_dir: Path) -> object:
    if kind == "dataset":
        return open_dataset(text, data_dir)
    if kind != "network":
        return KINDS[kind].names.parse(text, probed=False)
    probed = Probed(text, *shape)
    probed.module()
    return probed


def kind_of(text: str) -> str:
    """The kind of what `text` names. Raises InputError if it has none or several."""
    name = text.partition(":")[0]
    if name in LIBRARIES:
        return "network"
    found = [kind for kind, entry in KINDS.items() if name in entry.names.built_in and kind != "mixing"]
    if len(found) > 1:
        raise InputError(f"{name!r} names {' and '.join(found)}: choose with --as")
    if found:
        return found[0]
    if (path := Path(SETTINGS.split(text)[0])).exists() and path.suffix != ".py":
        return "dataset"
    value = value_named(text, {entry.names.group for entry in KINDS.values()})
    if value is None:
        known = {name for entry in KINDS.values() for name in (*entry.names.built_in, *entry.names.plug_ins())}
        raise InputError(f"unknown name {text!r}{nearest(name, known) if not IMPORT_PATH.fullmatch(text) else ''}")
    return kind_of_value(value, text)


def kind_of_value(value: object, text: str) -> str:
    """The kind that foreign code looks like."""
    if isinstance(value, type) and issubclass(value, nn.Module):
        return "network"
    for kind, entry in KINDS.items():
        if hasattr(value, entry.sign):
            return kind
    if inspect.isfunction(value):
        return "dataset" if next(iter(inspect.signature(value).parameters), "") == "data_dir" else "network"
    raise InputError(f"{text}: expected a member of one of the contracts ({', '.join(SIGNS)}), got none: say --as")
