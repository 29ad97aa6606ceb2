"""Comparisons from Python: the same runs and the same numbers as from the command line."""

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

import auglik
from auglik import LIKELIHOODS, Comparison, InputError, compare, load, open_dataset
from auglik.cli.main import auglik as command
from auglik.comparison.compare import _seeds
from auglik.comparison.forest import plot_forest
from auglik.comparison.images import Images, keep_images
from auglik.comparison.named import KINDS, text_of
from auglik.experiments.elsewhere import finished_runs
from auglik.experiments.engines.engine import Outcome
from auglik.objectives.aggregators.geometric import Geometric
from auglik.runs.results import Results
from tests.tiny import SETTINGS, options

CELLS = {"reference": {}, "mean": {"aggregator": "log-mean"}}
SMALL = {**SETTINGS, "device": "cpu", "epochs": 1}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    output = tmp_path_factory.mktemp("comparison") / "results"
    return compare(CELLS, "digits", seeds=[3, 5], settings=SMALL, output=output, jobs=1, quiet=True)


def test_its_runs_are_those_of_the_command_line(comparison: Comparison, tmp_path: Path) -> None:
    arguments = ["--likelihood", "smoothed", "--aggregator", "jensen", "--aggregator", "log-mean"]
    found = CliRunner().invoke(
        command,
        [
            "compare",
            *options(epochs=1, device="cpu"),
            *arguments,
            "--seeds",
            "3,5",
            "--output",
            str(tmp_path),
            "--no-report",
        ],
    )
    assert found.exit_code == 0, found.output
    ours, theirs = (
        {results.settings: results for _, results in finished_runs(folder)} for folder in (comparison.folder, tmp_path)
    )
    assert ours.keys() == theirs.keys()
    nll = {"reference": "smoothed+jensen", "mean": "smoothed+log-mean"}
    other = load(tmp_path)
    for cell, name in nll.items():
        values = [
            table.runs[table.runs.cell == one].clean_nll.tolist() for table, one in ((comparison, cell), (other, name))
        ]
        assert values[0] == values[1]
    assert (comparison.folder / "comparison.csv").read_text().replace("mean", "") == (
        tmp_path / "comparison.csv"
    ).read_text().replace("smoothed+log-mean", "mean").replace("smoothed+jensen", "reference").replace("mean", "")


def test_what_it_says_is_what_the_report_says(comparison: Comparison, tmp_path: Path) -> None:
    report = comparison.report(tmp_path / "report", auglik.ReportSettings(calibration=False))
    assert report.sentences[1:] == comparison.verdicts
    assert report.sentences[0] in repr(comparison)
    assert "data:image/svg+xml" in comparison._repr_html_()
    table = comparison.differences()
    assert table[~table.exploratory].metric.tolist() == ["clean_nll"]
    assert table.outcome.notna().sum() == 1


def test_its_report_has_its_reference_and_region(comparison: Comparison, tmp_path: Path) -> None:
    assert comparison.references["mean"] == "reference"
    turned = auglik.load(comparison.folder, reference="mean", rope=1e-6)
    assert turned.report(tmp_path / "report").sentences[1:] == turned.verdicts
    assert turned.verdicts != comparison.verdicts


def test_runs_are_a_table_of_settings_and_scores(comparison: Comparison) -> None:
    runs = comparison.runs
    assert runs.cell.tolist() == ["reference", "reference", "mean", "mean"]
    assert runs.seed.tolist() == [3, 5, 3, 5]
    assert set(runs.aggregator) == {"jensen", "log-mean"}
    for row in runs.itertuples():
        results = json.loads((Path(row.folder) / "results.json").read_text())
        assert row.clean_nll == results["clean_nll"]


