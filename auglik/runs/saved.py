"""The settings of a run, as its folder has them."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TypeVar, cast

from auglik.objectives import InputError
from auglik.runs.settings import SETTINGS, RunConfig, flatten
from auglik.settings.fields import in_type, read_toml
from auglik.settings.names import nearest

ALWAYS = ("dataset", "train_images", "likelihood", "aggregator", "network", "flip", "epochs", "learning_rate")
"""Settings that every version has saved."""

C = TypeVar("C")


def saved_settings(path: Path) -> dict[str, object]:
    """The settings in a run's config.toml, by flat name. Raises InputError for a file that is not whole."""
    settings = read_toml(path)
    missing = [key for key in ALWAYS if key not in settings]
    if missing and settings.keys() <= SETTINGS.keys():  # else an unknown name is the fault to tell
        raise InputError(f"{path}: expected all settings of a run, got none of {', '.join(missing)}: was it damaged?")
    return settings


def unchecked(saved: Mapping[str, object]) -> RunConfig:
    """Saved settings as they stand: for readers of a run, who may lack the code of a user's own that they name.

    Raises InputError for an unknown name, and for a value of the wrong type.
    """
    flat: dict[str, object] = {**flatten(RunConfig())}
    for key, value in saved.items():
        if key not in SETTINGS:
            raise InputError(f"unknown setting {key!r}{nearest(key, SETTINGS)}")
        flat[key] = in_type(SETTINGS[key], value)
    return _made(RunConfig, flat, ())


def _made(config: type[C], flat: Mapping[str, object], path: tuple[str, ...]) -> C:
    """The dataclass of the settings at and below `path`, its own checks left out."""
    own = {setting.path[-1]: flat[key] for key, setting in SETTINGS.items() if setting.path[:-1] == path}
    made = object.__new__(config)
    for item in fields(config):  # type: ignore[arg-type]
        value = own[item.name] if item.name in own else _made(cast(type, item.type), flat, (*path, item.name))
        object.__setattr__(made, item.name, value)
    return made
