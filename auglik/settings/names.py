"""Names on the command line and in files: `NAME` or `NAME:key=value:key=value`, e.g. `geometric:T=2`.

Commas may separate parameters too; where they also separate names, `names` tells the two apart.
A parameter of several numbers separates them by slashes, `betas=0.9/0.95`.

An interchangeable object is a frozen dataclass; its fields are its parameters and their defaults its
default settings. The literal dict that maps names to instances is passed in.
"""

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from auglik.objectives.errors import InputError

T = TypeVar("T")
Value = float | str | tuple[float, ...]

LARGEST = 10_000
"""Of parameters that are whole numbers (widths, depths, counts): more would take too long to run."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: `; did you mean 'jensen'?`, or the known names if none is close."""
    known = list(known)
    matches = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else f"; known: {', '.join(sorted(known))}"


def look_up(kind: str, name: str, registry: Mapping[str, T]) -> T:
    """`registry[name]`, or InputError with the nearest known name."""
    if name not in registry:
        raise InputError(f"unknown {kind} {name!r}{nearest(name, registry)}")
    return registry[name]


def names(text: str) -> list[str]:
    """The names in a comma-separated list, each with its parameters: `a:k=1,m=2,b` is `a:k=1,m=2` and `b`."""
    return re.split(r",(?!\w+=)", text)


def parameters(entry: object) -> dict[str, Value]:
    """The fields of a registered dataclass instance that are numbers, tuples of numbers or text, by name."""
    if not dataclasses.is_dataclass(entry):
        return {}
    values = {field.name: _of_type(field.type, getattr(entry, field.name)) for field in dataclasses.fields(entry)}
    return {key: value for key, value in values.items() if isinstance(value, int | float | str) or is_numbers(value)}


def _of_type(annotation: object, value: T) -> T | float:
    """`value`, an integer as a float where the annotation says so."""
    said = set(re.findall(r"\w+", annotation.__name__ if isinstance(annotation, type) else str(annotation)))
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and "float" in said and "int" not in said else value  # type: ignore[arg-type]


def is_numbers(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(number, float) for number in value)


def parse(kind: str, text: str, registry: Mapping[str, T]) -> T:
    """The object that `text` names: `registry[NAME]` with the given parameters replaced.

    Raises InputError for an unknown name or parameter, a value of the wrong type, or one that the object refuses.
    """
    name, _, rest = text.partition(":")
    entry = look_up(kind, name, registry)
    if not rest:
        return entry
    return dataclasses.replace(entry, **read_values(kind, text, rest, parameters(entry)))  # type: ignore[type-var]


def read_values(kind: str, text: str, rest: str, known: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters that `rest`, the end of `text`, gives: `known` has every name with a value of its type."""
    name, changes = text.removesuffix(f":{rest}"), dict[str, Value]()
    for part in re.split(r"[:,](?=\w+=|$)|,", rest):
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"{kind} {text!r}: expected NAME:key=value, got {part!r}")
        if key not in known:
            hint = nearest(key, known) if known else f"; {name} has none"
            raise InputError(f"{kind} {text!r}: unknown parameter {key!r}{hint}")
        if key in changes:
            raise InputError(f"{kind} {text!r}: expected {key} once, got it twice")
        changes[key] = _like(known[key], value, partial(_refusal, f"{kind} {text!r}", key, value))
    return changes


def _like(default: Value, value: str, refuse: Callable[..., InputError]) -> Value:
    """`value` in the type of `default`."""
    if isinstance(default, tuple):
        try:
            return tuple(map(float, value.split("/")))
        except ValueError:
            raise refuse("numbers separated by slashes") from None
    if isinstance(default, bool):
        if value.lower() not in ("true", "false"):
            raise refuse("true or false")
        return value.lower() == "true"
    try:
        read = type(default)(value)
    except ValueError:
        if _is_number(value):
            raise refuse("a whole number", f", as its default is {default} and not {default}.0") from None
        raise refuse("a number") from None
    if isinstance(read, int) and abs(read) > LARGEST:
        raise refuse(f"a whole number up to {LARGEST:,}")
    return read


def _refusal(where: str, key: str, value: str, what: str, why: str = "") -> InputError:
    return InputError(f"{where}: expected {what} for {key}{why}, got {value!r}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def canonical(kind: str, text: str, registry: Mapping[str, T]) -> str:
    """`text` with only the parameters that differ from the registry's, in the order of the fields."""
    name = text.partition(":")[0]
    chosen, default = parameters(parse(kind, text, registry)), parameters(look_up(kind, name, registry))
    return with_values(name, {key: value for key, value in chosen.items() if value != default[key]})


def with_values(name: str, changed: Mapping[str, Value]) -> str:
    """NAME:key=value,key=value, as `parse` reads it."""
    return f"{name}:{','.join(f'{key}={shown(value)}' for key, value in changed.items())}" if changed else name


def shown(value: Value) -> str:
    """The value of a parameter as `parse` reads it."""
    if isinstance(value, tuple):
        return "/".join(map(shown, value))
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else f"{value:.15g}"
