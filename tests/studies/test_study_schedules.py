"""The study of schedules: its claims hold, and those that a planted fault is about fail."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.objectives import Schedule, numerics
from auglik.studies.schedules import study
from auglik.studies.schedules.measure import draw, noised_views
from auglik.studies.study import Claim, Context, Findings
from auglik.views import mollification
from auglik.views.mollification import Mollification

EARLY = study.SCHEDULES["early"]
decay = Schedule.decay


@pytest.fixture(scope="module")
def findings() -> Findings:
    return study.schedules(Context(True, 0, None, lambda share: None))


def failing(claims: Sequence[Claim]) -> list[str]:
    return [claim.text for claim in claims if not claim.holds]


def test_every_claim_holds(findings: Findings) -> None:
    assert failing(findings.claims) == []
    assert len(findings.claims) == 71


def test_the_default_loses_half_of_its_label_at_equal_power_and_a_third_is_its_mean_temperature(
    findings: Findings,
) -> None:
    by_text = {claim.text: claim for claim in findings.claims}
    assert by_text["gamma of noise at SNR = 1, k = 1, is 2^-k"].reference == 0.5
    assert by_text["SNR of noised views is 1 at t"].value == pytest.approx(0.5, abs=1e-12)
    [mean] = [claim for text, claim in by_text.items() if text.startswith("default") and "mean temperature" in text]
    assert mean.reference == pytest.approx(1 / 3)


def test_the_numbers_behind_the_pictures_are_densities(findings: Findings) -> None:
    for name, schedule in study.SCHEDULES.items():
        node = findings.data[name].to_dataset()
        clean, width = float(node["drawn_clean"]), float(node["cell"][1] - node["cell"][0])
        assert width * float(node["drawn_gamma"].sum()) == pytest.approx(1 - clean)
        assert width * float(node["drawn_temperature"].sum()) == pytest.approx(1)
        assert "clean" not in node["role"]
        assert clean == pytest.approx(schedule.shares()[0], abs=0.02)
    default = findings.data["default"]
    # gamma = t for blur, whose density is that of Beta(1,2), 2 (1-t).
    np.testing.assert_allclose(default["gamma_density"].sel(role="blur"), 2 * (1 - default["t"]), rtol=1e-12)
    assert set(findings.figures) == {"schedules", "schedules_views"}


WRONG_DECAYS: dict[str, tuple[str, Callable[[Schedule, str, Tensor], Tensor]]] = {
    "exponent k for 2k": (
        "gamma of noise against its definition",
        lambda self, role, t: torch.sin(t * math.pi / 2) ** self.k_noise if role == "noise" else decay(self, role, t),
    ),
    "cosine for sine": ("gamma of noise rises with t", lambda self, role, t: decay(self, role, 1 - t)),
    "the kept share, as printed": (
        "gamma of blur against its definition",
        lambda self, role, t: 1 - t**self.k_blur if role == "blur" else decay(self, role, t),
    ),
    "decays that add": (
        "gamma of both against its definition",
        lambda self, role, t: decay(self, "noise", t) + decay(self, "blur", t) if role == "both"
        else decay(self, role, t),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG_DECAYS)
def test_a_wrong_decay_fails_the_claim_about_it(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named, wrong = WRONG_DECAYS[fault]
    monkeypatch.setattr(Schedule, "decay", wrong)
    assert any(text.startswith(named) for text in failing(study.decay_claims()))


def test_a_wrong_exponent_fails_the_moments_and_the_density(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schedule, "decay", WRONG_DECAYS["exponent k for 2k"][1])
    failed = failing(study.draw_claims("early", EARLY, draw(EARLY, 20_000, 0)))
    assert any("change of variables" in text for text in failed)
    assert any("decay of every draw" in text for text in failed)
    assert any("E gamma^1 of draws" in text for text in failed)
    assert not any("temperatures" in text for text in failed)
    assert len(failing(study.measure_claims("early", EARLY))) == 5


Draw = tuple[NDArray[np.uint8], NDArray[np.float32]]


def swapped(self: Mollification, generator: np.random.Generator, count: int) -> Draw:
    role, _ = original_draw(self, generator, count)
    return role, generator.beta(self.schedule.beta, self.schedule.alpha, count).astype(np.float32)


def slightly_off(self: Mollification, generator: np.random.Generator, count: int) -> Draw:
    role, t = original_draw(self, generator, count)
    return role, t ** np.float32(1.05)


def shares_by_position(self: Mollification, generator: np.random.Generator, count: int) -> Draw:
    role, t = original_draw(self, generator, count)
    return (3 - role).astype(np.uint8), t


def by_temperature(self: Mollification, generator: np.random.Generator, count: int) -> Draw:
    role, t = original_draw(self, generator, count)
    return role, np.concatenate([np.sort(t[: count // 2]), t[count // 2 :]])[
        np.argsort(np.argsort(role, kind="stable"))
    ]


original_draw = Mollification.draw


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (swapped, ("Kolmogorov", "NumPyro", "mean temperature")),
        (slightly_off, ("Kolmogorov", "NumPyro")),
        (shares_by_position, ("roles, chi-square", "share of views without decay")),
        (by_temperature, ("independence",)),
    ],
)
def test_wrong_draws_fail_the_claims_about_them(
    wrong: Callable[[Mollification, np.random.Generator, int], Draw],
    named: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Mollification, "draw", wrong)
    failed = failing(study.draw_claims("early", EARLY, draw(EARLY, 20_000, 0)))
    for name in named:
        assert any(name in text for text in failed), failed


def test_swapped_amplitudes_fail_the_claims_about_snr(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(images: Tensor, temperature: Tensor, eps: Tensor) -> Tensor:
        angle = (temperature * (math.pi / 2))[:, None, None, None]
        return images * torch.sin(angle) + eps * torch.cos(angle)

    monkeypatch.setattr(mollification, "add_noise", wrong)
    assert any(text.startswith("SNR of noised views over") for text in failing(study.decay_claims()))
    assert failing(study.noise_claims(noised_views(2, 0))) == [
        "rendered views: log of measured SNR against log cos^2/sin^2, worst tenth of t, in standard errors"
    ]


def test_noise_of_another_strength_fails_the_claim_about_rendered_views(monkeypatch: pytest.MonkeyPatch) -> None:
    add_noise = mollification.add_noise
    monkeypatch.setattr(mollification, "add_noise", lambda x, t, eps: add_noise(x, t, 1.02 * eps))
    assert len(failing(study.noise_claims(noised_views(8, 0)))) == 1


@pytest.mark.parametrize(("factor", "named"), [(2.0, "sigma of the blur at t = 0"), (0.5, "blur at t = 1/2, SciPy's")])
def test_a_wrong_time_of_the_heat_equation_fails(factor: float, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """tau = sigma^2, as for a kernel e^(-tau Lambda / 2), or sigma^2 / 4."""
    heat_time = mollification.heat_time
    monkeypatch.setattr(mollification, "heat_time", lambda t, width: factor * heat_time(t, width))
    assert any(text.startswith(named) for text in failing(study.blur_claims()))


def test_swapped_exponents_of_the_quadrature_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = numerics.gauss_jacobi
    monkeypatch.setattr(study, "gauss_jacobi", lambda count, left, right: rule(count, right, left))
    nodes = numerics.beta_nodes
    monkeypatch.setattr("auglik.objectives.schedule.beta_nodes", lambda alpha, beta, *rest: nodes(beta, alpha, *rest))
    assert [text.split(",")[0] for text in failing(study.node_claims())] == [
        "64 Gauss-Jacobi nodes and weights", "gamma = t: log E e^(-50 gamma) = log 1F1(alpha; alpha+beta; -50)",
    ]  # fmt: skip
    assert any("E gamma^1" in text for text in failing(study.measure_claims("early", EARLY)))
