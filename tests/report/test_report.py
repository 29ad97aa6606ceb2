"""What a report collects, leaves out and computes, and the files beside its page."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from auglik.cli.main import auglik
from auglik.data import open_dataset
from auglik.inference.calibration import results as calibration_results
from auglik.inference.convergence import Diagnostics
from auglik.objectives import ROLES, InputError
from auglik.recipes import read_recipe
from auglik.report import ReportSettings, write_report
from auglik.report import build as building
from auglik.report.collect import Collected, collect
from auglik.report.content import Details, Table, interval, mean_error, number
from auglik.report.figures.lines import Curve, Panel, lines
from auglik.report.figures.scale import covering, tick_texts
from auglik.report.figures.style import styles
from auglik.report.page import subtitle
from auglik.report.sections import calibrated
from auglik.report.sections.cells import cells
from auglik.report.sections.published import measured, published
from auglik.report.sections.published_figures import augmentation_names, read_published
from auglik.report.sections.published_protocols import PUBLISHED_PROTOCOLS, TESTED, not_stated, protocol_differences
from auglik.report.sections.robust import robustness
from auglik.report.sections.runs import runs
from auglik.report.sections.seen import seen
from auglik.report.sections.views import views
from auglik.report.writers.latex import escape
from auglik.runs.resolve import load_training, training_pipeline
from auglik.runs.run import execute
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.system.files import write_csv
from tests import reported, tiny
from tests.experiments.test_moved import write_code

QUICK = ReportSettings(calibration=False)
THIRD = "0.333 of views clean"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reported.write_comparison(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def written(comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report without the calibration model."""
    return write_report(comparison, tmp_path_factory.mktemp("written") / "report", QUICK).page.parent


@pytest.fixture
def own(comparison: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(comparison, tmp_path / "own"))


def rows_of(folder: Path, table: str) -> dict[tuple[str, str], float]:
    """The numbers of one table of tables.csv by row and column."""
    with (folder / "tables.csv").open(newline="") as file:
        return {
            (row["row"], row["column"]): float(row["value"]) for row in csv.DictReader(file) if row["table"] == table
        }


def test_scores_are_those_of_the_predictions(comparison: Path, written: Path) -> None:
    """Error and NLL, recomputed from the arrays; ± the standard deviation over seeds by sqrt(S)."""
    table = rows_of(written, "scores-clean")
    for cell in reported.GAINS:
        errors, nlls = [], []
        for seed in range(3):
            with np.load(comparison / cell / f"seed-{seed}" / "predictions.npz") as arrays:
                log_p, labels = arrays["log_probabilities"].astype(float), arrays["labels"]
            errors.append(100 * np.mean(log_p.argmax(1) != labels))
            nlls.append(-np.mean(log_p[np.arange(len(labels)), labels]))
        assert table[cell, "error %"] == pytest.approx(np.mean(errors))
        assert table[cell, "error %: standard error"] == pytest.approx(np.std(errors, ddof=1) / np.sqrt(3))
        assert table[cell, "NLL"] == pytest.approx(np.mean(nlls), rel=1e-5)


def test_differences_are_paired_by_seed(written: Path, comparison: Path) -> None:
    scores = {cell: collect(comparison).cells[cell].scores("clean_nll") for cell in ("reference", "sharper")}
    difference = np.subtract(scores["sharper"], scores["reference"])
    table = rows_of(written, "primary")
    column = "[95%, new seeds, these images]"
    half_width = 4.302653 * difference.std(ddof=1) / np.sqrt(3)  # Student's t with 2 degrees of freedom, 0.975
    assert table["sharper", "difference [95%, new seeds and images]"] == pytest.approx(difference.mean(), rel=1e-4)
    assert table["sharper", f"{column}: lower"] == pytest.approx(difference.mean() - half_width, rel=1e-3)


def test_files(written: Path) -> None:
    names = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    expected = {
        "report.html",
        "report.md",
        "tables.csv",
        "tables.tex",
        "differences.nc",
        "files.txt",
        "figures/forest.svg",
    }
    assert expected <= names
    assert "calibration.nc" not in names
    markdown = (written / "report.md").read_text()
    assert all((written / found).is_file() for found in re.findall(r"\]\((figures/[^)]+)\)", markdown))


def test_two_reports_are_the_same(comparison: Path, written: Path, tmp_path: Path) -> None:
    again = write_report(comparison, tmp_path / "again", QUICK)
    for path in again.files:
        if path.suffix != ".nc":
            assert path.read_bytes() == (written / path.relative_to(tmp_path / "again")).read_bytes(), path.name


