"""The invariance study: it holds, its measures are those of the definition, and planted accounts are told."""

import numpy as np
import pytest
import torch
import xarray
from scipy import stats
from torch import Tensor

from auglik.studies.invariance import training
from auglik.studies.invariance.study import claims_of, invariance, limits, told
from auglik.studies.invariance.training import CPU, Measured, trained, within_share
from auglik.studies.invariance.views import ARMS, DIVERSITIES, C, decays, digits, views
from auglik.studies.study import Context, Findings
from auglik.system.keys import device_generator

CONTEXT = Context(quick=True, seed=0, data=None, progress=lambda share: None)


@pytest.fixture(scope="module")
def findings() -> Findings:
    return invariance(CONTEXT)


def test_the_study_holds(findings: Findings) -> None:
    assert [claim.line() for claim in findings.claims if not claim.holds] == []


def test_variance_within_images_is_one_less_the_intraclass_correlation() -> None:
    rng = np.random.default_rng(0)
    V, N = 4, 30
    logits = rng.normal(size=(N, 1)) * 2 + rng.normal(size=(V, 1, N, 1))
    both = torch.from_numpy(np.concatenate([logits, -logits], -1))  # centred: one number for each view
    F = stats.f_oneway(*logits[:, 0, :, 0].T).statistic
    found = within_share(both.log_softmax(-1))
    assert found.tolist() == pytest.approx([1 - (F - 1) / (F + V - 1)])
    assert within_share((3 * both).log_softmax(-1)).tolist() == pytest.approx(found.tolist())


def test_labels_of_equal_entropy_follow_are_shuffled_or_constant() -> None:
    strength = torch.rand(3, 50, generator=torch.Generator().manual_seed(0))
    hard, constant, again, shuffled, following = decays(strength, torch.Generator().manual_seed(1)).numpy()
    assert not hard.any()
    assert following == pytest.approx(strength.numpy() ** 2)
    assert np.array_equal(np.sort(shuffled), np.sort(following))
    assert not np.array_equal(shuffled, again)
    labels = (1 - following[..., None]) * np.eye(C)[0] + following[..., None] / C
    label = (1 - constant[..., None]) * np.eye(C)[0] + constant[..., None] / C
    assert stats.entropy(label, axis=-1)[:, 0] == pytest.approx(stats.entropy(labels, axis=-1).mean(1))
    assert np.ptp(constant, axis=1).max() == 0


def test_views_are_of_the_strength_that_they_say() -> None:
    image = digits(1, 1, 1, torch.Generator().manual_seed(0)).images[0].expand(400, -1, -1, -1)
    seen, strength = views(image, "one", torch.Generator().manual_seed(2))
    changed = (seen - image.flatten(1) / 255).abs().mean(1)
    assert (changed[strength < 0.03] < changed[strength > 0.5].min()).all()
    many, _ = views(image, "many", torch.Generator().manual_seed(2))
    assert not torch.equal(many, seen)


def test_arms_of_the_same_labels_are_the_same_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images, views and weights are shared within a seed, so labels are all that differs."""

    def alike(strength: Tensor, generator: torch.Generator) -> Tensor:
        return (strength.double() ** 2).expand(len(ARMS), -1, -1)

    monkeypatch.setattr(training, "decays", alike)
    data = digits(2, 32, 20, device_generator(CPU, 0, "test"))
    found = trained(data, "one", 5, 0)
    for values in found:
        assert values == pytest.approx(np.broadcast_to(values[:1], values.shape), abs=1e-5)
    assert np.ptp(found.nll, axis=1).max() > 1e-3  # seeds differ


def planted(follows: float, saves: float) -> xarray.Dataset:
    """What following adds with one operation, and what constant softness saves with one view of each image."""
    rng = np.random.default_rng(1)
    shape = (len(DIVERSITIES), len(ARMS), 8)
    data = {name: (("diversity", "arm", "seed"), rng.normal(0, 0.01, shape)) for name in Measured._fields}
    found = xarray.Dataset(data, {"diversity": list(DIVERSITIES), "arm": list(ARMS)})
    found["within"].loc[{"diversity": "one", "arm": "following"}] += follows
    found["nll"].loc[{"diversity": "fixed", "arm": "hard"}] += saves
    return found


@pytest.mark.parametrize(("follows", "saves"), [(0.0, 0.0), (0.2, 0.0), (0.0, 1.0), (0.2, 1.0), (-0.2, 0.0)])
def test_planted_accounts_are_told_and_claims_of_others_fail(follows: float, saves: float) -> None:
    whole = planted(follows, saves)
    word = "hinders" if follows > 0 else "helps" if follows < 0 else "is not told to change"
    assert f"the view {word} invariance" in told(whole)
    assert ("diversity regularizes already" in told(whole)) == (saves > 0)
    holds = {claim.text: claim.holds for claim in claims_of(whole)}
    assert {value for text, value in holds.items() if "following adds" in text} == {follows > 0}
    assert {value for text, value in holds.items() if "saves" in text} == {saves > 0}


def test_limits_are_those_of_a_paired_t_test() -> None:
    differences = np.random.default_rng(2).normal(1, 1, 12)
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.999)
    assert limits(differences)[1:] == pytest.approx((interval.low, interval.high))
