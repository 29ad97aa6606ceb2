"""How a setting is declared as a field of a dataclass, and read from text, TOML and Python."""

import dataclasses
import math
import numbers
import sys
import tomllib
import types
import typing
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auglik.objectives import InputError
from auglik.settings.groups import Group
from auglik.settings.names import nearest
from auglik.system.files import read_text

Scalar = str | int | float | bool | None


def option(
    default: Scalar, help_: str, *choices: str, group: Group | None = None, names: Iterable[str] = ()
) -> typing.Any:  # noqa: ANN401 - dataclasses.field is typed so
    """A setting. `choices` are all its values; `names` are the known ones if there may be others.

    Without a group it joins that of the setting before it.
    """
    return field(default=default, metadata={"help": help_, "choices": choices, "group": group, "names": tuple(names)})


def expect(holds: bool, name: str, expected: str, value: object) -> None:
    """Raises InputError unless the setting is as expected; neither NaN nor infinity ever is."""
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{name}: expected {expected}, got {value}")


def check_choices(config: object) -> None:
    """Raises InputError for values of a setting of another type than its own, and of other text than its choices."""
    for item in dataclasses.fields(config):  # type: ignore[arg-type]
        value, choices = getattr(config, item.name), item.metadata.get("choices")
        kinds = typing.get_args(item.type) or (item.type,)
        if {*kinds} <= {str, int, float, bool, type(None)}:  # else a group of settings
            numeric = isinstance(value, numbers.Real) and not {*kinds}.isdisjoint({int, float, bool})
            if not numeric and type(value) not in kinds:
                wanted = " or ".join(one.__name__ for one in kinds if isinstance(one, type) and one is not type(None))
                raise InputError(f"{item.name}: expected {wanted}, got {value!r:.60} ({type(value).__name__})")
        if choices and value not in choices:
            raise InputError(
                f"{item.name}: expected {' or '.join(choices)}, got {value!r}{nearest(str(value), choices)}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting: its flat name, its path in RunConfig, and its help on the command line."""

    key: str
    path: tuple[str, ...]
    type: type
    optional: bool
    default: Scalar
    help: str
    choices: tuple[str, ...]
    names: tuple[str, ...]
    group: Group


PREFIXES = {"optimization": "", "sampling": "", "adaptive": "", "view": "", "evaluation": "evaluation_"}


def settings_of(
    config: type, path: tuple[str, ...] = (), prefix: str = "", group: Group | None = None, whole: bool = False
) -> Iterator[Setting]:
    """The settings of a dataclass whose fields are made by `option`, nested ones with their prefix.

    They start in `group`; `whole` keeps all of them there, as for a nested dataclass whose field names a group.
    """
    for item in dataclasses.fields(config):
        if item.name in PREFIXES and dataclasses.is_dataclass(item.type):
            nested, own = typing.cast(type, item.type), item.metadata.get("group")
            yield from settings_of(
                nested, (*path, item.name), prefix + PREFIXES[item.name], own or group, whole or own is not None
            )
            continue
        members = typing.get_args(item.type) if isinstance(item.type, types.UnionType) else (item.type,)
        kind = typing.cast(type, next(member for member in members if member is not types.NoneType))
        group = group if whole else item.metadata["group"] or group
        assert group is not None, f"{config.__name__}.{item.name}: the first setting names its group"
        yield Setting(
            key=prefix + item.name,
            path=(*path, item.name),
            type=kind,
            optional=types.NoneType in members,
            default=typing.cast(Scalar, item.default),
            help=item.metadata["help"],
            choices=item.metadata["choices"],
            names=item.metadata["names"],
            group=group,
        )


LARGEST = 10**18 - 1
"""Of whole numbers, so that they fit into 64 bits and into any file format."""


def in_type(setting: Setting, value: object) -> Scalar:
    """`value` in the setting's type, whole numbers as floats for float settings. Raises InputError for other types."""
    if value is None and setting.optional:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > LARGEST:
            raise InputError(f"{setting.key}: expected a number of at most 18 digits, got {len(str(abs(value)))}")
        value = float(value) if setting.type is float else value
    kinds = {unicodedata.category(letter) for letter in value} if isinstance(value, str) else set[str]()
    if "Cs" in kinds:
        encoding = sys.getfilesystemencoding()
        raise InputError(
            f"{setting.key}: expected text in {encoding}, got bytes that are none, {value!r}: a file name in another"
            " encoding, perhaps, which would have to be renamed"
        )
    if "Cc" in kinds:
        raise InputError(f"{setting.key}: expected one line of text, got {value!r}")
    if type(value) is not setting.type:
        raise InputError(f"{setting.key}: expected {setting.type.__name__}, got {value!r} ({type(value).__name__})")
    return typing.cast(Scalar, value)


def read_toml(path: Path) -> dict[str, object]:
    """A TOML file as a mapping; hyphens in names become underscores. Raises InputError if it cannot be so read."""
    try:
        data = tomllib.loads(read_text(path))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the configuration {path}: {' '.join(str(error).split())}") from None
    return underscored(data, str(path))


def underscored(table: Mapping[str, object], where: str) -> dict[str, object]:
    """A table with underscores for the hyphens in names. Raises InputError for one that is there in two spellings."""
    found: dict[str, object] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in found:
            raise InputError(
                f"{where}: expected {name} once, got it with hyphens and with underscores: which is meant?"
            )
        found[name] = value
    return found
