"""The composition study: it holds, and a rule that is not what it says fails its claims."""

import numpy as np
import pytest

from auglik.studies.composition import worlds
from auglik.studies.composition.study import composition
from auglik.studies.study import Context, Findings

CONTEXT = Context(quick=True, seed=0, data=None, progress=lambda share: None)


@pytest.fixture(scope="module")
def findings() -> Findings:
    return composition(CONTEXT)


def test_the_study_holds(findings: Findings) -> None:
    assert [claim.line() for claim in findings.claims if not claim.holds] == []


def test_another_product_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = worlds.kept_by
    monkeypatch.setattr(
        "auglik.studies.composition.study.kept_by",
        lambda world, compose, by_image: right(world, "published" if compose == "kept" else compose, by_image=by_image),
    )
    failing = [claim.text for claim in composition(CONTEXT).claims if not claim.holds]
    assert any("images alike" in text for text in failing)
    assert any("by image" in text for text in failing)


def test_a_product_in_place_of_what_was_measured_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = worlds.kept_by
    monkeypatch.setattr(
        "auglik.studies.composition.study.kept_by",
        lambda world, compose, by_image: right(world, "kept" if compose == "measured" else compose, by_image=by_image),
    )
    failing = [claim.text for claim in composition(CONTEXT).claims if not claim.holds]
    assert any("heterogeneous: bias of the mass measured" in text for text in failing)
    assert any("overlapping: bias of the mass measured" in text for text in failing)


def test_a_view_that_is_always_recognized_is_told_from_a_product() -> None:
    each = np.full((500, 2), 0.5)
    assert worlds.named(each, np.ones(500)) == "overlapping"