def test_the_forest_has_every_cell_and_interval(comparison: Comparison) -> None:
    import matplotlib.pyplot as plt

    ax = comparison.plot_forest()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["mean"]
    row = comparison.differences().query("metric == 'clean_nll'").iloc[0]
    assert [row.lower, row.upper] in [np.asarray(line.get_xdata()).tolist() for line in ax.lines]
    plt.close("all")
    with pytest.raises(InputError, match="did you mean 'clean_nll'"):
        comparison.plot_forest("clean_nl")


def test_the_forest_has_room_for_long_names(comparison: Comparison) -> None:
    import matplotlib.pyplot as plt

    def named(rows: list[Any]) -> list[Any]:
        return [replace(row, cell="a" * 120, reference="b" * 120) for row in rows]

    found = comparison.inference
    ax = plot_forest(replace(found, primary=named(found.primary), metrics=named(found.metrics)))
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    assert ax.get_position().width > 0.3
    plt.close("all")


def test_calibration_is_a_tree_for_arviz(comparison: Comparison) -> None:
    tree = comparison.calibration(draws=20)
    assert tree["posterior"].sizes["cell"] == 2
    assert tree["posterior"].sizes["chain"] == 4


def test_finished_runs_are_not_trained_again(comparison: Comparison) -> None:
    before = {path: path.stat().st_mtime_ns for path in comparison.folder.glob("*/seed-*/results.json")}
    again = compare(CELLS, "digits", seeds=[3, 5], settings=SMALL, output=comparison.folder, quiet=True)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert again.runs.equals(comparison.runs)
    assert load(comparison.folder).verdicts == comparison.verdicts


def test_a_run_whose_predictions_are_gone_is_scored_again(comparison: Comparison, tmp_path: Path) -> None:
    folder = shutil.copytree(comparison.folder, tmp_path / "results")
    (folder / "mean" / "seed-5" / "predictions.npz").unlink()
    again = compare(CELLS, "digits", seeds=[3, 5], settings=SMALL, output=folder, jobs=1, quiet=True)
    scores = [name for name in comparison.runs if name not in ("folder", "train_seconds", "evaluation_seconds")]
    assert again.runs[scores].equals(comparison.runs[scores])
    assert again.verdicts == comparison.verdicts


def test_objects_are_the_names_that_they_have(tmp_path: Path) -> None:
    cells: dict[str, dict[str, object]] = {
        "named": {"aggregator": "geometric:T=2"},
        "object": {"likelihood": LIKELIHOODS["categorical"], "aggregator": auglik.AGGREGATORS["jensen"]},
    }
    found = compare(cells, "digits", 1, settings=SMALL, output=tmp_path, quiet=True)
    assert found.runs.likelihood.tolist() == ["smoothed", "categorical"]
    with pytest.raises(InputError, match="aggregator: expected a name or an object of a class that has one"):
        compare({"a": {"aggregator": object()}}, "digits", 1, settings=SMALL, output=tmp_path)


def digits() -> tuple[tuple[NDArray[np.uint8], NDArray[np.int64]], ...]:
    source = open_dataset("digits")
    return tuple((part.images[:, 0], part.labels) for part in (source.train(), source.test()))


class Pairs(Dataset[tuple[torch.Tensor, int]]):
    """Images as floats, of named classes."""

    classes: list[str] = ["zero", *"123456789"]  # noqa: RUF012 - as torchvision has it

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], jitter: bool = False) -> None:
        self.images, self.labels, self.jitter = images, labels, jitter

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        noise = torch.rand(()) if self.jitter else torch.tensor(1.0)
        return torch.from_numpy(self.images[place])[None].float() / 255 * noise, int(self.labels[place])


