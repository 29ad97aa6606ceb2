"""The posterior study: it holds, and a wrong sign in an objective fails the claim that names it."""

import pytest

from auglik.studies.posterior.study import posterior
from auglik.studies.study import Context, Findings


@pytest.fixture(scope="module")
def findings() -> Findings:
    return posterior(Context(quick=True, seed=0, data=None, progress=lambda share: None))


def test_the_study_holds(findings: Findings) -> None:
    assert [claim.line() for claim in findings.claims if not claim.holds] == []


def test_convergence_is_claimed_and_posteriors_are_kept(findings: Findings) -> None:
    texts = " ".join(claim.text for claim in findings.claims)
    assert "R-hat" in texts
    assert "effective" in texts
    assert findings.figures
    assert findings.data.children
