"""The study of the objectives: it holds, and a broken objective fails the claims that name it."""

import numpy as np
import pytest
import torch
from torch import Tensor

import auglik.objectives.likelihoods.smoothed
from auglik.objectives import AGGREGATORS, LIKELIHOODS, DurbinKoopman, Sink
from auglik.studies.objectives.cases import aggregator_cases, likelihood_cases, worst, worst_of
from auglik.studies.objectives.study import objectives as study
from auglik.studies.study import Context, Findings
from auglik.studies.twins import AGGREGATOR_TWINS, LIKELIHOOD_TWINS


def found() -> Findings:
    return study(Context(True, 0, None, lambda share: None))


@pytest.fixture(scope="module")
def findings() -> Findings:
    return found()


def failing(findings: Findings) -> list[str]:
    return [claim.text for claim in findings.claims if not claim.holds]


def test_it_holds(findings: Findings) -> None:
    assert failing(findings) == []
    assert {"agreement", "bounds"} == set(findings.figures)


def test_every_objective_is_claimed_in_both_dtypes(findings: Findings) -> None:
    texts = [claim.text for claim in findings.claims]
    for kind, names in (("likelihood", LIKELIHOODS), ("aggregator", AGGREGATORS)):
        for name in names:
            for dtype in ("float32", "float64"):
                # The table or fold, and its gradient.
                assert sum(text.startswith(f"{kind} {name}:") and dtype in text for text in texts) >= 2


def test_a_wrong_sign_in_a_likelihood_fails_its_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Sink.table

    def broken(self: Sink, logits: Tensor, decay: Tensor) -> Tensor:
        return table(self, logits, -decay)

    monkeypatch.setattr(Sink, "table", broken)
    texts = failing(found())
    assert len(texts) == 5
    assert all("sink" in text for text in texts)


def test_a_wrong_sign_in_what_likelihoods_share_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(log_f: Tensor, decay: Tensor, toward: Tensor | None, labels: Tensor | None = None) -> Tensor:
        return (1 - decay[..., None]) * log_f - decay[..., None] * log_f.mean(-1, keepdim=True)

    monkeypatch.setattr(auglik.objectives.likelihoods.smoothed, "smoothed_table", broken)
    assert {text.split(":")[0] for text in failing(found()) if "likelihood" in text} == {"likelihood smoothed"}


def test_a_wrong_sign_in_an_aggregator_fails_its_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = DurbinKoopman.fold

    def broken(self: DurbinKoopman, table: Tensor, *weights: Tensor | None) -> Tensor:
        return 2 * AGGREGATORS["log-mean"].fold(table, *weights) - fold(self, table, *weights)

    monkeypatch.setattr(DurbinKoopman, "fold", broken)
    texts = failing(found())
    assert any(text.startswith("aggregator durbin-koopman: fold in float32") for text in texts)
    assert any(text.startswith("log-mean <= durbin-koopman") for text in texts)


def test_the_cases_are_the_registries() -> None:
    assert {case.label.split(":")[0].split(" ")[0] for case in likelihood_cases()} == LIKELIHOOD_TWINS.keys()
    assert {case.label.split(":")[0] for case in aggregator_cases()} == AGGREGATOR_TWINS.keys()


def test_the_worst_entry_is_where_the_error_is_largest_for_its_magnitude() -> None:
    exact, found = np.array([1.0, 100.0, 5.0]), np.array([1.0, 100.1, 5.02])
    entry = worst(found, exact, 1 + exact, torch.float64)
    assert (entry.value, entry.reference) == (5.02, 5.0)
    assert worst_of([worst(exact, exact, 1 + exact, torch.float64), entry]) is entry


def test_what_is_not_finite_is_worst_of_all() -> None:
    exact = np.array([1.0, 2.0])
    missing = worst(np.array([9.0, np.nan]), exact, np.ones(2), torch.float64)
    assert np.isnan(missing.value)
    assert worst_of([worst(np.array([9.0, 2.0]), exact, np.ones(2), torch.float64), missing]) is missing
