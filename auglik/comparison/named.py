"""Objects as text that names them: what a run's settings hold, and what its process rebuilds the object from."""

import dataclasses
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import cast

import numpy as np

from auglik.comparison.program import kept_code
from auglik.data import DATASET_NAMES
from auglik.networks import NETWORK_NAMES
from auglik.objectives import InputError
from auglik.settings.fields import Scalar
from auglik.settings.names import parameters, with_values
from auglik.settings.objectives import AGGREGATOR_NAMES, LIKELIHOOD_NAMES
from auglik.settings.registry import Registry
from auglik.views.registry import AUGMENTATION_NAMES

KINDS: Mapping[str, Registry[object]] = {
    "likelihood": cast(Registry[object], LIKELIHOOD_NAMES),
    "aggregator": cast(Registry[object], AGGREGATOR_NAMES),
    "network": cast(Registry[object], NETWORK_NAMES),
    "augment": cast(Registry[object], AUGMENTATION_NAMES),
    "dataset": cast(Registry[object], DATASET_NAMES),
}
"""The registries of the settings that may be objects."""


def text_of(key: str, value: object, output: Path) -> Scalar:
    """The value of a setting as a program gives it, in the form that a configuration file has.

    A user's object is named by its module or file; what the program itself defines is kept in a file below
    `output`. Raises InputError for an object that cannot be named.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if key not in KINDS:
        raise InputError(f"{key}: expected text or a number, got {value!r:.60}")
    registry = KINDS[key]
    for name in sorted(registry.built_in, key=lambda name: registry.built_in[name] != value):
        if type(registry.built_in[name]) is type(value):
            text = _with_parameters(name, value, registry.built_in[name])
            if registry.parse(text) == value:
                return registry.canonical(text)
    made = value if isinstance(value, type) or inspect.isfunction(value) else type(value)
    if made.__module__.partition(".")[0] in ("auglik", "builtins"):
        raise InputError(f"{key}: expected a name or an object of a class that has one, got {value!r:.60}")
    head = f"{_source(key, made, output)}:{made.__name__}"
    if made is value:
        return registry.canonical(head)
    text = registry.canonical(_with_parameters(head, value, registry.parse(head)))
    _check_all_named(key, value, registry.parse(text))
    return text


def _with_parameters(name: str, value: object, default: object) -> str:
    known = parameters(default)
    return with_values(name, {key: own for key, own in parameters(value).items() if own != known.get(key)})


def _check_all_named(key: str, value: object, named: object) -> None:
    """Raises InputError if the name would lose a field of the object: neither a parameter nor at its default."""
    for item in dataclasses.fields(value):  # type: ignore[arg-type]
        own, found = getattr(value, item.name), getattr(named, item.name)
        if own != found and type(own).__name__ == type(found).__name__:
            raise InputError(
                f"{key}: {item.name} of {value!r:.60} is neither a number nor text that a setting can hold"
            )


def _source(key: str, made: object, output: Path) -> str:
    """The module or file that defines a class or function, as in an import path."""
    name, module = made.__qualname__, made.__module__  # type: ignore[attr-defined]
    if "<locals>" in name or "." in name:
        raise InputError(f"{key}: expected {name} at the top level of a module, where it can be imported from")
    if module == "__main__":
        return str(kept_code(name, output))
    file = Path(inspect.getfile(made))  # type: ignore[arg-type]
    alone = "." not in module and file.name != "__init__.py" and "site-packages" not in file.parts
    return str(file) if alone and module in sys.modules else module