def test_a_new_report_replaces_the_old_and_nothing_else(comparison: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    (output / "figures").mkdir(parents=True)
    for kept in ("mine.txt", "figures/mine.svg"):
        (output / kept).write_text("mine")
    for stale in ("figures/old.svg", "../outside.svg"):
        (output / stale).write_text("old")
    (output / "files.txt").write_text("figures/old.svg\n../outside.svg\nmine.txt\n")
    write_report(comparison, output, QUICK)
    assert not (output / "figures/old.svg").exists()
    assert all((output / kept).read_text() == "mine" for kept in ("mine.txt", "figures/mine.svg"))
    assert (tmp_path / "outside.svg").exists()
    assert not list(output.glob(".partial-*"))


def test_a_report_that_fails_leaves_the_old_one(
    comparison: Path, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "report"
    shutil.copytree(written, output)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}

    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("auglik.report.write.write_csv", full)
    with pytest.raises(InputError, match="No space left"):
        write_report(comparison, output, QUICK)
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


def test_what_cannot_be_compared_is_left_out_and_named(own: Path) -> None:
    (own / "reference/seed-0/results.json").unlink()
    (own / "sharper/seed-0/results.json").unlink()
    (own / "sharper/seed-0/error.txt").write_text("traceback")
    (own / "sharper/seed-1/predictions.npz").write_bytes(b"PK damaged")
    (own / "same/seed-1/results.json").write_text('{"settings": ')
    found = collect(own)
    assert {name: list(cell.runs) for name, cell in found.cells.items()} == {
        "reference": [1, 2],
        "sharper": [2],
        "same": [0, 2],
    }
    said = "\n".join(found.warnings)
    assert all("\n" not in text for text in found.warnings)
    for part in (
        "reference/seed-0 is not finished",
        "sharper/seed-0 is not finished: it failed",
        "sharper/seed-1",
        "same/seed-1",
    ):
        assert part in said, part


def damage(folder: Path, **changes: object) -> None:
    """Replaces arrays of predictions.npz, or what results.json says."""
    path = folder / "predictions.npz"
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive}
    np.savez(path, **{**arrays, **changes})


def state(folder: Path, **changes: object) -> None:
    path = folder / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def write_single_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


