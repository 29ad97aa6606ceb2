"""The study of orbits holds, and fails for a broken aggregator."""

import numpy as np
import pytest
import torch
from torch import Tensor

from auglik.data import open_dataset
from auglik.objectives import Jackknife
from auglik.studies.common import exact
from auglik.studies.common.trained import Offset, Trained, offsets_of, orbit_views, trained
from auglik.studies.estimators.measure import VIEWS
from auglik.studies.orbit.measure import Tables, sample
from auglik.studies.orbit.study import orbit, sampling_claims
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


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network of digits from a file that is called as digits are."""
    path = tmp_path_factory.mktemp("sets") / "digits.npz"
    source = open_dataset("digits")
    train, test = source.train(), source.test()
    np.savez(path, train_images=train.images[:200].transpose(0, 2, 3, 1), train_labels=train.labels[:200],
             test_images=test.images[:20].transpose(0, 2, 3, 1), test_labels=test.labels[:20])  # fmt: skip
    return trained(str(path), 5, True, 0)


def test_a_data_set_that_is_called_as_digits_are_has_a_name_of_its_own(copied: Trained) -> None:
    assert copied.dataset == "digits.npz"


def test_views_that_hardly_differ_fail_nothing(copied: Trained, rng: np.random.Generator) -> None:
    p = 0.9 * np.exp(1e-9 * rng.standard_normal((4, 25)))
    log_f = np.log(np.stack([p, 1 - p], -1)).swapaxes(0, 1)
    weights, labels = np.full(25, 1 / 25), np.zeros(4, np.int64)
    integral = p @ weights
    tables = Tables(
        log_f=log_f, log_p=np.log(p), log_integral=np.log(integral),
        relative_variance=(p**2) @ weights / integral**2 - 1, weights=weights,
    )  # fmt: skip
    expected = exact.expected(tables.log_p, weights, [int(K) for K in VIEWS])
    sampled = sample(tables, labels, Context(True, 0, None, lambda share: None), "alike", 1, 100)
    assert [claim.line() for claim in sampling_claims(copied, tables, sampled, expected) if not claim.holds] == []


def test_flips_double_the_orbit_and_come_before_shifts() -> None:
    assert len(offsets_of(False)) == 25
    offsets = offsets_of(True)
    assert len(set(offsets)) == 50
    image = np.arange(1, 10, dtype=np.uint8).reshape(1, 1, 3, 3)
    gallery = Gallery.pack(image, [0.0], [1.0], torch.device("cpu"))
    view = orbit_views(gallery, [Offset(0, 1, True)])[0, 0, 0] * 255
    expected = torch.tensor([[2, 1, 0], [5, 4, 0], [8, 7, 0]], dtype=torch.float64)
    torch.testing.assert_close(view, expected, rtol=0, atol=1e-5)
