"""Objects as text that names them: what a run's settings hold, and what its process rebuilds the object from."""

import copy
import dataclasses
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import cast

import numpy as np
from torch import Tensor, nn

from auglik.comparison.program import kept_code
from auglik.data import DATASET_NAMES
from auglik.networks import NETWORK_NAMES
from auglik.objectives import InputError
from auglik.settings.fields import Scalar
from auglik.settings.names import parameters, shown, with_values
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
HELD = {"toward": "degrade_toward", "schedule": "mollify, alpha, beta, k_noise and k_blur"}
"""Fields of likelihoods that no name holds, and the settings that do."""


def text_of(key: str, value: object, output: Path) -> Scalar:
    """The value of a setting as a program gives it, in the form that a configuration file has.

    A user's object is named by its module or file; what the program itself defines is kept in a file below
    `output`. Raises InputError for an object that cannot be named.
    """
    value = _number(value)
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if key not in KINDS:
        raise InputError(f"{key}: expected text or a number, got {value!r:.60}")
    if isinstance(value, nn.Module):
        what = type(value).__name__
        raise InputError(f"{key}: expected the class {what}, not an instance of it: it is built anew for each seed")
    registry, value = KINDS[key], _plain(value)
    for name in sorted(registry.built_in, key=lambda name: not _same(registry.built_in[name], value)):
        if type(registry.built_in[name]) is type(value):
            text = _with_parameters(name, value, registry.built_in[name])
            if _same(registry.parse(text), value):
                return registry.canonical(text)
    for default in registry.built_in.values():
        if type(default) is type(value) and not isinstance(value, type):
            _check_held(key, value, default)
    made = value if isinstance(value, type) or inspect.isfunction(value) else type(value)
    if made.__module__.partition(".")[0] in ("auglik", "builtins"):
        raise InputError(f"{key}: expected a name or an object of a class that has one, got {value!r:.60}")
    head = f"{_source(key, made, output)}:{made.__name__}"
    if made is value:
        return registry.canonical(head)
    if not dataclasses.is_dataclass(value):
        raise InputError(f"{key}: expected a class, a function or an instance of a frozen dataclass, got {value!r:.60}")
    default = registry.parse(head)
    derived = {item.name for item in dataclasses.fields(value) if not item.init}
    _check_all_named(key, value, default, (set(parameters(value)) & set(parameters(default))) | derived)
    text = registry.canonical(_with_parameters(head, value, default))
    _check_all_named(key, value, registry.parse(text), set())
    return text


def _number(value: object) -> object:
    """A number of NumPy or PyTorch, or an array or tensor that is one, as Python's."""
    one = isinstance(value, np.generic) or (isinstance(value, np.ndarray | Tensor) and value.ndim == 0)
    return value.item() if one else value  # type: ignore[attr-defined]


def _plain(value: object) -> object:
    """An instance of a dataclass with Python's numbers."""
    if isinstance(value, type) or not dataclasses.is_dataclass(value):
        return value
    plain = copy.copy(value)
    for item in dataclasses.fields(value):
        own = _number(getattr(value, item.name))
        if isinstance(own, tuple) and all(isinstance(_number(one), int | float) for one in own):
            own = tuple(float(cast(float, _number(one))) for one in own)
        object.__setattr__(plain, item.name, own)
    return plain


def _same(one: object, other: object) -> bool:
    """Whether both are equal to the digits that a name has; arrays, which do not say so in one word, are not."""
    if isinstance(one, float) and isinstance(other, float):
        return shown(one) == shown(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) is type(other) and dataclasses.is_dataclass(one) and not isinstance(one, type):
        known = [item.name for item in dataclasses.fields(one) if item.init]
        return all(_same(getattr(one, name), getattr(other, name)) for name in known)
    try:
        return one is other or (one == other) is True
    except (ValueError, RuntimeError):
        return False


def _check_held(key: str, value: object, default: object) -> None:
    """Raises InputError where a field differs that other settings hold."""
    for name, settings in HELD.items():
        if not _same(getattr(value, name, None), getattr(default, name, None)):
            raise InputError(
                f"{key}: {name} of {type(value).__name__}: expected its class's, as a run makes it from settings:"
                f" give {settings}, which hold it"
            )


def _with_parameters(name: str, value: object, default: object) -> str:
    known, found = parameters(default), parameters(value)
    return with_values(name, {key: found[key] for key in known if key in found and found[key] != known[key]})


def _check_all_named(key: str, value: object, named: object, besides: set[str]) -> None:
    """Raises InputError if the name would lose a field of the object, but for those `besides`.

    What a name cannot hold may be at the default of the object's class: that of the same class imported anew may be
    another object.
    """
    for item in dataclasses.fields(value):  # type: ignore[arg-type]
        own = getattr(value, item.name)
        found = getattr(named, item.name, dataclasses.MISSING)
        if item.name in besides or _same(own, found):
            continue
        if isinstance(found, int | float | str) or isinstance(own, int | float | str) or not _at_default(item, own):
            wanted = (
                f"{type(found).__name__} as in {found!r:.60}" if found is not dataclasses.MISSING else "no such field"
            )
            raise InputError(
                f"{key}: {item.name} of {type(value).__name__}: expected {wanted}, or what a setting holds (a number,"
                f" text, or a tuple of numbers where the default is one), got {own!r:.60}"
            )


def _at_default(item: "dataclasses.Field[object]", own: object) -> bool:
    if item.default_factory is not dataclasses.MISSING:
        return _same(item.default_factory(), own)
    return _same(item.default, own)


def _source(key: str, made: object, output: Path) -> str:
    """The module or file that defines a class or function, as in an import path."""
    name, module = made.__qualname__, made.__module__  # type: ignore[attr-defined]
    if "<locals>" in name or "." in name:
        raise InputError(f"{key}: expected {name} at the top level of a module, where it can be imported from")
    if module == "__main__":
        return str(kept_code(name, made, output))
    file = Path(inspect.getfile(made))  # type: ignore[arg-type]
    alone = "." not in module and file.name != "__init__.py" and "site-packages" not in file.parts
    return str(file) if alone and module in sys.modules else module
