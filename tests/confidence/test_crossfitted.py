"""Confidence by class and by image: the table, the map, folds, and how operations go together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from auglik.cli.main import auglik
from auglik.confidence import Crossfitted, check_rules, decay_of, parse_rules, rules_identity
from auglik.confidence.image_table import ImageTable, Strengths, parse_image_table, write_image_table
from auglik.confidence_tables.crossfitting import PartSource, counts_by_class, folds_of
from auglik.confidence_tables.reference import held_out
from auglik.data import open_dataset
from auglik.inference.convergence import Diagnostics
from auglik.inference.pooling import Pooled
from auglik.objectives import InputError
from auglik.runs.resolve import load_training, read_facts, training_pipeline
from auglik.views.augmentation import OPERATIONS, Applied
from tests.tiny import SETTINGS, options, run

Counted = NDArray[np.integer]
CONVERGED = Diagnostics(r_hat=1.0, ess_bulk=1e4, ess_tail=1e4, divergences=0, chains=4, draws=100)
NAMES = ("cat", "dog", "owl", "bat")
C = len(NAMES)
TABLE = ImageTable(
    source="confidence by image",
    dataset="pets",
    digest="abc",
    class_names=NAMES,
    operations={
        "identity": Strengths("magnitude", np.zeros(1), slice(0, 1)),
        "rotate": Strengths("magnitude", np.array([-90.0, 0, 90]), slice(1, 4)),
        "erase": Strengths("visibility", np.array([0.0, 1]), slice(4, 6)),
    },
    values=np.array([[0.8, 0.4, 0.8, 0.1, 0.3, 0.8], [0.1, 0, 0.1, 0.5, 0.9, 0.2]], np.float32),
    group=np.array([0, 1, 1]),
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_image_table(tmp_path / "table.npz", TABLE)
    return tmp_path / "table.npz"


def confidences(
    path: Path, operation: str, magnitude: float, visibility: float, *, relative: bool = False
) -> list[float]:
    """p of all three images."""
    rows = np.arange(3)
    chosen = Crossfitted(str(path), relative)
    return chosen.confidence_of(operation, np.full(3, magnitude), np.full(3, visibility), C, rows).tolist()


def test_each_image_has_the_confidence_of_its_group_and_none_below_chance(table: Path) -> None:
    assert confidences(table, "rotate", -45, 1) == pytest.approx([0.6, 0.25, 0.25])
    assert confidences(table, "rotate", 45, 1) == pytest.approx([0.45, 0.3, 0.3])
    assert confidences(table, "rotate", 300, 1) == pytest.approx([0.25, 0.5, 0.5])
    assert confidences(table, "erase", 0, 0.5) == pytest.approx([0.55, 0.55, 0.55])
    assert confidences(table, "identity", 0, 1) == pytest.approx([0.8, 0.25, 0.25])
    assert confidences(table, "rotate", -45, 1, relative=True) == pytest.approx([0.75, 0.25, 0.25])
    assert confidences(table, "rotate", 45, 1, relative=True) == pytest.approx([0.45 / 0.8, 1, 1])  # 0.3 of chance
    means = Crossfitted(str(table)).confidence("rotate", np.array([-90.0, 90]), np.ones(2), C)
    assert means.tolist() == pytest.approx([0.25, (0.1 + 0.5 * 2) / 3])  # over images, not groups


def test_table_comes_back_from_its_file_and_enters_the_identity_by_its_content(table: Path) -> None:
    back = parse_image_table(table.read_bytes(), "here")
    assert back.values.tolist() == TABLE.values.tolist()
    assert (back.class_names, back.digest, back.operations["erase"].axis) == (NAMES, "abc", "visibility")
    rules = parse_rules(f"all:crossfitted:table={table}")
    before = rules_identity(rules)
    write_image_table(table, replace(TABLE, group=np.array([0, 0, 1])))
    assert rules_identity(rules) != before
    assert confidences(table, "rotate", -90, 1) == pytest.approx([0.4, 0.4, 0.25])


def test_other_classes_operations_and_images_are_refused_in_one_line(table: Path) -> None:
    rules = parse_rules(f"all:crossfitted:table={table}")
    check_rules(rules, ["rotate", "identity"], NAMES)
    for operations, names, says in (
        (["rotate", "crop"], NAMES, "lacks crop"),
        (["rotate"], ("cat", "dog", "owl", "cow"), "bat which it lacks, and no cow"),
        (["rotate"], NAMES[:3], "bat which it lacks"),
    ):
        with pytest.raises(InputError, match=says):
            check_rules(rules, operations, names)
    with pytest.raises(InputError, match="measure it on this data set"):
        Crossfitted(str(table)).check_images("other")
    with pytest.raises(InputError, match="table=FILE"):
        Crossfitted().identity()
    turned = Applied(np.ones(1, np.float32), np.array([[3]], np.uint8), *np.ones((2, 1, 1), np.float32))
    with pytest.raises(InputError, match="nobody said which"):
        decay_of([[turned]], rules, C)


@pytest.mark.parametrize(
    "change",
    [
        {"values": TABLE.values[:, 1:]},
        {"values": np.full((2, 6), np.nan, np.float32)},
        {"group": np.array([0, 2, 1])},
        {"operations": {"rotate": Strengths("magnitude", np.arange(6.0), slice(0, 6))}},
        {"operations": {"identity": Strengths("size", np.arange(6.0), slice(0, 6))}},
    ],
)
def test_damaged_tables_are_refused_in_one_line(change: dict[str, object], tmp_path: Path) -> None:
    write_image_table(tmp_path / "table.npz", replace(TABLE, **change))  # type: ignore[arg-type]
    for content in ((tmp_path / "table.npz").read_bytes(), b"{}"):
        with pytest.raises(InputError, match="file: expected a table") as refusal:
            parse_image_table(content, "file")
        assert "\n" not in str(refusal.value)


def test_operations_of_each_view_are_looked_up_for_its_own_image(table: Path) -> None:
    rules = parse_rules(f"all:crossfitted:table={table}:relative=true,identity:polynomial")
    codes = [[OPERATIONS.index(name) for name in row] for row in (("rotate", "erase"), ("identity", "rotate"))]
    operation = np.array(codes, np.uint8)
    applied = [[Applied(np.ones(2, np.float32), operation, np.full((2, 2), -45.0), np.full((2, 2), 0.5))]]
    kept = 1 - (1 - np.array([0.6 / 0.8, 0.55 / 0.8])) * C / (C - 1)
    assert decay_of(applied, rules, C, rows=np.array([0, 2])).tolist() == pytest.approx([1 - kept.prod(), 1])
    smallest = decay_of(applied, rules, C, "minimum", rows=np.array([0, 2]))
    assert smallest.tolist() == pytest.approx([1 - kept.min(), 1])


def test_minimum_keeps_what_the_strongest_operation_keeps() -> None:
    """Over operations of a branch and over augmentations; branches are averaged."""
    rules = parse_rules("erase:polynomial:k=1:p_min=0.25")

    def erased(share: float, *visibility: float) -> Applied:
        seen = np.array([visibility], np.float32)
        return Applied(np.full(1, share, np.float32), np.full(seen.shape, OPERATIONS.index("erase")), seen * 0, seen)

    def decay(*applied: list[Applied]) -> float:
        return float(decay_of(applied, rules, C, "minimum")[0])

    assert decay([erased(1, 0.5, 0.75)]) == pytest.approx(0.5)
    assert decay([erased(1, 0.5)], [erased(1, 0.25)]) == pytest.approx(0.75)
    assert decay([erased(0.5, 0.5, 0.2), erased(0.5, 1, 0.6)]) == pytest.approx(1 - (0.2 + 0.6) / 2)


def test_folds_share_out_classes_and_parts_leave_their_fold_out() -> None:
    source = open_dataset("digits")
    arrays = source.train()
    fold = folds_of(arrays.labels, 3, 0)
    counts = np.array([np.bincount(arrays.labels[fold == number], minlength=10) for number in range(3)])
    assert np.ptp(counts, axis=0).max() <= 1
    part = PartSource(source, np.flatnonzero(fold != 1))
    assert np.array_equal(part.train().images, arrays.images[fold != 1])
    assert len(part.test().labels) == len(source.test().labels)
    with pytest.raises(InputError, match="rarest class"):
        folds_of(np.array([0, 0, 1]), 2, 0)


def test_counts_are_those_of_each_class() -> None:
    labels = np.array([0, 2, 2, 1])
    right, images = counts_by_class({"identity": np.array([[1.0, 1, 0, 0]]), "flip": np.eye(4)[:2]}, labels, 3)
    assert right.tolist() == [[[1, 0], [0, 0], [1, 0]], [[1, 0], [0, 0], [0, 1]]]
    assert images.tolist() == [[[1, 0], [1, 0], [2, 0]], [[1, 1], [1, 1], [2, 2]]]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, [*map(str, arguments)])


def of_reference(**changes: object) -> list[str]:
    settings = {**SETTINGS, "epochs": 4, **changes}
    return [
        part
        for key, value in settings.items()
        if not key.startswith("evaluation_")
        for part in (f"--{key.replace('_', '-')}", str(value))
    ]


def test_confidence_by_image_is_of_networks_that_did_not_see_it_and_is_trained_with(tmp_path: Path) -> None:
    output = tmp_path / "table.npz"
    common = ("--by", "image", "--points", 2, "--operations", "rotate,crop,flip", "--output", output)
    result = invoke("confidence", *common, *of_reference())
    assert result.exit_code == 0, result.output
    found, source = parse_image_table(output.read_bytes(), "table"), open_dataset("digits")
    arrays = source.train()
    assert found.values.shape == (len(arrays.labels), 1 + 3 + 2 + 2)
    assert ((found.values >= 0) & (found.values <= 1)).all()
    soften = f"all:crossfitted:table={output}:relative=true"
    trained = run(soften=soften, views=2, train_images=200, validation_fraction=0.2)
    data = load_training(trained, source)
    assert data.rows is not None
    assert np.array_equal(arrays.labels[data.rows], data.training.labels.numpy())
    pipeline = training_pipeline(trained, data.training.gallery.shape, 10, data.rows)
    draws = pipeline.draw(0, 0, 2, len(data.rows), trained.device)
    applied = pipeline.applied_to(draws, 1, np.arange(160))
    whole = decay_of(applied, trained.rules, 10, rows=data.rows)
    others = decay_of(applied, trained.rules, 10, rows=np.roll(data.rows, 1))
    assert np.abs(whole - others).mean() > 0.01
    mollified = pipeline.mollification.decay(draws.role, draws.temperature)[1]
    assert draws.decay[1] == pytest.approx(1 - (1 - mollified) * (1 - whole), abs=1e-5)
    assert invoke("train", *options(soften=soften, epochs=1), "--output", tmp_path / "run").exit_code == 0


def test_confidence_by_class_is_counted_without_the_fold_that_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pooling has tests of its own; here shares are as they were counted."""
    counted: list[int] = []

    def unpooled(right: Counted, images: Counted, strength: Counted, seed: int) -> Pooled:
        assert strength.tolist() == [[0, 0], [1, 0]]  # identity, padded; all and nothing hidden
        counted.append(int(images[1, :, 0].sum()))
        return Pooled(right / np.maximum(images, 1), np.zeros((len(right), 2)), CONVERGED)

    monkeypatch.setattr("auglik.inference.pooling.pooled", unpooled)
    output = tmp_path / "table.npz"
    common = ("--by", "class", "--points", 2, "--operations", "erase", "--output", output)
    result = invoke("confidence", *common, *of_reference(validation_fraction=0.4))
    assert result.exit_code == 0, result.output
    assert "not converged" not in result.output
    found, labels = parse_image_table(output.read_bytes(), "table"), open_dataset("digits").train().labels
    assert counted == [80, 80]
    assert found.values.shape == (2 * 10, 1 + 2)
    assert np.array_equal(found.group, folds_of(labels, 2, 0) * 10 + labels)
    assert not np.array_equal(found.values[:10], found.values[10:])


