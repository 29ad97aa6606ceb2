"""Differences between cells with their uncertainty: seeds and test images crossed, all cells at once, and pooled."""

from auglik.inference.choose import Choice, Trial, choose
from auglik.inference.components import Bounds, Components, components
from auglik.inference.corrupted import (
    Corrupted,
    CorruptedCell,
    Posited,
    UnderCorruption,
    infer_corrupted,
    under_corruption,
)
from auglik.inference.effective_views import EffectiveViews, effective_views
from auglik.inference.infer import infer
from auglik.inference.power import SeedsNeeded, half_width, seeds_needed
from auglik.inference.rows import Diagnostics, Effect, Inference, Metric, Primary
from auglik.inference.simulate import Coverage, Truth, coverage, posterior_coverage
from auglik.inference.simultaneous import Simultaneous, simultaneous

__all__ = [
    "Bounds",
    "Choice",
    "Components",
    "Corrupted",
    "CorruptedCell",
    "Coverage",
    "Diagnostics",
    "Effect",
    "EffectiveViews",
    "Inference",
    "Metric",
    "Posited",
    "Primary",
    "SeedsNeeded",
    "Simultaneous",
    "Trial",
    "Truth",
    "UnderCorruption",
    "choose",
    "components",
    "coverage",
    "effective_views",
    "half_width",
    "infer",
    "infer_corrupted",
    "posterior_coverage",
    "seeds_needed",
    "simultaneous",
    "under_corruption",
]
