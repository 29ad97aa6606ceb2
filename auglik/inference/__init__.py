"""Differences between cells with their uncertainty: seeds and test images crossed, decided by one rule for all."""

from auglik.inference.choose import Choice, Trial, choose
from auglik.inference.components import Bounds, Components, components
from auglik.inference.corruption import (
    Corrupted,
    CorruptedCell,
    Posited,
    UnderCorruption,
    infer_corrupted,
    under_corruption,
)
from auglik.inference.differences.infer import infer, primary_differences
from auglik.inference.differences.power import SeedsNeeded, seeds_needed
from auglik.inference.differences.rows import Effect, Inference, Metric, Primary
from auglik.inference.effective_views import EffectiveViews, effective_views
from auglik.inference.law import Law, law_of
from auglik.inference.rule import Decision, decide

__all__ = [
    "Bounds",
    "Choice",
    "Components",
    "Corrupted",
    "CorruptedCell",
    "Decision",
    "Effect",
    "EffectiveViews",
    "Inference",
    "Law",
    "Metric",
    "Posited",
    "Primary",
    "SeedsNeeded",
    "Trial",
    "UnderCorruption",
    "choose",
    "components",
    "decide",
    "effective_views",
    "infer",
    "infer_corrupted",
    "law_of",
    "primary_differences",
    "seeds_needed",
    "under_corruption",
]
