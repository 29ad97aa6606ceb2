"""What a report is of: the cells and references of the comparison as it was asked for."""

from pathlib import Path

import pytest

from auglik.experiments.status import note_references, noted, references_of
from auglik.inference import infer
from auglik.report.collect import collect
from auglik.report.keep import keep
from tests import reported

REFERENCES = {"reference": "reference", "sharper": "reference", "failed": "reference"}


def test_a_cell_without_a_run_is_of_the_family(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs")
    for name in ("same",):
        (folder / name).rename(tmp_path / name)
    alone = collect(folder)
    assert infer(alone.predictions(), alone.references).family == 1
    note_references(folder, REFERENCES)
    found = collect(folder)
    assert found.unfinished == ("failed",)
    assert list(found.cells) == ["reference", "sharper"]
    inference = infer(found.predictions(), found.references)
    assert inference.family == 2
    keep(folder, tmp_path / "kept")
    assert references_of(tmp_path / "kept") == REFERENCES
    again = collect(tmp_path / "kept")
    assert infer(again.predictions(), again.references).family == 2


def test_a_reference_without_a_run_is_missed_by_name(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs")
    note_references(folder, {"gone": "gone", **dict.fromkeys(reported.GAINS, "gone")})
    found = collect(folder)
    assert any("no finished run of the reference gone: cells are compared with" in text for text in found.warnings)


def test_a_reference_that_nobody_named_is_said(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs")
    for path in folder.glob("*.csv"):
        path.unlink()
    (said,) = [text for text in collect(folder).warnings if "nothing says" in text]
    assert "compared with reference, the first by name" in said
    assert not [text for text in collect(folder, "sharper").warnings if "nothing says" in text]


def test_cells_of_an_earlier_comparison_are_named(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs")
    note_references(folder, {"reference": "reference", "sharper": "reference"})
    found = collect(folder)
    (said,) = [text for text in found.warnings if "earlier comparison" in text]
    assert said.startswith("same: of an earlier comparison in this folder, and of the family")
    assert infer(found.predictions(), found.references).family == 2


def test_the_record_of_cells_is_of_the_latest_comparison(tmp_path: Path) -> None:
    with noted(tmp_path, [], {"a": "a"}):
        pass
    with noted(tmp_path, [], {"b": "b", "c": "b"}):
        assert references_of(tmp_path) == {"b": "b", "c": "b"}
    assert references_of(tmp_path / "nothing") == {}
    (tmp_path / ".planned.json").write_text("[]")
    assert references_of(tmp_path) == {}


@pytest.mark.parametrize("tuned", [True, False])
def test_kept_runs_say_how_they_were_tuned(tuned: bool, tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs")
    if tuned:
        (folder / "tuning.csv").write_text("cell,key\nreference,learning_rate\n")
    keep(folder, tmp_path / "kept")
    assert (tmp_path / "kept" / "tuning.csv").exists() == tuned