N, C, F, V = reported.N, reported.C, reported.F, reported.V
DAMAGES: dict[str, Callable[[Path], object]] = {
    "no such file": lambda run: (run / "predictions.npz").unlink(),
    "BadZipFile": lambda run: write_single_array(run / "predictions.npz"),
    "expected labels as integers": lambda run: damage(run, labels=np.zeros(N)),
    "expected log_probabilities as floating": lambda run: damage(run, log_probabilities=np.full((N, C), "1")),
    f"labels in 0..{C - 1}, got 9": lambda run: damage(run, labels=np.full(N, 9)),
    "validation_labels in": lambda run: damage(run, validation_labels=np.full(V, -1)),
    "its folded predictions": lambda run: damage(run, folded_log_probabilities=np.full((N, C), -np.log(C), "f")),
    "got nan in row 0": lambda run: damage(run, log_probabilities=np.full((N, C), np.nan, "f")),
    "got 4 in row 0": lambda run: damage(run, validation_log_probabilities=np.zeros((V, C), "f")),
    "predictions.npz: expected log-probabilities": lambda run: damage(
        run, mollified_log_probabilities=np.zeros((F, N, C), "f")
    ),
    "test images different": lambda run: damage(run, indices=np.arange(1, N + 1)),
    "expected clean_error as a number": lambda run: state(run, clean_error="abc"),
    "expected likelihood, which is missing": lambda run: (run / "results.json").write_text('{"cell": "a"}'),
    "expected test_digest as text": lambda run: state(run, test_digest=[1]),
    "config.toml: unknown setting": lambda run: (run / "config.toml").write_text("epoch = 3"),
    "cannot read the configuration": lambda run: (run / "config.toml").unlink(),
    "line 1: expected epoch": lambda run: (run / "metrics.jsonl").write_text('{"validation_nll": 1.0}\n'),
    "line 2: expected an object with epoch": lambda run: (run / "metrics.jsonl").write_text('{"epoch": 1}\n[1, 2]\n'),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_run_is_left_out_in_one_line(own: Path, message: str) -> None:
    DAMAGES[message](own / "sharper/seed-1")
    found = collect(own)
    assert list(found.cells["sharper"].runs) == [0, 2]
    [said] = found.warnings
    assert message in said
    assert "sharper" in said
    assert "\n" not in said
    assert len(said) < 400


def test_predictions_of_another_run_are_refused(own: Path) -> None:
    shutil.copy(own / "sharper/seed-0/predictions.npz", own / "reference/seed-0/predictions.npz")
    found = collect(own)
    assert list(found.cells["reference"].runs) == [1, 2]
    assert "from another run" in found.warnings[0]


def test_other_images_and_settings_are_not_mixed(own: Path) -> None:
    reported.write_run(own, "reference", 7, 1.0, images=1)
    reported.write_run(own, "reference", 8, 1.0, settings=reported.config("reference", 8, epochs=5))
    found = collect(own)
    assert list(found.cells["reference"].runs) == [0, 1, 2]
    assert any("test images different" in text and "seed 7" in text for text in found.warnings)
    assert any("settings or code different" in text and "seed 8" in text for text in found.warnings)


def test_unpaired_cells_are_said_and_not_compared(tmp_path: Path) -> None:
    reported.write_comparison(tmp_path, seeds=2, cells=("reference",))
    reported.write_run(tmp_path, "sharper", 5, 1.6)
    reported.write_run(tmp_path, "same", 0, 1.0, images=3)
    built = building.build(tmp_path, QUICK, lambda share: None)
    said = " ".join(built.page.warnings)
    assert "sharper is not compared with reference" in said
    assert "same is not compared with reference" in said
    assert "nothing to compare" in built.page.sections[0].sentences[0]


def test_references(own: Path) -> None:
    assert set(collect(own).references.values()) == {"reference"}
    assert set(collect(own, "same").references.values()) == {"same"}
    with pytest.raises(InputError, match=r"unknown reference 'sharpr'.*sharper"):
        collect(own, "sharpr")
    shutil.rmtree(own / "reference")
    left = collect(own)
    assert set(left.references.values()) == {"sharper"}
    assert "no finished run of the reference" in left.warnings[0]
    (own / "comparison.csv").unlink()
    assert set(collect(own).references.values()) == {"sharper"}


def test_one_seed_claims_nothing_between_seeds(tmp_path: Path) -> None:
    reported.write_comparison(tmp_path / "one", seeds=1)
    built = building.build(tmp_path / "one", QUICK, lambda share: None)
    assert any("one seed only" in text for text in built.page.warnings)
    answer = built.page.sections[0]
    assert "nothing can be concluded about other seeds and images" in answer.sentences[0]
    assert "at most 5%" not in answer.sentences[0]
    assert not [row for row in built.rows if "standard error" in str(row["column"])]
    assert not [row for row in built.rows if row["table"] == "primary" and "adjusted p" in str(row["column"])]


def test_the_p_beside_a_verdict_is_that_of_its_sentence(own: Path) -> None:
    """With a region so wide that cells which differ are practically equal: two p-values, of which one is shown."""
    built = building.build(own, replace(QUICK, rope=1.0), lambda share: None)
    (shown,) = {
        row["shown"] for row in built.rows
        if (row["table"], row["row"], row["column"]) == ("primary", "sharper", "adjusted p")
    }  # fmt: skip
    sentence = next(
        text for text in built.page.sections[0].sentences if "sharper and reference are practically" in text
    )
    assert f"p = {shown} after" in sentence or (float(str(shown)) < 0.001 and "p < 0.001 after" in sentence)


def test_a_diverged_run_does_not_stop_the_report(own: Path) -> None:
    folder = own / "same/seed-0"
    with np.load(folder / "predictions.npz") as arrays:
        changed = {name: arrays[name].copy() for name in arrays}
    changed["log_probabilities"][:] = np.nan
    np.savez(folder / "predictions.npz", **changed)
    results = json.loads((folder / "results.json").read_text())
    results |= {name: None for name in results if name.startswith("clean_")}
    (folder / "results.json").write_text(json.dumps(results))
    built = building.build(own, QUICK, lambda share: None)
    assert any("not finite" in text for text in built.page.warnings)
    assert {row["row"] for row in built.rows if row["table"] == "primary"} >= {"sharper", "reference"}


def test_the_samplers_table_has_a_dash_for_what_one_seed_leaves_out() -> None:
    """Warnings are errors here, NumPy's of all-NaN slices among them."""
    drawn = np.random.default_rng(0).normal(size=(4, 100, 2))
    values = {name: drawn.copy() for name in ("curve", "slope", "intercept", "concentration")}
    values["concentration"][:] = np.nan
    values["slope"][..., 0] = np.nan
    values["intercept"][0, 0, 0] = np.nan
    diverging = {"diverging": (("chain", "draw"), np.zeros((4, 100)))}
    data = xarray.DataTree.from_dict({
        "posterior": xarray.Dataset({name: (("chain", "draw", "cell"), array) for name, array in values.items()}),
        "sample_stats": xarray.Dataset(diverging),
    })  # fmt: skip
    diagnostics = Diagnostics(r_hat=1.0, ess_bulk=500.0, ess_tail=600.0, divergences=0, chains=4, draws=1000)
    found = calibrated._sampler(calibration_results.Calibration({}, diagnostics, data))
    shown = {row.name: [entry.text for entry in row.entries] for row in found.rows}
    assert shown["concentration"][:3] == ["–", "–", "–"]
    assert shown["intercept"][:3] == ["–", "–", "–"], "what is not a number is no convergence"
    assert "–" not in shown["slope"][:3]


def test_tuning_is_said(own: Path) -> None:
    def said() -> str:
        return " ".join(building.build(own, QUICK, lambda share: None).page.warnings)

    assert "cells were not tuned" in said()
    columns = ["cell", "setting", "value", "validation_nll", "seeds", "failed_seeds", "chosen"]
    rows = [[cell, "learning_rate", 0.1, 0.5, 2, "", True] for cell in ("reference", "sharper")]
    write_csv(own / "tuning.csv", [dict(zip(columns, row, strict=True)) for row in rows], columns)
    assert "not tuned, unlike the other cells: same" in said()
    (own / "tuning.csv").write_text("cell,setting\nreference,learning_rate\n")
    with pytest.raises(InputError, match="auglik compare --tune"):
        said()


def test_robustness_is_averaged_over_seeds_and_conditions(own: Path) -> None:
    for seed in range(3):
        for cell, shift in (("reference", 0.0), ("sharper", 0.1)):
            found = reported.robustness_scores(own / cell / f"seed-{seed}", shift + 0.01 * seed)
    reported.robustness_scores(own / "same/seed-0", 0.0, identity="another suite")
    collected = collect(own)
    section = robustness(collected, styles(collected.cells, ["reference"]))
    assert section is not None
    assert all(f"same, seed {seed}" in section.sentences[-1] for seed in range(3))
    tables = {item.key: item for item in section.items if isinstance(item, Table)}
    by_corruption = tables["corruptions-error"]
    assert by_corruption.columns[3:18] == tuple(name.replace("_", " ") for name in CORRUPTIONS)
    own_errors = [score.error for score in found if score.kind == "corruption" and score.severity is not None]
    row = next(row for row in by_corruption.rows if row.name == "sharper")
    numbers = dict(row.entries[1].numbers)
    last_less_mean = 0.01
    assert numbers[""] == pytest.approx(100 * (np.mean(own_errors) - last_less_mean))
    assert numbers["standard error"] == pytest.approx(100 * 0.01 / np.sqrt(3))
    keys = {item.key for item in section.items if not isinstance(item, Details)}
    assert keys >= {"severity", "profiles", "occlusion", "mollified", "human"}


def test_robustness_of_data_sets_is_kept_apart(tmp_path: Path) -> None:
    for cell, dataset in (("ours", "digits"), ("theirs", "cifar10")):
        folder = reported.write_run(tmp_path, cell, 0, 1.0, settings=reported.config("same", 0, dataset=dataset))
        reported.robustness_scores(folder, 0.0, identity=dataset)
    collected = collect(tmp_path)
    section = robustness(collected, styles(collected.cells, []))
    assert section is not None
    cells = {item.key: [row.name for row in item.rows] for item in section.items if isinstance(item, Table)}
    assert (cells["severity-error-digits"], cells["severity-error-cifar10"]) == (["ours"], ["theirs"])


def test_own_code_is_named_without_its_place_but_where_two_files_share_a_name(tmp_path: Path) -> None:
    near, far = tmp_path / "near" / "own.py", tmp_path / "far" / "own.py"
    for K, (cell, own) in enumerate({"a": near, "b": near.with_name("b.py"), "c": far}.items(), 2):
        write_code(own)
        chosen = reported.config("reference", 0, aggregator=f"{own}:Own:q=0.5", views=K)
        folder = reported.write_run(tmp_path / "runs", cell, 0, 1.0, settings=chosen)
        state(folder, pipeline=f"Crop() -> mollification (clean 1) -> all:{tmp_path / 'map.py'}:Map:k=2")
    collected = collect(tmp_path / "runs")
    tables = {item.key: item for item in cells(collected).items if isinstance(item, Table)}
    named = [row.entries[1].text for row in tables["objectives"].rows]
    assert named == [f"{near}:Own:q=0.5", "b.py:Own:q=0.5", f"{far}:Own:q=0.5"]
    views_of = {row.entries[3].text for row in tables["pipelines"].rows}
    assert views_of == {"Crop() -> mollification (clean 1) -> all:map.py:Map:k=2"}
    assert [item for item in runs(collected).items if isinstance(item, Details)][1].summary == (
        "b: smoothed + b.py:Own:q=0.5, 1 seed"
    )


def test_cells_that_differ_in_views_alone(tmp_path: Path) -> None:
    for K, gain in ((1, 1.0), (4, 1.5)):
        for seed in range(2):
            settings = reported.config("reference", seed, views=K)
            reported.write_run(tmp_path, f"smoothed+views={K}", seed, gain, settings=settings)
    reported.write_run(tmp_path, "other", 0, 1.0, settings=reported.config("sharper", 0, views=2))
    collected = collect(tmp_path)
    section = views(collected, styles(collected.cells, []))
    assert section is not None
    [table] = [item for item in section.items if isinstance(item, Table)]
    assert [row.name for row in table.rows] == ["smoothed+views=1, K = 1", "smoothed+views=4, K = 4"]


def test_the_views_shown_are_those_that_were_trained_on(tmp_path: Path) -> None:
    """Temperatures and decays of the draws whose digests the run recorded; another data set is refused in words."""
    job = tiny.job(tmp_path / "cell/seed-0", epochs=1)
    results = execute(job)
    section = seen(collect(tmp_path), tmp_path)
    [figure] = section.pictures()
    gallery = load_training(job.run, open_dataset("digits")).training.gallery
    pipeline = training_pipeline(job.run, gallery.shape, 10)
    draws = pipeline.draw(job.config.seed, 0, 2, len(gallery), torch.device("cpu"))
    assert results.view_digests == tuple(sha256(digest.encode()).hexdigest() for digest in draws.view_digests())
    shown = {(one.row, one.column): one.value for one in figure.data}
    for image in range(4):
        for view in range(2):
            row = f"cell, image {image}, view {view}"
            clean = ROLES[draws.role[view, image]] == "clean"
            assert clean or shown[row, "t"] == pytest.approx(float(draws.temperature[view, image]))
            assert ((row, "t") not in shown) == clean
            assert shown[row, "decay"] == pytest.approx(float(draws.decay[view, image]))
    state(job.folder, settings="of other images")
    section = seen(collect(tmp_path), tmp_path)
    assert section.items == ()
    assert "not what they were trained on" in section.sentences[0]


def test_long_curves_are_thinned_and_gaps_left_open() -> None:
    x = list(range(1, 301))
    y = [1 / one if one < 150 or one > 200 else float("nan") for one in x]
    curve = Curve(x, y, [value * 0.9 for value in y], [value * 1.1 for value in y])
    body = lines(
        Panel(title="", x_title="epoch", y_title="NLL", curves={"cell": curve}, log=True), styles(["cell"], []), "NLL"
    ).body
    paths = re.findall(r'class="line" d="M([^"]+)"', body)
    assert len(paths) == 2
    assert 40 < sum(path.count("L") + 1 for path in paths) <= 60
    assert "nan" not in body


@settings(deadline=None)
@given(
    st.floats(-1e4, 1e4) | st.floats(1e-5, 1e33), st.floats(1e-2, 1e4) | st.floats(1e-9, 1e33), st.integers(2, 8),
    st.booleans(),
)  # fmt: skip
def test_ticks_are_on_the_axis_and_differ_in_their_texts(low: float, length: float, count: int, log: bool) -> None:
    scale = covering([low, low + length], 0.0, 300.0, log=log)
    ticks = scale.ticks(count)
    assert 2 <= len(ticks) <= 2 * count + 2
    assert all(-1e-6 <= scale.at(tick) <= 300 + 1e-6 for tick in ticks)
    assert len(set(tick_texts(ticks))) == len(ticks)


def cifar_run(folder: Path, cell: str, seed: int, **changes: object) -> Collected:
    """A run whose settings are like the papers'; its predictions are not."""
    settings = {"dataset": "cifar10", "network": "preact-resnet-50", "epochs": 7, "views": 1, "batch_size": 128}
    reported.write_run(folder, cell, seed, 1.0, settings=reported.config("reference", seed, **{**settings, **changes}))
    return collect(folder)


def test_published_figures_stand_beside_ours(tmp_path: Path) -> None:
    collected = cifar_run(tmp_path, "ours", 0, augment="fcr,trivial-augment", mollify="noise,blur")
    section = published(collected)
    [table] = section.items
    assert isinstance(table, Table)
    rows = {row.name: row for row in table.rows}
    row = rows["ours: heinonen2025 table1, clean error"]
    theirs = next(
        float(one.value) for one in read_published()
        if (one.table, one.dataset, one.augmentation, one.mollification, one.split, one.metric)
        == ("table1", "cifar10", "FCR+TrivAug", "yes", "clean", "error")
    )  # fmt: skip
    ours = 100 * collected.cells["ours"].first.scores["clean_error"]
    assert row.entries[0].numbers[0][1] == theirs
    assert row.entries[2].numbers[0][1] == pytest.approx(ours - theirs)
    assert "epochs: 7, theirs 300" in row.entries[3].text
    assert "training images: 160, theirs 50000" in row.entries[3].text
    assert "objective" not in row.entries[3].text
    assert not any("corrupted" in name for name in rows)
    assert "not compared: heinonen2025: warm-up, Nesterov momentum, seeds, order of augmentations." in table.note
    reported.robustness_scores(tmp_path / "ours/seed-0", 0.0)
    [table] = published(collect(tmp_path)).items
    assert isinstance(table, Table)
    names = {row.name for row in table.rows}
    assert {"ours: heinonen2025 table1, corrupted ece", "ours: heinonen2025 table2, fog error"} <= names


def test_protocols_differ_in_objective_and_nothing_matches_digits(tmp_path: Path, comparison: Path) -> None:
    collected = cifar_run(
        tmp_path, "ours", 0, augment="fcr", mollify="none", rotation=0.0, network="resnet-18", aggregator="log-mean"
    )
    cell = collected.cells["ours"]
    figure = next(one for one in read_published() if one.source == "liu2023" and one.augmentation == "baseline")
    assert augmentation_names(cell.config) == {"heinonen2025": "FCR", "liu2023": "baseline"}
    assert "objective: smoothed + log-mean, theirs cross-entropy" in protocol_differences(cell, figure)
    assert measured(cell, figure)
    nothing = published(collect(comparison))
    assert nothing.items == ()
    assert "Nothing published matches" in nothing.sentences[0]


THEIRS: dict[str, dict[str, object]] = {
    "heinonen2025": {
        "epochs": 300, "optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4,
        "rate_schedule": "cosine", "precision": "bf16", "flip": 0.5, "crop_padding": 4, "mollify": "noise,blur",
    },
    "liu2023": {"epochs": 500, "rate_schedule": "cosine", "crop_padding": 4, "rotation": 0.0, "mollify": "none"},
}  # fmt: skip
"""Settings as facts of the papers have them."""
COUNTED = ("training images", "test images", "seeds", "as published")
"""What stand-ins have fewer of, and what is said of those that differ in nothing."""


@pytest.mark.parametrize(
    ("source", "augmentation", "changes", "said"),
    [
        ("liu2023", "label-smoothing", {"likelihood": "label-smoothing", "rotation": 0.0}, None),
        ("liu2023", "baseline", {"likelihood": "categorical", "rotation": 0.0}, None),
        (
            "liu2023", "online-label-smoothing",
            {"likelihood": "categorical", "rotation": 0.0, "online_labels": 0.5}, None,
        ),
        (
            "liu2023", "soft-augmentation",
            {"augment": "fcr,soft-crop:sigma=0.5", "soften": "crop:polynomial:k=2", "rotation": 0.0},
            "augmentation: soft-crop:sigma=0.5, theirs soft-crop",
        ),
        (
            "liu2023", "soft-augmentation",
            {"augment": "fcr,soft-crop", "soften": "crop:polynomial:k=3", "rotation": 0.0},
            "soften: crop:polynomial:k=3, theirs crop:polynomial:k=2",
        ),
        (
            "liu2023", "soft-augmentation",
            {"augment": "fcr,soft-crop", "soften": "crop:polynomial:k=2", "soften_into": "weight", "rotation": 0.0},
            "soften into: weight, theirs target",
        ),
        (
            "heinonen2025", "FCR", {"mollify": "noise,blur", "k_blur": 2.0},
            f"mollification: Beta(1,2), k 1 and 2, {THIRD}, theirs Beta(1,2), k 1 and 1, {THIRD}",
        ),
        (
            "heinonen2025", "FCR", {"mollify": "noise,blur", "beta": 9.0},
            f"mollification: Beta(1,9), k 1 and 1, {THIRD}, theirs Beta(1,2), k 1 and 1, {THIRD}",
        ),
        ("heinonen2025", "FCR", {"rotation": 30.0}, "rotation in degrees: 30.0, theirs 15.0"),
        (
            "heinonen2025", "FCR+AutoAug", {"augment": "fcr,auto-augment"},
            "augmentation: auto-augment, theirs auto-augment:policy=imagenet",
        ),
        (
            "heinonen2025", "FCR+RandAug", {"augment": "fcr,rand-augment:magnitude=12"},
            "augmentation: rand-augment:magnitude=12, theirs rand-augment",
        ),
        ("heinonen2025", "FCR", {"learning_rate": 1.0}, "learning rate: 1.0, theirs 0.01"),
        ("heinonen2025", "FCR", {"weight_decay": 0.0}, "weight decay: 0.0, theirs 0.0005"),
        ("heinonen2025", "FCR", {"momentum": 0.5}, "momentum: 0.5, theirs 0.9"),
        ("heinonen2025", "FCR", {"rate_schedule": "constant"}, "rate schedule: constant, theirs cosine"),
        (
            "heinonen2025", "FCR", {"optimizer": "adamw", "momentum": None, "nesterov": None},
            "optimizer: adamw, theirs sgd",
        ),
        ("heinonen2025", "FCR", {"precision": "mixed"}, None),
        ("heinonen2025", "FCR", {"precision": "fp32"}, "precision: fp32, theirs bf16 or mixed"),
        ("heinonen2025", "FCR", {"flip": 0.0}, "flip: 0.0, theirs 0.5"),
        ("heinonen2025", "none", {"augment": "none", "flip": 0.0, "crop_padding": 0, "rotation": 0.0}, None),
        ("heinonen2025", "FCR", {"online_labels": 0.5}, "share of hard labels: 0.5, theirs 1.0"),
        ("heinonen2025", "FCR", {"gradient_clip": 1.0}, "gradient clip: 1.0, theirs none"),
        ("heinonen2025", "FCR", {"average": 0.999}, "average of weights: 0.999, theirs none"),
        ("heinonen2025", "FCR", {"coupling": "sobol"}, "coupling of views: sobol, theirs independent"),
        ("heinonen2025", "FCR", {"degrade_toward": "online"}, "labels degrade toward: online, theirs uniform"),
        (
            "heinonen2025", "FCR", {"weights": "before.pt", "weights_digest": "0"},
            "weights to start from: before.pt, theirs none",
        ),
        (
            "liu2023", "rand-augment", {"augment": "fcr,rand-augment:magnitude=12"},
            "augmentation: rand-augment:magnitude=12, theirs not stated",
        ),
        ("liu2023", "cutout", {"augment": "fcr,cutout:size=8"}, None),
        ("liu2023", "baseline", {"crop_padding": 8}, "crop padding: 8, theirs 4"),
        (
            "liu2023", "soft-augmentation",
            {"augment": "fcr,soft-crop", "soften": "crop:polynomial:k=2", "crop_padding": 4},
            "crop padding: 4, theirs 0",
        ),
        ("liu2023", "baseline", {"learning_rate": 5.0}, None),  # theirs is not stated
        ("liu2023", "online-label-smoothing", {"online_labels": 0.9}, "share of hard labels: 0.9, theirs 0.5"),
        (
            "liu2023", "online-label-smoothing", {"online_labels": 0.5, "likelihood": "focal"},
            "objective: focal + jensen, theirs cross-entropy",
        ),
        (
            "liu2023", "focal-1", {"likelihood": "focal:focus=1", "aggregator": "log-mean"},
            "objective: focal:focus=1 + log-mean, theirs focal-1",
        ),
        ("liu2023", "rand-augment", {"augment": "fcr,rand-augment", "online_labels": 0.5},
         "share of hard labels: 0.5, theirs 1.0"),
    ],
)  # fmt: skip
def test_what_differs_from_the_published_protocol_is_said(
    tmp_path: Path, source: str, augmentation: str, changes: dict[str, object], said: str | None
) -> None:
    padding = {"crop_padding": 0} if "soft-crop" in str(changes.get("augment")) else {}
    cell = cifar_run(tmp_path, "ours", 0, **{"augment": "fcr", **THEIRS[source], **padding, **changes}).cells["ours"]
    assert augmentation_names(cell.config)[source] == augmentation
    figure = next(one for one in read_published() if (one.source, one.augmentation) == (source, augmentation))
    found = [text for text in protocol_differences(cell, figure) if not text.startswith(COUNTED)]
    assert found == ([] if said is None else [said])


def test_images_count_in_what_is_published_and_seeds_where_theirs_are_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = cifar_run(tmp_path, "ours", 0, augment="fcr", **THEIRS["heinonen2025"]).cells["ours"]
    figure = next(one for one in read_published() if (one.source, one.augmentation) == ("heinonen2025", "FCR"))
    trained, tested = cell.first.training_images, len(cell.runs[0].predictions.labels)
    counts = [f"training images: {trained}, theirs 50000", f"test images: {tested}, theirs 10000"]
    assert (figure.split, protocol_differences(cell, figure)) == ("clean", counts)
    theirs = replace(PUBLISHED_PROTOCOLS["heinonen2025"], images={cell.config.dataset: trained})
    monkeypatch.setitem(PUBLISHED_PROTOCOLS, "heinonen2025", theirs)
    monkeypatch.setitem(TESTED, cell.config.dataset, tested)
    assert protocol_differences(cell, figure) == ["as published"]
    assert "seeds, order of augmentations" in not_stated("heinonen2025")
    assert "parameters of augmentations but its crop, seeds of ImageNet" in not_stated("liu2023")


@pytest.mark.parametrize("augment", ["fcr,rand-augment,rand-augment", "fcr,fcr", "mixup,fcr,fcr"])
def test_an_augmentation_twice_is_not_the_published_one(tmp_path: Path, augment: str) -> None:
    changes = {"augment": augment, "rotation": 0.0, "mollify": "none"}
    assert augmentation_names(cifar_run(tmp_path, "ours", 0, **changes).cells["ours"].config) == {}


@pytest.mark.parametrize("name", ["mollification-table-1", "soft-augmentation-table-1"])
def test_full_recipes_differ_in_nothing_that_is_stated(tmp_path: Path, name: str) -> None:
    """Each of their cells is of published figures; flips and crops of digits are not those of CIFAR."""
    recipe = read_recipe(name)
    common = {key: values[0] for key, values in recipe.settings("full", "text").items()}
    of_cifar = {"dataset": "cifar100", "flip": 0.5, "crop_padding": 4}
    for cell in recipe.cells:
        cifar_run(tmp_path, cell.name, 0, **{**common, **of_cifar, **cell.changes})
    figures = [
        one for one in read_published() if (one.table, one.dataset, one.split) == ("table1", "cifar100", "clean")
    ]
    for trained in collect(tmp_path).cells.values():
        [found] = {
            tuple(text for text in protocol_differences(trained, one) if not text.startswith(COUNTED))
            for one in figures
            if augmentation_names(trained.config).get(one.source) == one.augmentation
            and (one.source == "liu2023") == name.startswith("soft")
        }
        assert found == (), trained.name


@pytest.mark.parametrize(("cell", "accuracy"), [("baseline", 3.42), ("soft-augmentation+rand-augment", 18.98)])
def test_the_recipe_of_occlusion_stands_beside_its_published_figures(
    tmp_path: Path, cell: str, accuracy: float
) -> None:
    recipe = read_recipe("soft-augmentation-occlusion")
    common = {key: values[0] for key, values in recipe.settings("full", "text").items()}
    [changes] = [one.changes for one in recipe.cells if one.name == cell]
    cifar_run(tmp_path, "ours", 0, **{**common, **changes})
    reported.robustness_scores(tmp_path / "ours/seed-0", 0.0)
    [table] = published(collect(tmp_path)).items
    assert isinstance(table, Table)
    rows = {row.name: row for row in table.rows}
    assert rows.keys() == {f"ours: liu2023 {text}" for text in ("figure5, occluded_80 accuracy", "table2, clean error")}
    row = rows["ours: liu2023 figure5, occluded_80 accuracy"]
    assert row.entries[0].numbers[0][1] == accuracy
    assert row.entries[2].numbers[0][1] == pytest.approx(100 * (1 - 0.1 - 0.4) - accuracy)


def test_softened_labels_are_not_the_published_hard_ones(tmp_path: Path) -> None:
    config = cifar_run(tmp_path, "ours", 0, augment="fcr", soften="all:smoothed", rotation=0.0, mollify="none")
    assert augmentation_names(config.cells["ours"].config) == {}


def test_scores_under_other_conditions_are_not_set_beside_the_published(tmp_path: Path) -> None:
    for seed in range(3):
        cifar_run(tmp_path, "ours", seed, augment="fcr,trivial-augment")
        reported.robustness_scores(tmp_path / f"ours/seed-{seed}", 0.0, "another" if seed == 2 else "suite")
    cell = collect(tmp_path).cells["ours"]
    figure = next(one for one in read_published() if one.source == "heinonen2025" and one.split == "corrupted")
    assert measured(cell, figure) == []


def test_runs_without_validation_images_say_so(tmp_path: Path) -> None:
    own = reported.write_comparison(tmp_path / "own", 1, ("reference",))
    for folder in own.glob("*/seed-*"):
        with np.load(folder / "predictions.npz") as file:
            arrays = dict(file)
        kept = {key: values[:0] if key.startswith("validation_") else values for key, values in arrays.items()}
        np.savez(folder / "predictions.npz", **kept)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        rest = [{key: value for key, value in line.items() if not key.startswith("validation_")} for line in lines]
        (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in rest))
    page = write_report(own, own / "report", ReportSettings()).page.read_text()
    assert "validation scores can, of which there are none, as no image was held out" in page
    assert "No run held images out to choose a temperature by; validation_fraction=0.1 does." in page


