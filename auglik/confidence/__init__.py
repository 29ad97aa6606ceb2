"""Label confidence: how much of its label a view keeps after a transformation."""

from auglik.confidence.composition import Compose, decay_of
from auglik.confidence.contract import ConfidenceMap, MapOfImages, decay_of_confidence
from auglik.confidence.crossfitted import Crossfitted
from auglik.confidence.human import Human
from auglik.confidence.learned import Learned
from auglik.confidence.measured import Measured
from auglik.confidence.pairs import Pairs
from auglik.confidence.polynomial import Polynomial
from auglik.confidence.rules import (
    MAP_NAMES,
    MAPS,
    Rule,
    Rules,
    canonical_rules,
    check_rules,
    map_of,
    of_images,
    parse_rules,
    rules_identity,
    split_rules,
)
from auglik.confidence.smoothed import Smoothed
from auglik.confidence.together import map_of_pairs

__all__ = [
    "MAPS",
    "MAP_NAMES",
    "Compose",
    "ConfidenceMap",
    "Crossfitted",
    "Human",
    "Learned",
    "MapOfImages",
    "Measured",
    "Pairs",
    "Polynomial",
    "Rule",
    "Rules",
    "Smoothed",
    "canonical_rules",
    "check_rules",
    "decay_of",
    "decay_of_confidence",
    "map_of",
    "map_of_pairs",
    "of_images",
    "parse_rules",
    "rules_identity",
    "split_rules",
]
