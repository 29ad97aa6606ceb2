"""Likelihoods and aggregators by name: built-in ones, plug-ins and a user's own."""

from typing import cast

from auglik.objectives import AGGREGATORS, LIKELIHOODS, Aggregator, Likelihood
from auglik.objectives.probes import check_aggregator, check_likelihood
from auglik.settings.registry import Registry, conforming

GROUP = "auglik.objectives"


def _likelihood(value: object) -> Likelihood:
    return cast(Likelihood, conforming(value, "a likelihood", Likelihood))


def _aggregator(value: object) -> Aggregator:
    return cast(Aggregator, conforming(value, "an aggregator", Aggregator))


LIKELIHOOD_NAMES = Registry(
    kind="likelihood", built_in=LIKELIHOODS, group=GROUP, accept=_likelihood, probe=check_likelihood
)
AGGREGATOR_NAMES = Registry(
    kind="aggregator", built_in=AGGREGATORS, group=GROUP, accept=_aggregator, probe=check_aggregator
)