def test_settings_that_are_not_whole_are_left_out_and_not_the_other_seeds(own: Path) -> None:
    (own / "same/seed-0/config.toml").write_text("")
    found = collect(own)
    assert sorted(found.cells["same"].runs) == [1, 2]
    assert any("same/seed-0/config.toml: expected all settings of a run" in text for text in found.warnings)


def test_one_of_anything_is_in_the_singular(tmp_path: Path) -> None:
    reported.write_run(tmp_path, "only", 0, 1.0, settings=reported.config("reference", 0, epochs=1))
    assert subtitle(collect(tmp_path)).startswith("1 cell, 1 run, 1 seed each; 1 epoch; 120 test images; auglik")
    for seed, cell in ((0, "other"), (1, "other")):
        reported.write_run(tmp_path, cell, seed, 1.0, settings=reported.config("sharper", seed, epochs=2))
    assert subtitle(collect(tmp_path)).startswith("2 cells, 3 runs, 1 to 2 seeds each; 1 and 2 epochs; ")


def test_every_published_value_is_a_number() -> None:
    figures = read_published()
    assert len(figures) == 879
    assert all(np.isfinite(float(one.value.partition("±")[0])) for one in figures)


@given(st.text(max_size=40))
def test_latex_has_no_bare_specials(text: str) -> None:
    """Every special character is either escaped or one of our own commands."""
    rest = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]|\$\\pm\$|\$\\gamma\$|\$[+-]\$", "", escape(text))
    assert not set(rest) & set("&%$#_{}~^\\")


