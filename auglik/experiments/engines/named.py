"""Engines by name, and their options as text or TOML gives them: none of it is part of what a run is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auglik.experiments.engines.engine import Engine
from auglik.experiments.engines.local import Local
from auglik.experiments.engines.ray import Ray
from auglik.experiments.engines.slurm import Slurm
from auglik.objectives import InputError
from auglik.settings.fields import Scalar, in_type, settings_of, underscored
from auglik.settings.names import look_up, nearest

ENGINES: dict[str, type[Local] | type[Ray] | type[Slurm]] = {"local": Local, "ray": Ray, "slurm": Slurm}
"""What each is built on is imported when it executes."""
BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """An engine and the options that were given to it."""

    name: str = "local"
    options: Mapping[str, Scalar]

    def engine(self, jobs: int | None) -> Engine:
        """The engine, with `jobs` runs at a time where its options say nothing of that; None: as many as fit."""
        return ENGINES[self.name](**{"jobs": jobs, **self.options})  # type: ignore[arg-type]  # each in its own type

    def check_here(self) -> None:
        """Raises InputError where what the engine is built on is not installed: before anything is written."""
        made = ENGINES[self.name](**self.options)  # type: ignore[arg-type]  # as above
        if not isinstance(made, Local):
            made.check_here()

    def table(self) -> dict[str, object]:
        """What `choose` reads it from again; empty for the local engine as it is."""
        return {} if self.is_default else {"engine": {"name": self.name, **self.options}}

    @property
    def is_default(self) -> bool:
        return self.is_local and not self.options

    @property
    def is_local(self) -> bool:
        return self.name == "local"

    @property
    def detaches(self) -> bool:
        """Whether a command ends once its runs are handed over."""
        return self.options.get("detach") is True


def choose(table: object, name: str | None, texts: Sequence[str]) -> Chosen:
    """The engine of an `[engine]` table or a name in a file, and of `--engine` and `--engine-options` before it.

    A table's options are for its own engine. Raises InputError for unknown names and for values of other types.
    """
    if table is not None and not isinstance(table, str | Mapping):
        raise InputError(f"engine: expected an [engine] table with a name, or a name, got {table!r}")
    of_file = dict(table) if isinstance(table, Mapping) else {"name": table or "local"}
    of_file = underscored(of_file, "engine")
    file_name = of_file.pop("name", None) or name or "local"
    if not isinstance(file_name, str):
        raise InputError(f"engine: expected a name, got {file_name!r}")
    chosen = name or file_name
    settings = {setting.key: setting for setting in settings_of(look_up("engine", chosen, ENGINES))}
    given: dict[str, object] = dict(of_file) if chosen == file_name else {}
    told: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.replace("-", "_")
        if not equals:
            raise InputError(f"--engine-options: expected KEY=VALUE, got {text!r}")
        if told.setdefault(key, value) != value:
            raise InputError(f"--engine-options {key}: expected one value, got {told[key]!r} and {value!r}")
        kind = settings[key].type if key in settings else str
        try:
            given[key] = BOOLEANS[value.lower()] if kind is bool else kind(value)
        except (ValueError, KeyError):
            raise InputError(f"--engine-options {text}: expected {kind.__name__}, got {value!r}") from None
    for key in given:
        if key not in settings:
            if key == "detach":
                raise InputError(f"detach: expected the engine slurm, to which runs can be handed over, got {chosen}")
            raise InputError(f"the engine {chosen} has no option {key!r}{nearest(key, settings)}")
    options = {key: in_type(settings[key], value) for key, value in given.items()}
    made = Chosen(name=chosen, options=options)
    made.engine(None if chosen != "local" else 1)  # raises for values out of range
    return made
