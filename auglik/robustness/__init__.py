"""Robustness: a finished run under corruptions, occlusion and mollification, and against human labels."""

from auglik.robustness.evaluate import evaluate_robustness
from auglik.robustness.protocol import CORRUPTIONS, RobustnessConfig
from auglik.robustness.score import Score, load_scores
from auglik.robustness.suite import Suite, open_suite

__all__ = [
    "CORRUPTIONS",
    "RobustnessConfig",
    "Score",
    "Suite",
    "evaluate_robustness",
    "load_scores",
    "open_suite",
]
