"""Ensembles of seeds: averaged probabilities, their scores, the CSV file, and what is refused."""

import csv
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from sklearn.metrics import brier_score_loss, log_loss

from auglik.objectives import InputError
from auglik.scoring.ensembles import ENSEMBLE_COLUMNS, ensemble, score, write_ensembles
from auglik.scoring.metrics import brier, nll, scores
from auglik.scoring.predictions import PARTS, Predictions

LABELS = np.arange(40) % 3


def members(seeds: int, rng: np.random.Generator) -> dict[int, Predictions]:
    """Runs on 40 images of 3 classes, with 2 mollified views."""

    def log_p(*shape: int) -> npt.NDArray[np.float32]:
        logits = rng.normal(size=(*shape, 40, 3)) + 1.5 * np.eye(3)[LABELS]
        return special.log_softmax(logits, axis=-1).astype(np.float32)

    none = np.empty((0, 3), np.float32)
    return {
        seed: Predictions(
            log_p(), LABELS, np.arange(40), log_p(), log_p(2), log_p()[:, 0], none, LABELS[:0], LABELS[:0]
        )
        for seed in range(seeds)
    }


def test_it_is_the_log_of_the_mean_probability(rng: np.random.Generator) -> None:
    runs = members(4, rng)
    for part in PARTS.values():
        mean = np.mean([np.exp(part(run).astype(np.float64)) for run in runs.values()], axis=0)
        np.testing.assert_allclose(np.exp(ensemble(runs, part)), mean, rtol=1e-12)


def test_of_one_seed_it_is_that_seed(rng: np.random.Generator) -> None:
    runs = members(1, rng)
    assert np.array_equal(ensemble(runs), runs[0].log_probabilities.astype(np.float64))


def test_a_class_of_probability_zero_everywhere_stays_impossible(rng: np.random.Generator) -> None:
    runs = members(2, rng)
    log_p = np.full((40, 3), -np.inf, np.float32)
    log_p[:, 0] = 0
    certain = {seed: run._replace(log_probabilities=log_p) for seed, run in runs.items()}
    assert np.array_equal(ensemble(certain), log_p)
    half = ensemble({0: certain[0], 1: runs[1]})
    np.testing.assert_allclose(half[:, 1], runs[1].log_probabilities[:, 1].astype(np.float64) - math.log(2))


@given(logits=arrays(np.float32, (3, 40, 3), elements=st.floats(-50, 50, width=32)))
def test_it_scores_no_worse_than_its_members_do_on_average(logits: npt.NDArray[np.float32]) -> None:
    """NLL and Brier are convex in the probabilities (Jensen)."""
    runs = members(3, np.random.default_rng(0))
    seen = {
        seed: run._replace(log_probabilities=special.log_softmax(logits[seed], axis=1)) for seed, run in runs.items()
    }
    for metric in (nll, brier):
        mean = np.mean([metric(run.log_probabilities, LABELS) for run in seen.values()])
        assert metric(ensemble(seen), LABELS) <= mean + 1e-6


def test_scores_are_those_of_other_libraries(rng: np.random.Generator) -> None:
    runs = members(5, rng)
    found = score("cell", runs)
    p = np.mean([np.exp(run.log_probabilities.astype(np.float64)) for run in runs.values()], axis=0)
    assert found.scores["clean_error"] == pytest.approx(np.mean(p.argmax(1) != LABELS))
    assert found.scores["clean_nll"] == pytest.approx(log_loss(LABELS, p / p.sum(1, keepdims=True)), rel=1e-6)
    brier_by_class = [brier_score_loss(np.equal(LABELS, c), p[:, c]) for c in range(3)]
    assert found.scores["clean_brier"] == pytest.approx(sum(brier_by_class))
    assert found.seeds == (0, 1, 2, 3, 4)
    assert found.title == "ensemble of 5 seeds"


def test_mollified_views_are_each_a_prediction(rng: np.random.Generator) -> None:
    runs = members(3, rng)
    views = np.log(np.mean([np.exp(run.mollified_log_probabilities.astype(np.float64)) for run in runs.values()], 0))
    expected = [scores(view, LABELS).nll for view in views]
    assert score("cell", runs).scores["mollified_nll"] == pytest.approx(np.mean(expected))


def test_the_file_has_a_row_for_every_cell_of_several_seeds(rng: np.random.Generator, tmp_path: Path) -> None:
    runs = {"reference": members(3, rng), "alone": members(1, rng), "other": members(2, rng)}
    found = write_ensembles(tmp_path, runs)
    with (tmp_path / "ensembles.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["cell"] for row in rows] == [item.cell for item in found] == ["reference", "other"]
    assert [row["seeds"] for row in rows] == ["0 1 2", "0 1"]
    assert tuple(rows[0]) == ENSEMBLE_COLUMNS
    for row, item in zip(rows, found, strict=True):
        assert row["title"] == item.title
        assert {name: float(row[name]) for name in item.scores} == item.scores
        assert len(item.scores) == len(ENSEMBLE_COLUMNS) - 3


def test_without_cells_of_several_seeds_the_file_has_its_header(tmp_path: Path, rng: np.random.Generator) -> None:
    assert write_ensembles(tmp_path, {"alone": members(1, rng)}) == []
    assert (tmp_path / "ensembles.csv").read_text() == ",".join(ENSEMBLE_COLUMNS) + "\n"


def test_refused_members(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="at least one seed, got none"):
        ensemble({})
    runs = members(2, rng)
    others = [
        runs[1]._replace(indices=runs[1].indices[::-1]),
        runs[1]._replace(labels=1 - LABELS),
        runs[1]._replace(log_probabilities=np.zeros((40, 1), np.float32)),
    ]
    for other in others:
        with pytest.raises(InputError) as refusal:
            score("reference", {0: runs[0], 7: other})
        assert str(refusal.value).startswith("cell reference: expected seeds that predicted the same images")
        assert "of seed 7" in str(refusal.value)
        assert "\n" not in str(refusal.value)
    fewer = runs[1]._replace(mollified_log_probabilities=runs[1].mollified_log_probabilities[:1])
    with pytest.raises(InputError, match="one evaluation protocol"):
        score("reference", {0: runs[0], 7: fewer})
