"""What is joined is joined by the images' true places and digests, and refused in words where these differ."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auglik import Arrays, open_dataset
from auglik.cli.main import auglik
from auglik.experiments.differences import COMPARED_METRICS, differences
from auglik.inference import infer
from auglik.inference.calibration import calibrate
from auglik.inference.differences.pairing import pairs
from auglik.objectives import InputError
from auglik.report.collect import collect
from auglik.report.sections.cells import pairing
from auglik.report.sections.scores import scored_on
from auglik.scoring.ensembles import ensemble
from auglik.scoring.predictions import Predictions
from auglik.system.files import write_npz
from tests import tiny
from tests.inference.test_inference import prediction

LABELS = np.arange(60) % 3
Change = Callable[[Predictions], Predictions]
CHANGES: list[Change] = [
    lambda run: run._replace(indices=run.indices + 1),
    lambda run: run._replace(test_digest="another set's"),
]
REFERENCES = dict.fromkeys(("reference", "other"), "reference")


def runs(change: Change) -> dict[str, dict[int, Predictions]]:
    """A reference and another cell of two seeds, the latter's predictions changed."""
    rng = np.random.default_rng(0)
    made = {cell: {seed: prediction(rng, LABELS) for seed in (0, 1)} for cell in REFERENCES}
    return {**made, "other": {seed: change(run) for seed, run in made["other"].items()}}


@pytest.mark.parametrize("change", CHANGES)
def test_runs_on_other_images_are_not_paired_though_their_labels_agree(change: Change) -> None:
    found, warnings = pairs(runs(change), REFERENCES)
    assert not found
    assert warnings[0] == "other against reference: seeds 0, 1 left out, as the test images differ"
    one, another = runs(change)["reference"][0], runs(change)["other"][1]
    with pytest.raises(InputError, match="expected seeds that predicted the same images"):
        ensemble({0: one, 1: another})
    with pytest.raises(InputError, match="expected the runs of mixed to predict the same test images"):
        calibrate({"mixed": {0: one, 1: another}})


def test_on_other_evaluation_views_only_clean_scores_are_paired() -> None:
    found = infer(runs(lambda run: run._replace(evaluation_views_digest="others")), REFERENCES)
    assert "other against reference: only clean scores are compared, as their evaluation views differ" in found.warnings
    means = {row.metric: row.mean for row in found.metrics}
    assert {name.partition("_")[0] for name, mean in means.items() if np.isfinite(mean)} == {"clean"}

    results = [
        tiny.results(seed=seed, evaluation_views_digest=views, **dict.fromkeys(COMPARED_METRICS, 0.5))
        for views in ("some", "others")
        for seed in (0, 1)
    ]
    rows = differences({"reference": results[:2], "other": results[2:]}, REFERENCES)
    assert {row.metric.partition("_")[0] for row in rows} == {"clean"}


def sorted_by_class(path: Path) -> Path:
    """Digits whose test images come class by class, so that two choices of them have equal labels."""
    train, test = open_dataset("digits").train(), open_dataset("digits").test()
    order = np.argsort(test.labels, kind="stable")
    test = Arrays(test.images[order], test.labels[order])
    write_npz(
        path, train_images=train.images, train_labels=train.labels, test_images=test.images, test_labels=test.labels
    )
    return path


def test_cells_scored_on_other_images_share_their_draws_but_no_sentence(tmp_path: Path) -> None:
    data, output = sorted_by_class(tmp_path / "sorted.npz"), tmp_path / "out"
    file = tmp_path / "cells.toml"
    file.write_text(
        '[[cells]]\nname = "reference"\n[[cells]]\nname = "other images"\nevaluation_seed = 1\n'
        '[[cells]]\nname = "large batches"\nbatch_size = 64\nviews = 3\n'
    )
    options = tiny.options(dataset=data, epochs=1, train_images=100, evaluation_images=40, seeds=2, output=output)
    arguments = ["compare", "--config", str(file), *options, "--jobs", "1", "--no-report"]
    result = CliRunner().invoke(auglik, arguments)
    assert result.exit_code == 0, result.output
    rows = (output / "comparison.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows} == {"large-batches"}
    found = collect(output)
    reference, others, large = (found.cells[name] for name in ("reference", "other-images", "large-batches"))
    one, another = (cell.runs[0].predictions.labels for cell in (reference, others))
    np.testing.assert_array_equal(one, another)
    _, warnings = pairs(found.predictions(), found.references)
    assert "other-images against reference: seeds 0, 1 left out, as the test images differ" in warnings
    assert pairing(others, reference) == "seeds, batches, views"
    assert pairing(large, reference) == "seeds, the first 2 of 3 views, test images, evaluation views"
    said = " ".join(scored_on(found))
    assert "Not scored on the same test images, so comparable only within a group: reference, large-batches;" in said
    assert "same test images." not in said
    results = json.loads((output / "reference/seed-0/results.json").read_text())
    assert results["evaluation_views_digest"] == reference.runs[0].predictions.evaluation_views_digest
