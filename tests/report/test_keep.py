"""What is kept of a comparison is read as the comparison is, and reports the same."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import log_softmax

from auglik import load
from auglik.cli.main import auglik
from auglik.objectives import InputError
from auglik.report import ReportSettings, write_report
from auglik.report.collect import collect
from auglik.report.keep import keep
from auglik.scoring.metrics import error, nll
from auglik.scoring.predictions import DIGESTS, Predictions
from tests import reported

WITHOUT_CALIBRATION = ReportSettings(calibration=False)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = reported.write_comparison(tmp_path_factory.mktemp("compared"))
    for place in folder.glob("*/seed-*"):
        (place / "checkpoint.pt").write_bytes(bytes(50_000))
    reported.robustness_scores(folder / "same" / "seed-0", 0.1)
    return folder


@pytest.fixture(scope="module")
def kept(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("kept") / "here"
    counts = keep(compared, output)
    assert counts.runs == 9
    assert counts.bytes == sum(path.stat().st_size for path in output.glob("*/*/*"))
    assert counts.bytes < counts.before / 3
    return output


def test_what_is_kept_is_read_as_the_comparison_is(compared: Path, kept: Path) -> None:
    before, after = collect(compared), collect(kept)
    assert after.warnings == []
    assert list(after.cells) == list(before.cells)
    for cell in before.cells:
        for seed, run in before.cells[cell].runs.items():
            same = after.cells[cell].runs[seed]
            assert (same.results, same.config, same.epochs) == (run.results, run.config, run.epochs)
            assert (same.robustness, same.measured) == (run.robustness, run.measured)
            assert same.predictions.images_digest == run.predictions.images_digest
            for name in (name for name in Predictions._fields if name not in DIGESTS):
                rounded, exact = getattr(same.predictions, name), getattr(run.predictions, name)
                assert rounded.dtype == exact.dtype
                np.testing.assert_allclose(rounded, exact, rtol=2**-11, atol=2e-3)


def test_near_ties_predict_the_same_class(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "compared", seeds=1, cells=("reference", "same"))
    for run in collect(folder).cells["same"].runs.values():
        noise = np.random.default_rng(3).normal(size=run.predictions.log_probabilities.shape)
        near = log_softmax(1e-5 * noise, axis=-1)
        changed = {name: getattr(run.predictions, name) for name in Predictions._fields}
        changed["log_probabilities"] = near.astype(np.float32)
        np.savez(run.folder / "predictions.npz", **changed)
        results = json.loads((run.folder / "results.json").read_text())
        scored = {f"clean_{of.__name__}": of(changed["log_probabilities"], changed["labels"]) for of in (nll, error)}
        (run.folder / "results.json").write_text(json.dumps(results | scored))
    keep(folder, tmp_path / "kept")
    before, after = (collect(place).cells["same"].runs[0].predictions for place in (folder, tmp_path / "kept"))
    with np.load(tmp_path / "kept/same/seed-0/predictions.npz") as arrays:
        assert arrays["log_probabilities"].dtype == np.float16
        assert (arrays["log_probabilities"].argmax(1) == before.log_probabilities.argmax(1)).all()
    np.testing.assert_allclose(after.log_probabilities, before.log_probabilities, rtol=1.5e-3)


def test_error_rates_that_rounding_moved_are_told_and_those_of_another_run_refused(tmp_path: Path) -> None:
    """As of runs that were kept before each predicted class was."""
    folder = reported.write_comparison(tmp_path / "compared", seeds=2, cells=("reference", "same"))
    run = collect(folder).cells["same"].runs[0]
    arrays = {name: getattr(run.predictions, name) for name in Predictions._fields}
    log_p = arrays["log_probabilities"] = arrays["log_probabilities"].copy()
    N = len(arrays["labels"])
    right = np.flatnonzero(log_p.argmax(1) == arrays["labels"])
    tied = right[arrays["labels"][right] > 0][:2]
    log_p[tied, 0] = log_p[tied].max(1)
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    np.savez(run.folder / "predictions.npz", **arrays)
    said = json.loads((run.folder / "results.json").read_text())
    said["clean_nll"] = nll(log_p, arrays["labels"])
    (run.folder / "results.json").write_text(json.dumps(said))
    assert error(log_p, arrays["labels"]) == pytest.approx(said["clean_error"] + 2 / N)
    [line] = collect(folder).warnings
    assert line.startswith("predictions of 1 of 4 runs were rounded where they were kept: error rates")
    assert line.endswith(f"by up to {200 / N:.2f} points")
    assert keep(folder, tmp_path / "kept").warnings == (line,)
    (run.folder / "results.json").write_text(json.dumps(said | {"clean_error": said["clean_error"] - 1 / N}))
    [line, *_] = collect(folder).warnings
    assert "its predictions have error" in line
    assert line.endswith("from another run?")


def test_its_report_differs_by_the_rounding_alone(compared: Path, kept: Path, tmp_path: Path) -> None:
    numbers = []
    for folder in (compared, kept):
        output = tmp_path / folder.name
        written = write_report(folder, output, WITHOUT_CALIBRATION)
        with (output / "tables.csv").open() as file:
            rows = list(csv.DictReader(file))
        numbers.append((written.sentences, rows))
    assert [row.keys() for row in numbers[0][1]] == [row.keys() for row in numbers[1][1]]
    said = [[re.sub(r"[-+\d.,]+", "#", text) for text in sentences] for sentences, _ in numbers]
    assert said[0] == said[1]
    compared_rows = list(zip(*(rows for _, rows in numbers), strict=True))
    assert sum("NLL" in one["column"] for one, _ in compared_rows) > 20
    for one, other in compared_rows:
        assert (one["table"], one["row"], one["column"]) == (other["table"], other["row"], other["column"])
        if (
            "NLL" in one["column"] and one["value"]
        ):  # calibration errors jump where a rounded confidence changes its bin
            assert float(other["value"]) == pytest.approx(float(one["value"]), rel=0.02, abs=2e-3, nan_ok=True), one


def test_blocks_of_seeds_are_added_one_by_one(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs", seeds=2)
    later = [place.rename(tmp_path / place.parent.name) for place in folder.glob("*/seed-1")]
    keep(folder, tmp_path / "kept")
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("*/seed-0/*")}
    for place in later:
        place.rename(folder / place.name / "seed-1")
    assert keep(folder, tmp_path / "kept").runs == 6
    assert all(path.stat().st_mtime_ns == time for path, time in first.items())
    assert len(list((tmp_path / "kept").glob("*/seed-1/results.json"))) == 3


def test_tables_are_of_all_that_is_kept_where_earlier_blocks_are_gone(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs", seeds=2)
    keep(folder, tmp_path / "kept")
    for place in folder.glob("*/seed-0"):
        place.rename(tmp_path / place.parent.name)
    assert keep(folder, tmp_path / "kept").runs == 3
    runs, compared = (
        list(csv.DictReader((tmp_path / "kept" / name).read_text().splitlines()))
        for name in ("runs.csv", "comparison.csv")
    )
    assert [(row["cell"], row["seed"]) for row in runs] == [(cell, seed) for cell in reported.GAINS for seed in "01"]
    nll = {cell: [float(row["clean_nll"]) for row in runs if row["cell"] == cell] for cell in reported.GAINS}
    shown = {row["cell"]: row for row in compared if row["metric"] == "clean_nll"}
    assert list(shown) == ["sharper", "same"]
    for cell, row in shown.items():
        assert (row["n"], row["reference"]) == ("2", "reference")
        assert float(row["mean"]) == pytest.approx(np.mean(nll[cell]) - np.mean(nll["reference"]), abs=1e-4)


def test_data_sets_are_kept_without_the_folders_of_this_machine(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs", seeds=1)
    configs = sorted(folder.glob("*/seed-0/config.toml"))
    for config in configs:
        rename_data(config, str(tmp_path / "elsewhere" / "images.npz"))
    before = collect(folder)
    with (folder / "runs.csv").open("w") as file:
        file.write(f"cell,dataset,seed\nsame,{tmp_path / 'elsewhere' / 'images.npz'},0\nsharper,digits,0\n")
    keep(folder, tmp_path / "kept")
    assert not [path for path in (tmp_path / "kept").rglob("*.*") if str(tmp_path).encode() in path.read_bytes()]
    assert (tmp_path / "kept" / "runs.csv").read_text() == "cell,dataset,seed\nsame,images.npz,0\nsharper,digits,0\n"
    after = collect(tmp_path / "kept")
    assert {cell.config.dataset for cell in after.cells.values()} == {"images.npz"}
    of_both = [{name: cell.scores("clean_nll") for name, cell in one.cells.items()} for one in (before, after)]
    assert of_both[0] == of_both[1]


@pytest.mark.parametrize("other", ["images.npz", "/other/images.npz"])
def test_data_sets_whose_files_are_named_alike_stay_apart(other: str, tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs", seeds=1)
    for config in folder.glob("*/seed-0/config.toml"):
        rename_data(config, other if "same" in config.parts else "/one/images.npz")
    keep(folder, tmp_path / "kept")
    found = {name: cell.config.dataset for name, cell in collect(tmp_path / "kept").cells.items()}
    assert found == {"reference": "/one/images.npz", "sharper": "/one/images.npz", "same": other}


def rename_data(config: Path, name: str) -> None:
    before = config.read_text()
    config.write_text(
        re.sub(r"^dataset = .*$", lambda match: f"dataset = {json.dumps(name)}", before, flags=re.MULTILINE)
    )
    assert config.read_text() != before


@pytest.mark.parametrize(
    ("changes", "of"), [({}, "the same settings, trained anew"), ({"epochs": 77}, "other settings")]
)
def test_another_run_of_that_name_is_refused_and_left(changes: dict[str, object], of: str, tmp_path: Path) -> None:
    one = reported.write_comparison(tmp_path / "one", seeds=1)
    other = tmp_path / "other"
    for cell, gain in reported.GAINS.items():
        reported.write_run(other, cell, 0, gain, images=3, settings=reported.config(cell, 0, **changes))
    keep(one, tmp_path / "kept")
    before = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=f"expected no run, or .* kept before, got another run of that name, of {of}"):
        keep(other, tmp_path / "kept")
    assert {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()} == before


def test_numbers_that_half_precision_cannot_hold_stay_finite(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs", seeds=1)
    place = folder / "same" / "seed-0" / "predictions.npz"
    with np.load(place) as archive:
        arrays = dict(archive)
    views = arrays["view_log_likelihoods"].copy()
    views[0, :3] = -1e6, -np.inf, np.nan
    np.savez(place, **arrays | {"view_log_likelihoods": views})
    keep(folder, tmp_path / "kept")
    found = collect(tmp_path / "kept").cells["same"].runs[0].predictions.view_log_likelihoods
    np.testing.assert_array_equal(found[0, :3], [-65504.0, -np.inf, np.nan])


def test_from_the_command_line_and_in_python(compared: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(auglik, ["keep", str(compared), str(tmp_path / "kept")])
    assert found.exit_code == 0, found.output
    assert f"kept 9 runs in {tmp_path / 'kept'}: 0." in found.stdout
    assert load(compared).keep(tmp_path / "too").runs == 9
    inside = CliRunner().invoke(auglik, ["keep", str(compared), str(compared / "kept")])
    assert inside.exit_code == 2
    assert "expected a folder apart from" in inside.output
    assert inside.stderr.count("\n") == 1


def test_what_rounding_would_move_too_far_is_kept_as_it_is(tmp_path: Path) -> None:
    """Predictions that are all alike are rounded alike: their roundings do not cancel."""
    folder = tmp_path / "runs"
    place = reported.write_run(folder, "same", 0, 1.0)
    with np.load(place / "predictions.npz") as archive:
        arrays = dict(archive)
    N, C = arrays["log_probabilities"].shape
    row = np.log(np.full(C, 0.9003 / (C - 1)))
    row[0] = np.log(1 - 0.9003)
    arrays["log_probabilities"], arrays["labels"] = np.tile(row, (N, 1)).astype(np.float32), np.zeros(N, np.int64)
    arrays["mollified_log_probabilities"] = np.stack([arrays["log_probabilities"]] * 2)
    arrays["folded_log_probabilities"] = arrays["log_probabilities"]
    np.savez(place / "predictions.npz", **arrays)
    said = json.loads((place / "results.json").read_text())
    said |= {f"{part}_nll": float(-row[0]) for part in ("clean", "folded", "mollified")}
    said |= {f"{part}_error": 1.0 for part in ("clean", "folded", "mollified")}
    (place / "results.json").write_text(json.dumps(said))
    assert keep(folder, tmp_path / "kept").warnings == ()
    kept = collect(tmp_path / "kept")
    assert kept.warnings == []
    np.testing.assert_array_equal(kept.cells["same"].runs[0].predictions.log_probabilities[0], row.astype(np.float32))


def test_robustness_that_was_measured_later_is_kept_too(tmp_path: Path) -> None:
    folder = reported.write_comparison(tmp_path / "runs", seeds=1)
    keep(folder, tmp_path / "kept")
    assert collect(tmp_path / "kept").cells["same"].runs[0].robustness == ()
    reported.robustness_scores(folder / "same" / "seed-0", 0.1)
    keep(folder, tmp_path / "kept")
    found = (collect(root).cells["same"].runs[0] for root in (folder, tmp_path / "kept"))
    before, after = ((run.robustness, run.measured) for run in found)
    assert before == after
    assert before[0]
