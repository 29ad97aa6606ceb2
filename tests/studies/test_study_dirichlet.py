"""The study of the Dirichlet likelihood: it holds, and a broken constant or table fails the claims that name it."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import auglik.objectives.likelihoods.dirichlet
import auglik.objectives.likelihoods.smoothed
from auglik.objectives import Tempered, numerics
from auglik.studies.dirichlet import study as module
from auglik.studies.dirichlet.figures import plane_coordinates
from auglik.studies.dirichlet.modes import (
    densest,
    label,
    log_density,
    lowest_curvature,
    mode_by_numpyro,
    rises_at_an_edge,
    tolerance_of_densest,
)
from auglik.studies.study import Context, Findings


def found() -> Findings:
    return module.dirichlet(Context(True, 0, None, lambda share: None))


@pytest.fixture(scope="module")
def findings() -> Findings:
    return found()


def failing(findings: Findings) -> list[str]:
    return [claim.text for claim in findings.claims if not claim.holds]


def test_it_holds(findings: Findings) -> None:
    assert failing(findings) == []
    assert {"ternary", "modes"} == set(findings.figures)
    assert len(findings.remarks) == 3


def test_a_wrong_sign_of_the_constant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = numerics.log_beta_of_smoothed_label

    def broken(decay: Tensor, classes: int) -> Tensor:
        return -right(decay, classes)

    for place_of_use in (auglik.objectives.likelihoods.dirichlet, module):
        monkeypatch.setattr(place_of_use, "log_beta_of_smoothed_label", broken)
    texts = failing(found())
    assert sum(text.startswith("log B(1+q)") for text in texts) == 6
    assert any(text.startswith("torch table of dirichlet, gamma = 0.5: integrates to one") for text in texts)
    assert not any("tempered" in text for text in texts)


def test_a_wrong_sign_in_the_tempered_table_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """(1 + gamma) log f_j keeps the mode at the vertex, so that only the density can tell."""
    monkeypatch.setattr(Tempered, "table", lambda self, logits, decay: (1 + decay)[..., None] * logits.log_softmax(-1))
    texts = failing(found())
    assert texts
    assert all(text.startswith("torch table of tempered") for text in texts)


def test_a_wrong_sign_in_the_smoothed_table_moves_its_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    right = auglik.objectives.likelihoods.smoothed.smoothed_table

    def broken(log_f: Tensor, decay: Tensor, toward: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """The true class loses what the others gain, and more."""
        return 2 * (1 - decay[..., None]) * log_f - right(log_f, decay, toward)

    monkeypatch.setattr(auglik.objectives.likelihoods.smoothed, "smoothed_table", broken)
    texts = failing(found())
    assert any(text.startswith("torch table of smoothed: distance of its mode") for text in texts)
    assert all("torch table of smoothed" in text for text in texts)


# The helpers


def test_densities_are_scipy_s(rng: np.random.Generator) -> None:
    concentration = np.array([1.7, 1.1, 1.2])
    f = rng.dirichlet(concentration, 20)
    np.testing.assert_allclose(log_density(f, concentration), stats.dirichlet(concentration).logpdf(f.T), atol=1e-12)


def test_labels_have_the_mass_that_is_left() -> None:
    assert label("one-hot", 0.3, 4).tolist() == [1, 0, 0, 0]
    assert label("tempered", 0.25, 4).sum() == pytest.approx(0.75)
    assert label("smoothed", 0.25, 4) == pytest.approx([0.8125, 0.0625, 0.0625, 0.0625])


def test_ascent_finds_the_mode_of_any_concentration_above_one(rng: np.random.Generator) -> None:
    concentration = np.array([4.0, 2.5, 1.3])
    mode = mode_by_numpyro(concentration, rng.normal(size=3))
    np.testing.assert_allclose(mode, (concentration - 1) / (concentration.sum() - 3), atol=1e-8)
    assert lowest_curvature(mode, concentration) < 0


def test_ascent_without_a_mode_ends_at_the_edge(rng: np.random.Generator) -> None:
    assert mode_by_numpyro(np.array([1.5, 1.5, 0.9]), rng.normal(size=3))[2] < 1e-3
    assert rises_at_an_edge(np.array([1.5, 1.5, 0.9]))
    assert not rises_at_an_edge(np.array([1.5, 1.5, 1.0]))


@pytest.mark.parametrize(("kind", "gamma"), [("tempered", 0.5), ("smoothed", 0.5)])
def test_the_densest_draw_misses_its_tolerance_as_rarely_as_it_says(
    kind: str, gamma: float, rng: np.random.Generator
) -> None:
    """Of 100 samples none misses it, and it is not idle: the samples reach a third of it."""
    q, draws = label(kind, gamma, 3), 1000
    drawn = rng.dirichlet(1 + q, (100, draws))
    share = np.array([np.abs(densest(sample, 1 + q) - q / q.sum()) for sample in drawn]) / tolerance_of_densest(
        q, draws
    )
    assert share.max() < 1
    assert share.max() > 1 / 3


def test_corners_of_the_picture() -> None:
    top, left, right = plane_coordinates(np.eye(3))
    assert top == pytest.approx([0.5, np.sqrt(3) / 2])
    assert np.hypot(*(left - right)) == pytest.approx(np.hypot(*(left - top)))


def test_torch_marks_the_same_mode_in_float32() -> None:
    q = label("smoothed", 0.5, 3)
    log_f = torch.tensor(np.log(np.stack([q, q[::-1].copy(), np.full(3, 1 / 3)])), dtype=torch.float32)[None]
    table = auglik.objectives.likelihoods.dirichlet.Dirichlet().table(log_f, torch.full((1, 3), 0.5))
    assert int(table[0, :, 0].argmax()) == 0
