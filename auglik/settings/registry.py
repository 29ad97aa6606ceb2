"""What can be named, of one kind: built-in entries, installed plug-ins by short name, and code by import path."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Generic, NamedTuple, TypeVar, cast

from auglik.objectives.errors import InputError
from auglik.settings.foreign import IMPORT_PATH, Code, load, said_of
from auglik.settings.names import canonical, look_up, parse

T = TypeVar("T")

_ACCEPTED: dict[tuple[str, str, str], object] = {}


class Named(NamedTuple, Generic[T]):
    """An entry with its parameters, under its name in a run's settings."""

    head: str
    entry: T
    code: Code | None


@dataclass(frozen=True)
class Registry(Generic[T]):
    """`accept` makes an entry from a foreign object, and `probe` checks it: both raise InputError.

    `group`: of the entry points that give installed plug-ins their short names.
    """

    kind: str
    built_in: Mapping[str, T]
    group: str
    accept: Callable[[object], T]
    probe: Callable[[T], object]

    def parse(self, text: str, *, probed: bool = True) -> T:
        """The object that `text` names, with the given parameters. Raises InputError if it cannot be used.

        Unless `probed`, foreign code need only have the members of its contract.
        """
        named, rest = self._find(text, probed)
        if named.code is None:
            return parse(self.kind, text, self.built_in)
        with said_of(named.code):
            made = parse(self.kind, f"{named.code.name}{rest}", {named.code.name: named.entry})
            if probed and made is not named.entry and (key := (self.kind, text, named.code.digest)) not in _ACCEPTED:
                self.probe(made)
                _ACCEPTED[key] = made
            return made

    def canonical(self, text: str) -> str:
        """`text` with only the parameters that differ from the entry's own, a file by its absolute path."""
        named, rest = self._find(text)
        if named.code is None:
            return canonical(self.kind, text, self.built_in)
        with said_of(named.code):
            name = named.code.name
            return named.head + canonical(self.kind, f"{name}{rest}", {name: named.entry}).removeprefix(name)

    def code(self, text: str) -> tuple[str, Code] | None:
        """The foreign code that `text` names, and its name in a run's settings; None for built-in names."""
        named, _ = self._find(text, probed=False)
        return None if named.code is None else (named.head, named.code)

    def code_alone(self, text: str) -> Code | None:
        """The foreign code that `text` names, even if parts of its contract are missing; None for other names."""
        return _code_of(text, self.plug_ins(), self.built_in)

    def plug_ins(self) -> Mapping[str, str]:
        """The import paths of installed plug-ins by name, of all kinds that share the group.

        Raises InputError for names that are taken or not valid in a setting.
        """
        found = _plug_ins(self.group)
        for name, path in found.items():
            if name in self.built_in:
                raise InputError(
                    f"{self.kind} {name!r} is built in, but also the name of an installed plug-in ({path})"
                )
        return found

    def _find(self, text: str, probed: bool = True) -> tuple[Named[T], str]:
        name, plug_ins = text.partition(":")[0], self.plug_ins()
        if (code := _code_of(text, plug_ins, self.built_in)) is not None:
            head = name if name in plug_ins else code.text
            rest = text[len(name) :] if name in plug_ins else IMPORT_PATH.fullmatch(text)[3]  # type: ignore[index]
            return self._foreign(head, code, probed), rest
        if name.endswith(".py") or "." in name:
            raise InputError(
                f"{self.kind} {text!r}: expected package.module:Name or path/to/file.py:Name, and parameters as"
                " Name:key=value"
            )
        return Named(name, look_up(self.kind, name, {**dict.fromkeys(plug_ins), **self.built_in}), None), ""  # type: ignore[arg-type]

    def _foreign(self, head: str, code: Code, probed: bool) -> Named[T]:
        key = (self.kind, code.text, code.digest)
        if key not in _ACCEPTED:
            with said_of(code):
                entry = self.accept(code.value)
                if not probed:
                    return Named(head, entry, code)
                self.probe(entry)
                _ACCEPTED[key] = entry
        return Named(head, cast(T, _ACCEPTED[key]), code)


def _code_of(text: str, plug_ins: Mapping[str, str], built_in: Mapping[str, object]) -> Code | None:
    name = text.partition(":")[0]
    if name in plug_ins:
        return load(*plug_ins[name].split(":"))
    match = IMPORT_PATH.fullmatch(text)
    return load(match[1], match[2]) if match is not None and match[1] not in built_in else None


def value_named(text: str, groups: Iterable[str]) -> object | None:
    """A foreign object of any kind: by import path, or as a plug-in of one of the groups."""
    code = _code_of(text, {name: path for group in groups for name, path in _plug_ins(group).items()}, {})
    return None if code is None else code.value


@lru_cache
def _plug_ins(group: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for point in entry_points(group=group):
        if not re.fullmatch(r"[\w-]+", point.name) or not IMPORT_PATH.fullmatch(point.value):
            raise InputError(f"plug-in {point.name!r} of {group}: expected a name and package.module:Name")
        if found.setdefault(point.name, point.value) != point.value:
            raise InputError(
                f"plug-in {point.name!r} of {group}: two installed packages define it; one is {point.value}"
            )
    return found


SIGNS = {
    "table": "a likelihood", "fold": "an aggregator", "build": "a network", "render": "an augmentation",
    "mix": "a mixing", "confidence": "a confidence map", "train": "a data set", "corrupt": "a corruption set",
}  # fmt: skip
"""The kind of an object, by a member that only this kind has."""


def members(contract: type) -> dict[str, bool]:
    """The members of a protocol, and whether each is a method."""
    own = {**inspect.get_annotations(contract), **vars(contract)}
    return {name: callable(value) and name in vars(contract) for name, value in own.items() if name[0] != "_"}


def conforming(value: object, kind: str, contract: type) -> object:
    """An instance with all members of the contract. Raises InputError for anything else."""
    made = made_of(value, kind)
    wanted = members(contract)
    lacking = [name for name in wanted if not hasattr(made, name)]
    if lacking:
        others = [what for sign, what in SIGNS.items() if hasattr(made, sign) and sign not in wanted]
        hint = f"; it looks like {others[0]}" if others else ""
        raise InputError(f"expected {kind} with members {', '.join(wanted)}; it lacks {', '.join(lacking)}{hint}")
    for name, called in wanted.items():
        if called and not callable(getattr(made, name)):
            raise InputError(f"expected {kind}, whose {name} is a method, got {getattr(made, name)!r:.60}")
    return made


def made_of(value: object, kind: str) -> object:
    """A frozen dataclass class at its defaults, or the instance itself. Raises InputError for anything else."""
    what = value if isinstance(value, type) else type(value)
    if not dataclasses.is_dataclass(what) or not what.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        got = f"{'the class' if isinstance(value, type) else 'an instance of'} {what.__name__}"
        raise InputError(f"expected {kind} as a frozen dataclass, whose fields are its parameters, got {got}")
    if not isinstance(value, type):
        return value
    unset = [
        field.name
        for field in dataclasses.fields(value)
        if field.init and field.default is field.default_factory is dataclasses.MISSING
    ]
    if unset:
        raise InputError(f"expected a default for every parameter, got none for {', '.join(unset)}")
    return value()