def test_arrays_and_torch_data_sets_are_the_data_set_of_the_same_images(comparison: Comparison, tmp_path: Path) -> None:
    train, test = digits()
    named: dict[str, ArrayLike] = dict(
        zip(("train_images", "train_labels", "test_images", "test_labels"), (*train, *test), strict=True)
    )
    tensors = [TensorDataset(torch.from_numpy(images), torch.from_numpy(labels)) for images, labels in (train, test)]
    nll = comparison.runs[(comparison.runs.cell == "reference") & (comparison.runs.seed == 3)].clean_nll.tolist()
    ways: list[Images] = [(train, test), named, tensors, [Pairs(*train), Pairs(*test)]]
    for place, data in enumerate(ways):
        output = tmp_path / str(place)
        found = compare({"reference": {"flip": 0.0}}, data, [3], settings=SMALL, output=output, quiet=True)
        assert found.runs.clean_nll.tolist() == nll, place
        assert len(list((output / "data").glob("*.npz"))) == 1
    assert found.runs.dataset.tolist() == [str(next((output / "data").glob("*.npz")))]


def test_a_data_set_with_random_transforms_is_refused(tmp_path: Path) -> None:
    train, test = digits()
    with pytest.raises(InputError, match="without random transforms"):
        compare(None, [Pairs(*train, jitter=True), Pairs(*test)], 1, output=tmp_path)


def test_class_names_are_part_of_what_is_kept_and_are_those_of_both_parts(tmp_path: Path) -> None:
    train, test = (Pairs(*part) for part in digits())
    first = keep_images([train, test], tmp_path)
    train.classes = test.classes = [*"0123456789"]
    assert keep_images([train, test], tmp_path) != first
    test.classes = [*"9876543210"]
    with pytest.raises(InputError, match="expected both parts to number the same classes"):
        keep_images([train, test], tmp_path)