def test_latex_rows_are_as_wide_as_their_heads(comparison: Path) -> None:
    text = (building.build(comparison, QUICK, lambda share: None)).texts["tables.tex"]
    for body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        lines = [line for line in body[1].splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(body[0])}
        assert not any(line.lstrip().startswith("[") for line in lines)


def test_numbers_are_formatted_once() -> None:
    assert number(-0.00001, 4).text == "0.0000"
    assert number(-0.00001, 4, sign=True).text == "-0.0000"
    assert number(float("nan"), 2).numbers == ()
    assert mean_error(1.0, float("nan"), 2).text == "1.00"
    assert interval(1, -2, 3, 1).text == "+1.0 [-2.0, +3.0]"
    assert dict(interval(1, -2, 3, 1).numbers) == {"": 1, "lower": -2, "upper": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no such folder"),
        (["--rope", "-1"], "rope: expected nats >= 0"),
        (["--against", "publishd"], "published"),
        (["--seed", "-3"], "seed: expected an integer >= 0"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(auglik, ["report", str(tmp_path / "none"), *arguments])
    assert result.exit_code == 2
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1
    assert message in lines[0]


def test_a_place_that_cannot_be_written_is_refused_before_the_sampling(
    comparison: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(building, "build", lambda *_: pytest.fail("sampled in vain"))
    with pytest.raises(InputError, match="cannot write into the folder"):
        write_report(comparison, tmp_path / "file/report", QUICK)


def test_a_folder_without_finished_runs(own: Path) -> None:
    for path in own.rglob("results.json"):
        path.unlink()
    with pytest.raises(InputError, match="at least one finished run, got 9 unfinished ones"):
        collect(own)
    with pytest.raises(InputError, match="a folder without runs"):
        collect(own / "reference")


def test_the_command_prints_the_answer(comparison: Path, tmp_path: Path) -> None:
    arguments = [str(comparison), "--output", str(tmp_path), "--no-calibration", "--title", "A <title> & more"]
    result = CliRunner().invoke(auglik, ["report", *arguments])
    assert result.exit_code == 0, result.output
    assert "Clean NLL, the primary endpoint" in result.stdout
    assert f"wrote {tmp_path / 'report.html'}" in result.stdout
    assert "<h1>A &lt;title&gt; &amp; more</h1>" in (tmp_path / "report.html").read_text()
