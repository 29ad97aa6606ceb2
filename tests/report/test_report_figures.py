"""Pictures show what they say: bars to their ends, runs of the same conditions, and no cell without its worst run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from auglik.report.collect import Collected, collect
from auglik.report.content import Figure
from auglik.report.figures.forest import Forest, Line, forest
from auglik.report.figures.heat_map import HeatMap, Tile, heat_map
from auglik.report.figures.lines import BOTTOM, TOP, Curve, Panel, lines
from auglik.report.figures.outcome import OUTCOMES, key
from auglik.report.figures.reliability import Reliability, reliability
from auglik.report.figures.scatter import Dots, Scatter, scatter
from auglik.report.figures.style import styles
from auglik.report.figures.svg import SHAPES
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


@pytest.mark.parametrize("gap", [-0.2, 0.2])
def test_the_line_of_no_gap_is_where_no_gap_is(gap: float) -> None:
    confidence = [0.3, 0.5, 0.7]
    accuracy = [one + gap for one in confidence]
    bands = [([one + gap for one in confidence],) * 2] * 2
    cell = Reliability(confidence=confidence, accuracy=accuracy, counts=[1, 1, 1], curve=accuracy, bands=bands)
    drawn = reliability("a", cell, styles(["a"], [])["a"], cell.extent(), "a").body
    [zero] = re.findall(r'class="zero" d="M[\d.]+ ([\d.]+)L', drawn)
    ticks = re.findall(r'class="grid" d="M[\d.]+ ([\d.]+)L', drawn)
    assert zero in ticks
    [curve] = re.findall(r'class="line" d="M[\d.]+ ([\d.]+)L', drawn)
    assert np.sign(float(zero) - float(curve)) == np.sign(gap)
    assert abs(float(zero) - float(curve)) > 80


def test_both_axes_of_the_same_score_are_logarithmic_or_neither_is() -> None:
    cells = {"a": Dots([0.1, 2.0], [1.0, 2.0], [0, 1])}
    drawn = scatter(Scatter("x", "y", cells, equal=True), styles(["a"], []), "a").body
    [[x1, y1, x2, y2]] = re.findall(r'class="diagonal" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', drawn)
    dots = re.findall(r'class="run" d="[^"]*" transform="translate\(([\d.]+) ([\d.]+)\)', drawn)
    (x, y) = dots[1]  # of equal scores: on the diagonal
    along = (float(x) - float(x1)) / (float(x2) - float(x1))
    assert float(y) == pytest.approx(float(y1) + along * (float(y2) - float(y1)), abs=0.3)


def tiles_of(*outcomes: str) -> str:
    tiles = [Tile("+0.1", outcome, 1.0, outcome) for outcome in outcomes]
    return heat_map(HeatMap("", [("NLL", "nats")] * len(tiles), {"cell": tiles}), "cells").body


def test_the_key_of_a_heat_map_has_what_its_tiles_have() -> None:
    body = tiles_of("equal", "undecided", "unknown", "worse")
    diamond, square = SHAPES[OUTCOMES["equal"].marker], SHAPES[OUTCOMES["worse"].marker]
    assert [body.count(f'd="{shape}"') for shape in (diamond, square)] == [1, 1]
    assert body.count('class="tile shade1"') == body.count('class="tile shade6"') == 1
    assert body.count("hatching") == body.count("tile hatched") == 2
    legend = key({"equal", "undecided", "unknown", "worse"}, "")
    assert re.findall(r' d="([^"]+)" transform', legend.body) == [square, diamond]
    assert (legend.body.count("hatching"), legend.body.count("cannot tell or not known")) == (1, 1)
    assert "hatch" not in key({"better"}, "").body


@pytest.mark.parametrize("value", [0.0000123, 1.234e33])
def test_labels_of_ticks_stay_within_the_drawing(value: float) -> None:
    line = Line(label="a", mean=-value / 5, lower=-value, upper=value, outcome="undecided", shown="")
    drawn = forest(Forest(title="", axis="nats", unit="nats", lines=[line]), "differences")
    found = re.findall(r'<text x="([-\d.]+)"[^>]*text-anchor="middle" class="tick">([^<]*)<', drawn.body)
    assert len(found) > 1
    for x, words in found:
        assert 3.3 * len(words) - 0.1 <= float(x) <= drawn.width - 3.3 * len(words) + 0.1
        assert len(words) < 11


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
