"""Objects as the text that names them: what a run's settings say, and what its own process makes it from again."""

import dataclasses
from collections.abc import Mapping

from auglik.networks import NETWORKS
from auglik.objectives import AGGREGATORS, LIKELIHOODS, InputError
from auglik.settings.fields import Scalar
from auglik.settings.names import canonical, parameters, shown
from auglik.views.mixing.contract import MIXINGS
from auglik.views.registry import AUGMENTATIONS

KINDS: Mapping[str, Mapping[str, object]] = {
    "likelihood": LIKELIHOODS,
    "aggregator": AGGREGATORS,
    "network": NETWORKS,
    "augment": {**AUGMENTATIONS, **MIXINGS},
}
"""The registries of the settings that may be objects."""


def text_of(key: str, value: object) -> Scalar:
    """The value of a setting as a program gives it, in the form that a configuration file has.

    Raises InputError for an object that no name stands for.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if key not in KINDS:
        raise InputError(f"{key}: expected text or a number, got {value!r:.60}")
    registry = KINDS[key]
    names = [name for name, entry in registry.items() if type(entry) is type(value)]
    for name in sorted(names, key=lambda name: registry[name] != value):
        own, known = parameters(value), parameters(registry[name])
        changed = {one: setting for one, setting in own.items() if setting != known[one]}
        text = canonical(
            key, ":".join([name, *(f"{one}={shown(setting)}" for one, setting in changed.items())]), registry
        )
        if dataclasses.is_dataclass(value) and dataclasses.replace(registry[name], **changed) == value:  # type: ignore[type-var]
            return text
    raise InputError(f"{key}: expected a name or an object of a class that has one, got {value!r:.60}")