def test_labels_of_a_data_set_are_class_numbers(tmp_path: Path) -> None:
    halves = [[(np.zeros((8, 8), np.uint8), 0.5)] * 2] * 2
    with pytest.raises(InputError, match="expected pairs of an image and a class number"):
        keep_images(halves, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected pairs of an image and a class number"):
        keep_images([[1, 2], [3, 4]], tmp_path)  # type: ignore[list-item]


def test_numpy_numbers_and_paths_are_settings_and_seeds(tmp_path: Path) -> None:
    assert text_of("views", np.int64(3), tmp_path) == 3
    assert type(text_of("views", np.int64(3), tmp_path)) is int
    assert text_of("weights", tmp_path, tmp_path) == str(tmp_path)
    assert _seeds(np.arange(2, 4)) == [2, 3]  # type: ignore[arg-type]
    assert _seeds(np.int64(2)) == [0, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"train_images": []}, "got no train_labels"),
        ([1, 2, 3], "the training and the test part, got list"),
        ([[], []], r"expected \(images, labels\) or a data set with images"),
    ],
)
def test_what_is_no_data_set_is_refused(data: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        compare(None, data, 1, output=tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], [1.5], [True]])
def test_seeds_are_different_whole_numbers(seeds: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seeds: expected"):
        compare(CELLS, "digits", seeds, settings=SMALL, output=tmp_path)  # type: ignore[arg-type]


def test_a_list_multiplies_the_cells(tmp_path: Path) -> None:
    found = compare(
        None, "digits", 1, settings={**SMALL, "likelihood": ["smoothed", "tempered"]}, output=tmp_path, quiet=True
    )
    assert found.cells == ("smoothed+jensen", "tempered+jensen")


def test_a_run_that_fails_is_warned_of_and_none_is_an_error(tmp_path: Path) -> None:
    diverging = {"reference": {}, "diverged": {"learning_rate": 1e9, "momentum": 0.0}}
    with pytest.warns(RuntimeWarning, match="diverged.*failed: NonFiniteLossError"):
        found = compare(diverging, "digits", 1, settings=SMALL, output=tmp_path / "a", quiet=True)
    assert found.cells == ("reference",)
    with pytest.warns(RuntimeWarning, match="failed"), pytest.raises(InputError, match="no run succeeded: diverged"):
        compare({"diverged": diverging["diverged"]}, "digits", 1, settings=SMALL, output=tmp_path / "b", quiet=True)


def test_a_script_needs_no_main_guard_though_its_runs_have_processes_of_their_own(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import auglik\n"
        "print('begun', flush=True)\n"
        f"found = auglik.compare(settings={ {**SMALL, 'likelihood': ['smoothed', 'tempered']}!r}, seeds=1, jobs=2)\n"
        "print(len(found.runs))\n"
    )
    found = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["begun", "2"]
    assert "training: 100%" in found.stderr


def test_every_registered_object_has_its_name(tmp_path: Path) -> None:
    for key in ("likelihood", "aggregator", "network", "augment"):
        for name, entry in KINDS[key].built_in.items():
            assert text_of(key, entry, tmp_path) == name
    assert text_of("aggregator", Geometric(T=2.0), tmp_path) == "geometric:T=2"


PROGRAM = """
import math
from dataclasses import dataclass
from typing import ClassVar

import auglik
from auglik.objectives.aggregators.jensen import Jensen

FORMULA = "mean of the largest l_k"
print("begun", flush=True)


def kept(table, share):
    return table.topk(max(1, round(share * len(table))), dim=0).values.mean(0)


@dataclass(frozen=True)
class BestViews:
    formula: ClassVar[str] = FORMULA
    source: ClassVar[str] = "you"
    minimum_views: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    likelihood_power: ClassVar[float] = math.inf
    remarks: ClassVar[tuple[str, ...]] = ()

    share: float = 0.5

    def fold(self, table, weight=None, log_importance=None):
        if weight is not None or log_importance is not None:
            raise auglik.InputError("best-views: expected views of equal weight")
        return kept(table, self.share)

    def predictive(self, log_probabilities):
        return Jensen().predictive(log_probabilities)
"""
CALL = """
cells = {{"reference": {{}}, "best": {{"aggregator": BestViews(share=0.25)}}}}
found = auglik.compare(cells, "digits", 1, settings={settings!r}, output="out", jobs=2, quiet=True)
print(found.runs.aggregator.iloc[1].replace(":", " "), end=" ")
"""


def test_an_objective_that_a_program_defines_runs_in_processes_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROGRAM + CALL.format(settings=SMALL))
    for _ in range(2):  # the second time all runs are found finished
        found = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert found.returncode == 0, found.stderr
        begun, path, name, share = found.stdout.split()
        assert (begun, name, share) == ("begun", "BestViews", "share=0.25")
        assert "print" not in Path(path).read_text()
    assert len(list((tmp_path / "out" / "code").iterdir())) == 1
    assert load(tmp_path / "out").runs.aggregator.iloc[1] == f"{path}:{name}:{share}"


def test_what_a_program_computes_cannot_be_kept(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        PROGRAM.replace('FORMULA = "', 'FORMULA = str("').replace('l_k"\nprint', 'l_k")\nprint')
        + CALL.format(settings=SMALL)
    )
    found = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert "BestViews: FORMULA, which it needs, is computed by the program" in found.stderr


def test_objects_of_modules_are_named_by_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "best_views.py").write_text(PROGRAM.replace('print("begun", flush=True)', ""))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("best_views")
    assert text_of("aggregator", module.BestViews(), tmp_path) == f"{tmp_path / 'best_views.py'}:BestViews"
    assert text_of("aggregator", module.BestViews, tmp_path) == f"{tmp_path / 'best_views.py'}:BestViews"

    class Local(module.BestViews):  # type: ignore[misc, name-defined]
        pass

    with pytest.raises(InputError, match="at the top level of a module"):
        text_of("aggregator", Local(), tmp_path)


