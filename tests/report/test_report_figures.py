"""Pictures show what they say: bars to their ends, runs of the same conditions, and no cell without its worst run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from auglik.report.collect import Collected, collect
from auglik.report.content import Figure
from auglik.report.figures.forest import Forest, Line, forest
from auglik.report.figures.lines import BOTTOM, TOP, Curve, Panel, lines
from auglik.report.figures.style import styles
from auglik.report.sections.tradeoffs import tradeoffs
from tests import reported


def test_bars_end_where_their_bounds_are() -> None:
    curve = Curve([1, 2, 3], [1.0, 1.01, 1.02], [0.5, 0.9, 1.01], [1.5, 1.12, 1.03])
    body = lines(Panel(title="", x_title="views", y_title="NLL", curves={"a": curve}), styles(["a"], []), "NLL").body
    ends = re.findall(r'class="bar" d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)"', body)
    lengths = [float(low) - float(high) for low, high in ends]
    assert np.array(lengths) / lengths[0] == pytest.approx([1.0, 0.22, 0.02], abs=5e-3)
    assert all(float(high) > TOP and float(low) < BOTTOM for low, high in ends)


@pytest.mark.parametrize("bound", [30.0, 1000.0, 1e300])
def test_differences_beyond_what_per_cents_can_say_are_drawn_in_nats_alone(bound: float) -> None:
    line = Line(label="a", mean=-bound / 5, lower=-bound, upper=bound, outcome="undecided", shown="")
    drawn = forest(Forest(title="", axis="nats", unit="nats", lines=[line], likelihood=True), "differences")
    assert "change in %" not in drawn.body
    near = line.__class__(label="a", mean=-0.2, lower=-1.0, upper=1.0, outcome="undecided", shown="")
    drawn = forest(Forest(title="", axis="nats", unit="nats", lines=[near], likelihood=True), "differences")
    assert "change in %" in drawn.body


def drawn_scores(collected: Collected, title: str) -> dict[str, float]:
    section = tradeoffs(collected, styles(list(collected.cells), []))
    assert section is not None
    [figure] = [item for item in section.items if isinstance(item, Figure)]
    return {datum.row: datum.value for datum in figure.data if datum.column == title}


def test_runs_scored_under_other_conditions_are_not_drawn_with_the_rest(tmp_path: Path) -> None:
    reported.write_comparison(tmp_path, cells=("reference", "same"))
    for cell in ("reference", "same"):
        for seed in range(3):
            other = (cell, seed) == ("same", 2)
            reported.robustness_scores(
                tmp_path / cell / f"seed-{seed}", 0.0, "another" if other else "suite", nll_shift=97.0 * other
            )
    found = drawn_scores(collect(tmp_path), "Corrupted NLL, nats")
    assert set(found) == {f"{cell}, seed {seed}" for cell in ("reference", "same") for seed in range(3)} - {
        "same, seed 2"
    }
    assert max(found.values()) < 10


def test_a_cell_with_a_run_that_is_not_finite_keeps_it_and_has_no_mark(tmp_path: Path) -> None:
    reported.write_comparison(tmp_path, cells=("reference", "same"))
    folder = tmp_path / "same/seed-1"
    with np.load(folder / "predictions.npz") as arrays:
        changed = {name: arrays[name].copy() for name in arrays}
    changed["log_probabilities"][0, changed["labels"][0]] = -np.inf
    np.savez(folder / "predictions.npz", **changed)
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(results | {"clean_nll": None}))
    collected = collect(tmp_path)
    found = drawn_scores(collected, "Clean NLL, nats")
    assert np.isnan(found["same, seed 1"])
    assert np.isfinite(found["same, seed 0"])
    section = tradeoffs(collected, styles(list(collected.cells), []))
    assert section is not None
    [figure] = [item for item in section.items if isinstance(item, Figure)]
    assert 'class="mark"' in figure.drawings[0].body
    assert figure.drawings[0].body.count("<title>same</title>") == 0
