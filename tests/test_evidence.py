"""The pages of evidence say what the committed predictions do, computed here without the project's inference."""

import re
from pathlib import Path

import numpy as np
import pytest

EVIDENCE = Path(__file__).parent.parent / "docs" / "evidence"
KEPT = EVIDENCE / "what-turns-it" / "kept"
COLUMNS = ("log-mean", "corrected", "normalized", "tempered")
PAGE = (EVIDENCE / "what-turns-it.md").read_text()
ROWS = re.findall(r"^\| `([\w-]+)` \| ([\d.]+)% \| (.*) \|$", PAGE, re.MULTILINE)


def wrong(condition: str, seed: int) -> float:
    """The share of images whose likeliest class under the reference is not their label."""
    with np.load(KEPT / condition / "smoothed" / f"seed-{seed}" / "predictions.npz") as kept:
        return float((kept["log_probabilities"].argmax(1) != kept["labels"]).mean())


def image_nll(condition: str, cell: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """-log p of the label [N], and the images' places [N]."""
    with np.load(KEPT / condition / cell / f"seed-{seed}" / "predictions.npz") as kept:
        logits, labels, places = (kept[name] for name in ("log_probabilities", "labels", "indices"))
    log_p = logits.astype(float) - np.log(np.exp(logits.astype(float)).sum(1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels], places


def test_the_page_has_every_condition() -> None:
    assert sorted(name for name, _, _ in ROWS) == sorted(path.name for path in KEPT.iterdir())
    assert len(ROWS) == 12


@pytest.mark.parametrize(("condition", "error", "shown"), ROWS)
def test_differences_are_those_of_the_predictions(condition: str, error: str, shown: str) -> None:
    assert float(error) == pytest.approx(100 * np.mean([wrong(condition, seed) for seed in range(20, 25)]), abs=0.03)
    for cell, text in zip(COLUMNS, shown.split(" | "), strict=True):
        seeds = range(20, 25)
        pairs = [(image_nll(condition, cell, seed), image_nll(condition, "smoothed", seed)) for seed in seeds]
        for (_, places), (_, others) in pairs:
            np.testing.assert_array_equal(places, others)
        of_seeds = [float((own - other).mean()) for (own, _), (other, _) in pairs]
        if text == "the same":
            assert of_seeds == [0.0] * 5
            continue
        mean, lower, upper = map(float, re.findall(r"[-+][\d.]+", text))
        assert mean == pytest.approx(np.mean(of_seeds), abs=6e-4)
        assert lower <= mean <= upper