def test_a_part_never_holds_the_images_that_it_is_to_say_something_of() -> None:
    source = open_dataset("digits")
    fold = folds_of(source.train().labels, 2, 0)
    part = PartSource(source, np.flatnonzero(fold != 0))
    facts = read_facts(part)
    assert facts.images == (fold != 0).sum()
    assert facts.digest != read_facts(source).digest
    measured = held_out(run(train_images=600, validation_fraction=0.3), part)
    own = {image.tobytes() for image in source.train().images[fold == 0]}
    assert not any(image.tobytes() in own for image in measured.images)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--by", "image"), "a .npz file"),
        (("--by", "class", "--measure", "ncc", "--output", "a.npz"), "--measure accuracy"),
        (("--by", "image", "--run", "here", "--output", "a.npz"), "whose labels it would set"),
        (("--by", "image", "--images", "9", "--output", "a.npz"), "every training image"),
        (("--trained-on",), "only works with --run"),
        (("--by", "class", "--output", "a.npz", "--folds", "20", "--dataset", "nowhere"), "nowhere"),
    ],
)
def test_contradictions_are_refused_in_one_line(
    arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("confidence", *arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert result.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("by", "changes", "says"),
    [
        ("class", {"validation_fraction": 0}, "validation_fraction: expected a share > 0, got 0"),
        ("learned", {"validation_fraction": 0}, "validation_fraction: expected a share > 0, got 0"),
        (
            "learned", {"train_images": 60, "validation_fraction": 0.05},
            "validation_fraction: expected at least 6 validation images, got 3 (0.05 of 60 images)",
        ),
        ("learned", {"images": 5}, "--images with --by learned: expected at least 6 to learn from, got 5"),
    ],
)  # fmt: skip
def test_too_few_validation_images_are_refused_before_a_network_is_trained(
    by: str, changes: dict[str, object], says: str, tmp_path: Path
) -> None:
    result = invoke("confidence", "--by", by, "--output", tmp_path / "a.npz", *of_reference(**changes))
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert result.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_table_by_image_needs_no_validation_images(tmp_path: Path) -> None:
    output = tmp_path / "table.npz"
    common = ("--by", "image", "--points", 2, "--operations", "flip", "--output", output)
    result = invoke("confidence", *common, *of_reference(validation_fraction=0, epochs=1))
    assert result.exit_code == 0, result.output
    assert len(parse_image_table(output.read_bytes(), "table").group) == len(open_dataset("digits").train().labels)
