"""Tuning: every cell gets the same grid, chooses by validation NLL on seeds of its own, and sees no test image."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auglik import RunConfig, change, plan
from auglik.cli.main import auglik
from auglik.experiments.tuning import FIRST_SEED, Grid, chosen, parse_grid, trial_name, trials, tuned
from auglik.objectives import InputError
from auglik.runs.results import Results
from auglik.scoring.predictions import load_predictions
from tests import tiny

GRID = Grid("learning_rate", (0.01, 0.1, 0.3))
CELLS = plan(RunConfig(), {"aggregator": ["jensen", "log-mean"]})


def runs(scores: dict[float, list[float]], cell: str) -> dict[str, list[Results]]:
    return {
        trial_name(cell, GRID, value): [
            tiny.results(seed=FIRST_SEED + i, last_epoch_validation_nll=nll) for i, nll in enumerate(of_value)
        ]
        for value, of_value in scores.items()
    }


def test_every_cell_is_tried_under_every_value_and_takes_the_best() -> None:
    found = trials(CELLS, GRID)
    assert [(trial.base, trial.config.optimization.learning_rate) for trial in found] == [
        (cell.name, value) for cell in CELLS for value in GRID.values
    ]
    finished = runs({0.01: [2.0, 2.0], 0.1: [1.0, 1.4], 0.3: [0.9, math.nan]}, CELLS[0].name)
    finished |= runs({0.01: [1.0, 1.0], 0.1: [1.1, 1.1], 0.3: [1.2, 1.2]}, CELLS[1].name)
    choices, table = chosen(CELLS, GRID, finished, [FIRST_SEED, FIRST_SEED + 1])
    assert [choice.value for choice in choices.values()] == [0.1, 0.01]
    assert [choice.at_edge for choice in choices.values()] == [False, True]
    assert len(table) == 6
    assert [cell.config.optimization.learning_rate for cell in tuned(CELLS, GRID, choices)] == [0.1, 0.01]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate", "expected SETTING=VALUE,VALUE"),
        ("learning-rte=1,2", "unknown setting 'learning-rte'; did you mean 'learning_rate'"),
        ("learning_rate=0.1", "at least two values"),
        ("learning_rate=0.1,x", "expected comma-separated numbers"),
        ("likelihood=smoothed,tempered", "expected a numeric setting of training"),
        ("seed=1,2", "expected a numeric setting of training"),
        ("split_seed=1,2", "it would decide what values are judged by"),
        ("validation_fraction=0.1,0.5", "it would decide what values are judged by"),
        ("train_images=100,200", "it would decide what values are judged by"),
        ("evaluation_views=4,8", "expected a numeric setting of training"),
    ],
)
def test_what_is_no_grid_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_grid(text)


def test_tuning_needs_validation_images() -> None:
    cells = plan(change(RunConfig(), {"validation_fraction": 0.0}), {"aggregator": ["jensen"]})
    with pytest.raises(InputError, match="validation fraction of 0"):
        trials(cells, GRID)


def test_a_tuned_comparison(tmp_path: Path) -> None:
    output = tmp_path / "results"
    arguments = [
        "compare", "--no-report", "--output", str(output), "--seeds", "2", "--jobs", "1", *tiny.options(device="cpu"),
        "--aggregator", "jensen", "--aggregator", "log-mean", "--tune", "learning-rate=0.0001,0.1", "--tune-seeds", "1",
    ]  # fmt: skip
    result = CliRunner().invoke(auglik, arguments)
    assert result.exit_code == 0, result.output
    with (output / "tuning.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["value"], row["chosen"]) for row in rows] == [
        (f"smoothed+{name}", value, str(value == "0.1"))
        for name in ("jensen", "log-mean")
        for value in ("0.0001", "0.1")
    ]
    tried = sorted((output / "tuning").glob(f"*/seed-{FIRST_SEED}"))
    assert len(tried) == 4
    for folder in tried:
        results = json.loads((folder / "results.json").read_text())
        assert not any(name.startswith(("clean_", "mollified_", "test_")) for name in results)
        assert not (folder / "predictions.npz").exists()
    compared = sorted(output.glob("smoothed+*/seed-*/results.json"))
    assert len(compared) == 4
    predictions = load_predictions(compared[0].parent)
    assert predictions.validation_log_probabilities.shape == (20, 10)
    np.testing.assert_allclose(np.exp(predictions.validation_log_probabilities).sum(1), 1, atol=1e-5)
