"""The posterior study holds, and claims that its chains converge."""

from auglik.studies.posterior.study import posterior
from auglik.studies.study import Context


def test_the_study_holds_claims_convergence_and_keeps_posteriors() -> None:
    findings = posterior(Context(quick=True, seed=0, data=None, progress=lambda share: None))
    assert [claim.line() for claim in findings.claims if not claim.holds] == []
    texts = " ".join(claim.text for claim in findings.claims)
    assert "R-hat" in texts
    assert "effective" in texts
    assert findings.figures
    assert findings.data.children