def test_finished_runs_under_another_name_are_there_under_both(comparison: Comparison, tmp_path: Path) -> None:
    """The same settings under another name are not trained again, and the report is of the names asked for last."""
    output = tmp_path / "results"
    shutil.copytree(comparison.folder, output)
    begun = output / "renamed" / "seed-3"
    begun.mkdir(parents=True)
    again = compare({"renamed": {}, "mean": {"aggregator": "log-mean"}}, "digits", seeds=[3, 5], settings=SMALL,
                    output=output, jobs=1, quiet=True, reference="renamed")  # fmt: skip
    assert again.cells == ("renamed", "mean")
    assert again.references == dict.fromkeys(("renamed", "mean"), "renamed")
    assert any(text.startswith("left out: reference, of an earlier comparison") for text in again.warnings)
    results = (output / cell / "seed-3" / "results.json" for cell in ("renamed", "reference"))
    ours, theirs = (json.loads(path.read_text()) for path in results)
    assert ours == {**theirs, "cell": "renamed"}
    assert [row.mean for row in again.inference.primary] == [row.mean for row in comparison.inference.primary]
    assert json.loads((comparison.folder / "reference" / "seed-3" / "results.json").read_text())["cell"] == "reference"


@pytest.mark.parametrize("mode", ["P", "HSV", "I;16"])
def test_pil_images_that_are_no_levels_are_refused(mode: str, tmp_path: Path) -> None:
    picture = Image.new("L", (4, 4)).convert(mode) if mode != "I;16" else Image.new("I;16", (4, 4))
    part = [(picture, place % 2) for place in range(4)]
    with pytest.raises(InputError, match=f"expected PIL images in L or RGB, got {mode}"):
        keep_images((part, part), tmp_path)  # type: ignore[arg-type]


