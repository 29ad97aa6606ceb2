"""Robustness: a finished run under corruptions, occlusion and mollification, and against human labels."""

from auglik.robustness.evaluate import evaluate_robustness
from auglik.robustness.protocol import RobustnessConfig
from auglik.robustness.suite import Suite, open_suite
from auglik.scoring.conditions import Score, load_scores
from auglik.scoring.corruptions import CORRUPTIONS

__all__ = [
    "CORRUPTIONS",
    "RobustnessConfig",
    "Score",
    "Suite",
    "evaluate_robustness",
    "load_scores",
    "open_suite",
]
