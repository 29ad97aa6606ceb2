"""Records in JSON files: frozen dataclasses to one flat object and back, every field checked."""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, get_args, get_type_hints

from auglik.objectives import InputError

if TYPE_CHECKING:
    from dataclasses import Field


class OtherRecordError(InputError):
    """A file holds a sound record of another kind."""


class Record(Protocol):
    """A dataclass."""

    __dataclass_fields__: "ClassVar[dict[str, Field[object]]]"


R = TypeVar("R", bound=Record)

KINDS: dict[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    tuple[str, ...]: "a list of texts",
    tuple[int, ...]: "a list of whole numbers",
    Mapping[str, str]: "texts by name",
}
"""The types of fields; each may be None too, which is left out of the file."""

ITEMS: dict[object, type] = {tuple[str, ...]: str, tuple[int, ...]: int}

NO_OTHERS: Mapping[str, str] = types.MappingProxyType({})


def numbers(prefix: str = "", *names: str) -> Mapping[str, float]:
    """Declares a field of numbers by name, stored in the file itself as `prefix` + name; `names` must be present.

    Without a prefix it takes all that no other field does, so that numbers of a later version are kept.
    """
    found: Mapping[str, float] = field(default_factory=dict, metadata={"prefix": prefix, "names": names})
    return found


def to_json(record: Record) -> dict[str, object]:
    """The record as a flat object, in the order of its fields; a number that is not finite is None."""
    found: dict[str, object] = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if "prefix" in item.metadata:
            found |= {item.metadata["prefix"] + name: _finite(number) for name, number in value.items()}
        elif value is not None:
            found[item.name] = list(value) if isinstance(value, tuple) else _finite(value)
    return found


def from_json(kind: type[R], said: object, where: str, cure: str = "") -> R:
    """The record that a JSON object says; null for a number is NaN.

    Raises InputError, which names the field and ends with `cure`, for what is missing or of another type. What `kind`
    has no field for is left out, unless it has one of `numbers` without a prefix.
    """
    if not isinstance(said, dict):
        raise InputError(f"{where}: expected an object with {fields(kind)[0].name}, got {said!r:.40}{cure}")
    hints, left, found = get_type_hints(kind), dict(said), dict[str, object]()
    by_prefix = {item.metadata["prefix"]: item for item in fields(kind) if "prefix" in item.metadata}
    for item in fields(kind):
        if item in by_prefix.values():
            continue
        if item.name in left:
            found[item.name] = _value(hints[item.name], left.pop(item.name), item.name, where, cure)
        elif item.default is MISSING:
            raise InputError(f"{where}: expected {item.name}, which is missing{cure}")
    for prefix, item in sorted(by_prefix.items(), reverse=True):
        names = [name for name in left if name.startswith(prefix)]
        why = cure if prefix else f": damaged, or of a later version{cure}"
        values = {name.removeprefix(prefix): _value(float, left.pop(name), name, where, why) for name in names}
        if missing := [name for name in item.metadata["names"] if name not in values]:
            raise InputError(f"{where}: expected {prefix}{missing[0]}, which is missing{cure}")
        found[item.name] = values
    return kind(**found)


def read_record(kind: type[R], path: Path, cure: str, others: Mapping[str, str] = NO_OTHERS) -> R | None:
    """The record in a file, or None if there is none. Raises InputError for a damaged or foreign one.

    `others` says what it is instead by the first field of records of other kinds, for which it raises OtherRecordError.
    """
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}; {cure}") from None
    if isinstance(said, dict) and fields(kind)[0].name not in said:
        for name, other in others.items():
            if name in said:
                raise OtherRecordError(f"{path.parent} holds {other}")
    return from_json(kind, said, str(path), f"; {cure}")


def _value(hint: object, value: object, name: str, where: str, cure: str) -> object:
    members = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kind = next(member for member in members if member in KINDS)
    if value is None and kind is float:
        return math.nan
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if kind in (str, int) and type(value) is kind:
        return value
    if kind in ITEMS and isinstance(value, list) and all(type(item) is ITEMS[kind] for item in value):
        return tuple(value)
    if kind == Mapping[str, str] and isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return value
    raise InputError(f"{where}: expected {name} as {KINDS[kind]}, got {value!r:.40}{cure}")


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