class Flips:
    """Flips about half of its images, whenever they are read."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)

    def __len__(self) -> int:
        return 40

    def __getitem__(self, place: int) -> tuple[NDArray[np.uint8], int]:
        image = self.images[place]
        return (image[:, ::-1] if self.rng.random() < 0.5 else image), place % 2


@pytest.mark.parametrize("seed", range(20))
def test_random_flips_are_refused_whatever_the_draw(seed: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without random transforms"):
        keep_images((Flips(seed), Flips(seed)), tmp_path)


class Counts(Flips):
    """Its `classes` are a number."""

    classes = 2

    def __getitem__(self, place: int) -> tuple[NDArray[np.uint8], int]:
        return self.images[place], place % 2


def test_classes_that_are_no_names_are_not_read(tmp_path: Path) -> None:
    assert keep_images((Counts(0), Counts(0)), tmp_path).endswith(".npz")
    mapped = Counts(0)
    mapped.classes = {"b": 1, "a": 0}  # type: ignore[assignment]
    assert keep_images((mapped, Counts(0)), tmp_path).endswith(".npz")


def test_tensors_that_numpy_cannot_read_are_refused_in_a_line(tmp_path: Path) -> None:
    images, labels = torch.rand(6, 4, 4), torch.arange(6) % 2
    with pytest.raises(InputError, match="expected arrays or tensors of numbers"):
        keep_images(((images.bfloat16(), labels), (images, labels)), tmp_path)
    graph = images.clone().requires_grad_()
    assert keep_images(((graph, labels), (images, labels)), tmp_path).endswith(".npz")


def test_more_seeds_than_can_be_are_refused_before_they_are_counted() -> None:
    with pytest.raises(InputError, match=r"for one seed give \[2000000000\]"):
        _seeds(2_000_000_000)


def test_what_is_refused_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    for output, kept in ((tmp_path / "new", False), (tmp_path, True)):
        with pytest.raises(InputError, match="unknown"):
            compare(CELLS, dataset="digits", seeds=1, reference="unknown", output=output)
        assert output.exists() == kept


@pytest.mark.parametrize("given", [{"cells": {}}, {"settings": {"views": []}}])
def test_nothing_to_compare_is_refused(given: dict[str, dict[str, list[int]]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected at least one"):
        compare(**{"cells": CELLS, **given}, dataset="digits", seeds=1, output=tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seed", "said"), [(3, r"\[3\]"), ([3, 4], r"\[3, 4\]")])
def test_seeds_are_no_settings(seed: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"seed: expected none in settings: give seeds={said}"):
        compare(CELLS, "digits", settings={**SMALL, "seed": seed}, output=tmp_path)


@pytest.mark.parametrize(
    "cells", ["reference", ["a", "b"], {"a": None}, {"a": {}, "b": 3}, 3, [("a", {}, {})], {1: {}}]
)
def test_cells_of_another_form_are_refused_in_a_line(cells: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cells: expected settings by cell name, \{'name': \{\.\.\.\}\}, got ."):
        compare(cells, "digits", 1, settings=SMALL, output=tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["P", "HSV", "1"])
@pytest.mark.parametrize("nested", [False, True])
def test_lists_of_pil_images_that_are_no_levels_are_refused(mode: str, nested: bool, tmp_path: Path) -> None:
    fine, other = Image.new("L", (4, 4)), Image.new("RGB", (4, 4)).convert(mode)
    pictures = [[one] if nested else one for one in (fine, fine, other)]
    part = (pictures, [0, 1, 0])
    with pytest.raises(InputError, match=f"expected PIL images in L or RGB, got {mode}"):
        keep_images((part, part), tmp_path)  # type: ignore[arg-type]


def test_lists_of_pil_images_are_their_levels(tmp_path: Path) -> None:
    for shape in ((4, 4, 4), (4, 4, 4, 3)):
        levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        part = ([Image.fromarray(one) for one in levels], [0, 1, 0, 1])
        kept = np.load(keep_images((part, part), tmp_path))["train_images"]  # type: ignore[arg-type]
        assert np.array_equal(np.moveaxis(kept, 1, -1).reshape(shape), levels)


def test_arrays_in_files_that_are_mapped_are_arrays(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (4, 5, 5), dtype=np.uint8)
    np.save(tmp_path / "levels.npy", levels)
    part = (np.load(tmp_path / "levels.npy", mmap_mode="r"), [0, 1, 0, 1])
    kept = np.load(keep_images((part, part), tmp_path))["train_images"]
    assert np.array_equal(kept.reshape(levels.shape), levels)


@pytest.mark.parametrize("kind", ["pil", "arrays", "tensors", "list"])
def test_grey_and_rgb_images_are_told_apart_from_sizes(kind: str, tmp_path: Path) -> None:
    grey, rgb = np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)
    images: list[object] = [Image.fromarray(grey), Image.fromarray(rgb)]
    if kind == "arrays":
        images = [grey, rgb]
    elif kind == "tensors":
        images = [torch.zeros(1, 4, 4), torch.zeros(3, 4, 4)]
    part = (images, [0, 1]) if kind == "list" else [(image, place) for place, image in enumerate(images)]
    with pytest.raises(InputError, match="got grey and RGB images: convert them to one"):
        keep_images((part, part), tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([(4, 4), (5, 4)], "expected images of one size, got several: resize them first"),
        ([(4, 4, 3), (5, 4, 3)], "expected images of one size, got several: resize them first"),
        ([(4, 4, 3), (3, 4, 4)], r"expected images of one shape, got \(3, 4, 4\) and \(4, 4, 3\)"),
    ],
)
def test_images_that_cannot_be_stacked_are_refused(shapes: list[tuple[int, ...]], said: str, tmp_path: Path) -> None:
    part = [(np.zeros(shape, np.uint8), place) for place, shape in enumerate(shapes)]
    with pytest.raises(InputError, match=said):
        keep_images((part, part), tmp_path)


def test_runs_that_are_handed_over_are_told_of_in_one_line(tmp_path: Path) -> None:
    class Detached:
        def execute(self, jobs: object, stop: object, progress: object) -> Iterator[Outcome[Results]]:
            yield from ()

    with pytest.raises(InputError, match="the runs were handed over: make the same call again without detach"):
        compare(CELLS, "digits", seeds=1, settings=SMALL, output=tmp_path, engine=Detached(), quiet=True)  # type: ignore[arg-type]
