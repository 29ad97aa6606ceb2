"""The sampling study: it holds, and a likelihood or noise of another temperature fails the claims about moments."""

from collections.abc import Sequence

import pytest
from torch import Tensor

from auglik.sampling.contract import Sampler
from auglik.sampling.sghmc import Sghmc
from auglik.sampling.sgld import Sgld
from auglik.studies.posterior.problem import PAIRS, make_problem
from auglik.studies.posterior.sampler import Setting
from auglik.studies.sampling.conjugate import CHAINS, CONDITIONS, conjugate_claims
from auglik.studies.sampling.measure import Length, apart, chains_of, run
from auglik.studies.sampling.network import NETWORK, predictions_apart
from auglik.studies.sampling.study import OF_NETWORK, STEP, none_off, sampling
from auglik.studies.study import Context


def test_the_study_holds_and_samples_every_objective() -> None:
    findings = sampling(Context(quick=True, seed=0, data=None, progress=lambda share: None))
    assert [claim.line() for claim in findings.claims if not claim.holds] == []
    texts = " ".join(claim.text for claim in findings.claims)
    assert all(str(pair) in texts for pair in PAIRS)


def test_another_temperature_predicts_otherwise_with_a_network() -> None:
    problem, length = make_problem(), Length(32, 200, 50)
    warm, cold = (chains_of(NETWORK, problem, Sghmc(0.9), STEP * T, length, 0, T=T).phi for T in (1.0, 0.3))
    found = predictions_apart(problem, cold, warm)
    assert all(value > bound for value, bound in zip(found, OF_NETWORK.values(), strict=True))


@pytest.mark.parametrize(("T", "holds"), [(1.0, True), (0.8, False)])
def test_a_temperature_that_is_a_fifth_off_fails_the_claim_on_moments(T: float, holds: bool) -> None:
    problem, length = make_problem(), Length(48, 400, 100)
    here = run(problem, Setting(0, T), Sghmc(0.9), STEP * T, length, 0).phi
    there = run(problem, Setting(0), Sghmc(0.9), STEP, length._replace(chains=96), 1).phi
    assert none_off("deviations", apart(here, there)[1]).holds is holds


class Louder:
    """A sampler whose noise is 5% too large: its temperature is 10% off."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self.has_momenta = sampler, sampler.has_momenta

    def move(
        self, positions: Sequence[Tensor], momenta: Sequence[Tensor], slopes: Sequence[Tensor],
        noise: Sequence[Tensor], *, step: float, temperature: float,
    ) -> Tensor | None:  # fmt: skip
        louder = [1.05 * drawn for drawn in noise]
        return self.sampler.move(positions, momenta, slopes, louder, step=step, temperature=temperature)


@pytest.mark.parametrize(("sampler", "too_wide"), [(Sghmc(0.9), False), (Sgld(), True)])
def test_a_temperature_that_is_a_tenth_off_fails_every_claim_on_deviations(sampler: Sampler, too_wide: bool) -> None:
    length = Length(CHAINS, 400, 100)
    claims = conjugate_claims("a sampler", Louder(sampler), make_problem(), length, 0, too_wide=too_wide)
    assert [claim.holds for claim in claims] == [True] + [False] * 2 * len(CONDITIONS)
