"""Which map softens which operation: `crop:polynomial:k=2`, `all:smoothed,crop:polynomial:k=4`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from auglik.confidence.contract import ConfidenceMap, MapOfImages
from auglik.confidence.crossfitted import Crossfitted
from auglik.confidence.human import Human
from auglik.confidence.learned import Learned
from auglik.confidence.measured import Measured
from auglik.confidence.pairs import Pairs
from auglik.confidence.polynomial import Polynomial
from auglik.confidence.probes import check_map
from auglik.confidence.smoothed import Smoothed
from auglik.objectives import InputError
from auglik.settings.names import look_up, names, nearest
from auglik.settings.registry import Registry, conforming
from auglik.views.augmentation import OPERATIONS

MAPS: dict[str, ConfidenceMap] = {
    "polynomial": Polynomial(),
    "human": Human(),
    "smoothed": Smoothed(),
    "measured": Measured(),
    "crossfitted": Crossfitted(),
    "learned": Learned(),
    "pairs": Pairs(),
}


def _accept(value: object) -> ConfidenceMap:
    return cast(ConfidenceMap, conforming(value, "a confidence map", ConfidenceMap))


MAP_NAMES = Registry(kind="confidence map", built_in=MAPS, group="auglik.confidence", accept=_accept, probe=check_map)

ALL = "all"
TARGETS: Mapping[str, str] = {name: name for name in (ALL, *OPERATIONS)}


class Rule(NamedTuple):
    """`target` is an operation or "all"."""

    target: str
    map: ConfidenceMap


Rules = Sequence[Rule]


def parse_rules(text: str) -> Rules:
    """The rules in a comma-separated list, each TARGET:MAP[:key=value...]; none in an empty text or in "none".

    Raises InputError for unknown targets, maps and parameters.
    """
    return [_rule(*parts) for parts in split_rules(text)]


def canonical_rules(text: str) -> str:
    """`text` with only the parameters that differ from the maps' own. Raises InputError as `parse_rules` does."""
    return ",".join(f"{target}:{MAP_NAMES.canonical(text)}" for target, text in split_rules(text))


def rules_identity(rules: Rules) -> str:
    """Text that differs between rules whose values differ; a measured table enters by its content."""
    return ",".join(f"{rule.target}:{rule.map.identity()}" for rule in rules)


def map_of(rules: Rules, operation: str) -> ConfidenceMap | None:
    """The map of the last rule for `operation` itself, else of the last for all, else None."""
    for target in (operation, ALL):
        for rule in reversed(rules):
            if rule.target == target:
                return rule.map
    return None


def of_images(rules: Rules) -> bool:
    """Whether a map of these tells images apart."""
    return any(isinstance(rule.map, MapOfImages) for rule in rules)


def check_rules(rules: Rules, possible: Iterable[str], class_names: Sequence[str]) -> None:
    """Raises InputError for a rule whose operation the pipeline never applies, and for a map that does not fit.

    `possible`: the operations that the pipeline may apply; `class_names` [C]: those of its images.
    """
    possible = [name for name in OPERATIONS if name in set(possible)]
    for rule in rules:
        occurs = rule.target in possible or (rule.target == ALL and set(possible) - {"identity"})
        if not occurs:
            what = f"those of the augmentations ({', '.join(possible) or 'none'})"
            raise InputError(f"soften: expected an operation among {what}, got {rule.target!r}, which never occurs")
    for rule in rules:
        governed = [name for name in possible if map_of(rules, name) is rule.map]
        if missing := rule.map.lacking(governed, class_names):
            raise InputError(
                f"soften: expected a confidence for each of {', '.join(governed)}, but {rule.map} lacks"
                f" {', '.join(missing)}: measure a table with them, or give them separate rules"
            )


def split_rules(text: str) -> list[tuple[str, str]]:
    """Target and map of each rule, as text."""
    if text in ("", "none"):
        return []
    items = []
    for item in names(text):
        target, colon, map_text = item.partition(":")
        if not colon or not map_text:
            raise InputError(f"soften: expected TARGET:MAP, e.g. crop:polynomial:k=2, got {item!r}{_hint(target)}")
        items.append((target, map_text))
    return items


def _hint(word: str) -> str:
    """Where the target was left out, the map may have been meant for all."""
    if word in TARGETS:
        return ""
    return f"; for every operation: {ALL}:{word}" if word in MAPS else nearest(word, TARGETS)


def _rule(target: str, map_text: str) -> Rule:
    if target in MAPS:
        raise InputError(f"soften: expected TARGET:MAP, got {target}:{map_text}{_hint(target)}")
    return Rule(look_up("operation to soften", target, TARGETS), MAP_NAMES.parse(map_text))
