"""The settings of a run, as its folder has them."""

from collections.abc import Mapping
from pathlib import Path

from auglik.objectives import InputError
from auglik.runs.settings import SETTINGS, RunConfig, flatten, nested, typed
from auglik.settings.fields import read_toml

ALWAYS = ("dataset", "train_images", "likelihood", "aggregator", "network", "flip", "epochs", "learning_rate")
"""Settings that every version has saved."""


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
    flat = flatten(RunConfig()) | {key: typed(key, value) for key, value in saved.items()}
    return nested(RunConfig, flat, _as_they_stand)


def _as_they_stand(config: type, values: dict[str, object], _: tuple[str, ...]) -> object:
    """The dataclass with these values, its own checks left out."""
    made: object = object.__new__(config)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made
