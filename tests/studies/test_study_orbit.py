"""The study of orbits holds, and fails for a broken aggregator."""

import numpy as np
import pytest
import torch
from torch import Tensor

from auglik.objectives import Jackknife
from auglik.studies.common.trained import Offset, offsets_of, orbit_views
from auglik.studies.orbit.study import orbit
from auglik.studies.study import Context, Findings
from auglik.views.store import Gallery


@pytest.fixture(scope="module")
def findings() -> Findings:
    return orbit(Context(True, 0, None, lambda share: None))


def test_the_study_holds(findings: Findings) -> None:
    assert [claim.line() for claim in findings.claims if not claim.holds] == []
    assert set(findings.figures) == {"orbit-digits"}
    data = findings.data.children["digits"].to_dataset()
    assert data.sizes["view"] == 25
    log_integral = np.log(np.exp(data["log_likelihood"].values).mean(1))
    np.testing.assert_allclose(data["log_integral"], log_integral, rtol=0, atol=1e-12)


def test_a_wrong_sign_in_the_jackknife_fails_claims_that_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = Jackknife.fold

    def broken(self: Jackknife, table: Tensor, weight: None = None, log_importance: None = None) -> Tensor:
        return -fold(self, -table, weight, log_importance)

    monkeypatch.setattr(Jackknife, "fold", broken)
    failed = [claim.text for claim in orbit(Context(True, 0, None, lambda share: None)).claims if not claim.holds]
    assert len(failed) >= 3
    assert all("jackknife" in text for text in failed), failed


def test_flips_double_the_orbit_and_come_before_shifts() -> None:
    assert len(offsets_of(False)) == 25
    offsets = offsets_of(True)
    assert len(set(offsets)) == 50
    image = np.arange(1, 10, dtype=np.uint8).reshape(1, 1, 3, 3)
    gallery = Gallery.pack(image, [0.0], [1.0], torch.device("cpu"))
    view = orbit_views(gallery, [Offset(0, 1, True)])[0, 0, 0] * 255
    expected = torch.tensor([[2, 1, 0], [5, 4, 0], [8, 7, 0]], dtype=torch.float64)
    torch.testing.assert_close(view, expected, rtol=0, atol=1e-5)
