"""Every statistic at its smallest sizes: a number, or a dash."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from auglik.cli.robustness import table as robustness_table
from auglik.experiments.differences import differences, table, write_comparison
from auglik.inference.calibration import calibrate, temperature_scaling
from auglik.runs.results import Results
from auglik.scoring.conditions import Score, means
from auglik.scoring.ensembles import score, write_ensembles
from auglik.scoring.metrics import marginal_log_likelihood, scores
from auglik.scoring.predictions import Predictions
from tests import tiny

PROBABILITIES = {"uniform": 0.5, "right": 0.95, "wrong": 0.05, "certain": 1.0, "certainly wrong": 0.0}
"""Of the label, at two classes."""
SIZES = list(itertools.product((1, 2), PROBABILITIES, (0, 1)))
"""Images, predictions, validation images."""


def log_probabilities(labels: NDArray[np.int64], kind: str) -> NDArray[np.float32]:
    own = PROBABILITIES[kind]
    with np.errstate(divide="ignore"):
        return np.log(np.where(np.eye(2)[labels] == 1, own, 1 - own)).astype(np.float32)


def predictions(images: int, kind: str, validation: int) -> Predictions:
    """One folded view, two evaluation views."""
    labels, held_out = np.arange(images) % 2, np.arange(validation) % 2
    rows = log_probabilities(labels, kind)
    at_label = rows[np.arange(images), labels]
    return Predictions(
        rows, labels, np.arange(images), rows, rows[None], np.stack([at_label] * 2),
        log_probabilities(held_out, kind), held_out, np.arange(validation),
    )  # fmt: skip


@pytest.mark.parametrize(("images", "kind", "validation"), SIZES)
def test_scores_of_one_and_two_images(images: int, kind: str, validation: int) -> None:
    run, own = predictions(images, kind, validation), PROBABILITIES[kind]
    found = scores(run.log_probabilities, run.labels)
    # of two equal probabilities the first class is predicted, which is the label of the first image alone
    wrong = (0.5 if images == 2 else 0.0) if kind == "uniform" else float(own < 0.5)
    assert found.error == wrong
    assert found.nll == pytest.approx(-math.log(own) if own else math.inf)
    assert found.ece == pytest.approx(abs((1 - wrong) - max(own, 1 - own)), abs=1e-6)
    assert found.brier == pytest.approx(2 * (1 - own) ** 2, abs=1e-6)
    of_two = score("cell", {0: run, 1: run})
    assert of_two.scores["clean_nll"] == pytest.approx(found.nll)
    if own:
        marginal = marginal_log_likelihood(run.view_log_likelihoods)
        assert marginal.plain == pytest.approx(math.log(own), abs=1e-6)
        assert math.isnan(marginal.standard_error) == (images == 1)
    scaling = temperature_scaling(
        (run.validation_log_probabilities, run.validation_labels), (run.log_probabilities, run.labels), 15
    )
    assert (scaling is None) == (validation == 0 or own == 0)


def test_calibration_of_one_image_and_of_identical_cells() -> None:
    runs = {kind: predictions(1, kind, 0) for kind in PROBABILITIES} | {"again": predictions(1, "certain", 0)}
    found = calibrate({cell: {0: run, 1: run} for cell, run in runs.items()}, draws=8)
    for cell in found.cells.values():
        assert 0 <= cell.ece.lower <= cell.ece.upper <= 1
        assert cell.temperature == (None, None)


NAMED = {cell: {"dataset": "digits", "network": "small-cnn"} for cell in ("a", "b")}


def results(cell: str, seed: int, run: Predictions) -> Results:
    found = scores(run.log_probabilities, run.labels)._asdict()
    parts = ("clean", "folded", "mollified")
    values = {f"{part}_{name}": value for part in parts for name, value in found.items() if math.isfinite(value)}
    return tiny.results(cell=cell, seed=seed, **values)


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("kind", PROBABILITIES)
def test_a_comparison_of_identical_cells_of_one_image(tmp_path: Path, seeds: int, kind: str) -> None:
    run = predictions(1, kind, 0)
    runs = {cell: [results(cell, seed, run) for seed in range(seeds)] for cell in ("a", "b")}
    found = differences(runs, {"a": "a", "b": "a"})
    clean = {item.metric: item.interval for item in found}
    assert clean["clean_error"].mean == 0
    assert math.isnan(clean["clean_error"].lower)  # seeds that do not differ tell nothing of how seeds do
    write_comparison(tmp_path, runs, found, NAMED)
    write_ensembles(tmp_path, {cell: dict.fromkeys(range(seeds), run) for cell in runs})
    shown = table(runs, found, "clean")
    assert f"over {seeds} seed{'s' * (seeds == 2)}\n" in shown
    assert "nan" not in shown
    assert ("\u2013 the score of a run is not finite" in shown) == (kind == "certainly wrong")
    assert len((tmp_path / "ensembles.csv").read_text().splitlines()) == (3 if seeds == 2 else 1)


def test_a_comparison_of_one_cell_and_of_none_finished(tmp_path: Path) -> None:
    run = predictions(2, "right", 1)
    one = {"a": [results("a", 0, run)]}
    assert "Paired" not in table(one, differences(one, {"a": "a"}), "clean")
    none: dict[str, list[Results]] = {"a": [], "b": []}
    write_comparison(tmp_path, none, differences(none, {"a": "a", "b": "a"}), NAMED)
    write_ensembles(tmp_path, {"a": {}, "b": {}})
    uneven = {"a": [results("a", 0, run)], "b": [results("b", seed, run) for seed in range(3)]}
    assert "over 1 to 3 seeds" in table(uneven, differences(uneven, {"a": "a", "b": "a"}), "clean")


def test_robustness_of_one_run_of_one_image_and_of_cells_on_other_data() -> None:
    clean = Score(
        kind="clean", name="clean", category="", severity=0.0, error=1.0, nll=math.inf, brier=2.0, ece=1.0, images=1
    )
    corrupted = Score(
        kind="corruption", name="fog", category="weather", severity=3.0, error=0.0, nll=0.5, brier=0.2, ece=0.1,
        images=1,
    )  # fmt: skip
    shown = robustness_table({"a": [[clean]], "b": [[clean, *means([corrupted])]]})
    corruptions = shown.partition("Corruptions")[2]
    assert corruptions.split("\n")[2].split() == ["a", "\u2013", "\u2013", "\u2013", "\u2013"]
    assert "0.5000" in corruptions
    assert "\u2013 not measured for this cell, or not finite" in shown
    assert "nan" not in shown
    assert "inf " not in shown
