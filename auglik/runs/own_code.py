"""A user's own code that settings name, and what represents it in their hash."""

from collections.abc import Callable, Iterator, Mapping

from auglik.confidence import MAP_NAMES, split_rules
from auglik.data import dataset_code
from auglik.networks import LIBRARIES, NETWORK_NAMES
from auglik.settings.fields import Scalar
from auglik.settings.foreign import Code
from auglik.settings.names import names
from auglik.settings.objectives import AGGREGATOR_NAMES, LIKELIHOOD_NAMES
from auglik.settings.registry import Registry
from auglik.views.registry import AUGMENTATION_NAMES

NamedCode = Iterator[tuple[str, Code]]


def _one(registry: Registry[object], text: str) -> NamedCode:
    if (found := registry.code(text)) is not None:
        yield found


def _of_network(text: str) -> NamedCode:
    if text.partition(":")[0] not in LIBRARIES:
        yield from _one(NETWORK_NAMES, text)  # type: ignore[arg-type]


def _of_list(text: str) -> NamedCode:
    for item in names(text) if text != "none" else []:
        yield from _one(AUGMENTATION_NAMES, item)  # type: ignore[arg-type]


def _of_rules(text: str) -> NamedCode:
    for _, name in split_rules(text):
        yield from _one(MAP_NAMES, name)  # type: ignore[arg-type]


def _of_dataset(text: str) -> NamedCode:
    if (found := dataset_code(text)) is not None:
        yield found


SOURCES: Mapping[str, Callable[[str], NamedCode]] = {
    "likelihood": lambda text: _one(LIKELIHOOD_NAMES, text),  # type: ignore[arg-type]
    "aggregator": lambda text: _one(AGGREGATOR_NAMES, text),  # type: ignore[arg-type]
    "network": _of_network,
    "augment": _of_list,
    "evaluation_augment": _of_list,
    "soften": _of_rules,
    "dataset": _of_dataset,
}


def own_code(flat: Mapping[str, Scalar], keys: tuple[str, ...] = tuple(SOURCES)) -> dict[str, Code]:
    """The foreign code in settings by flat name, which may be only some of them, by its name there.

    Raises InputError if it cannot be loaded.
    """
    return {name: code for key in keys if isinstance(text := flat.get(key), str) for name, code in SOURCES[key](text)}


def code_digests(code: Mapping[str, Code]) -> dict[str, str]:
    """SHA-256 of the source of each, by name."""
    return {name: code[name].digest for name in sorted(code)}


def identified(flat: Mapping[str, Scalar], code: Mapping[str, Code]) -> dict[str, object]:
    """Settings with the source of foreign code instead of its path; without such code, the settings themselves.

    So a file may move, and an edited one is not taken for the old one.
    """
    identity: dict[str, object] = dict(flat)
    by_path = sorted((name for name in code if ":" in name), key=len, reverse=True)
    for key in SOURCES:
        if isinstance(text := identity.get(key), str):
            for name in by_path:
                text = text.replace(name, code[name].known_as)
            identity[key] = text
    if plug_ins := {name: code[name].known_as for name in sorted(code) if ":" not in name}:
        identity["plug_ins"] = plug_ins
    return identity
