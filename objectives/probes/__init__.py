"""Probes of a likelihood or an aggregator: its contract, checked on a few numbers."""

from auglik.objectives.probes.aggregators import AGGREGATOR_PROBES, check_aggregator
from auglik.objectives.probes.likelihoods import LIKELIHOOD_PROBES, check_degrading, check_likelihood
from auglik.objectives.probes.probing import Finding, Probe, cause, close, expect, expect_count, findings

__all__ = [
    "AGGREGATOR_PROBES",
    "LIKELIHOOD_PROBES",
    "Finding",
    "Probe",
    "cause",
    "check_aggregator",
    "check_degrading",
    "check_likelihood",
    "close",
    "expect",
    "expect_count",
    "findings",
]
