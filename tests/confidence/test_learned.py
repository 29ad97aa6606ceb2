"""The learned estimator: its file, its map, its fit against a twin in torch, its scores, and the command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import entropy

from auglik.cli.main import auglik
from auglik.confidence import Learned, check_rules, decay_of, parse_rules, rules_identity
from auglik.confidence.estimator import Estimator, Fit, parse_estimator, write_estimator
from auglik.confidence.image_table import ImageTable, Strengths, write_image_table
from auglik.confidence_tables import learning
from auglik.confidence_tables.crossfitting import folds_of
from auglik.confidence_tables.learning import Outcomes, features, judge, learn, predicted
from auglik.data import open_dataset
from auglik.inference.pooling import Pooled
from auglik.objectives import InputError
from auglik.views.augmentation import OPERATIONS, Applied
from tests.confidence.test_crossfitted import CONVERGED, Counted, of_reference
from tests.tiny import options

NAMES = ("cat", "dog", "owl", "bat")
C = len(NAMES)
OPERATIONS_OF = {
    "identity": Strengths("magnitude", np.zeros(1), slice(0, 1)),
    "rotate": Strengths("magnitude", np.array([-90.0, 90]), slice(1, 3)),
    "erase": Strengths("visibility", np.array([0.0, 1]), slice(3, 5)),
}
rng = np.random.default_rng(3)
FIT = Fit(
    curve=rng.normal(size=(2, 5)), loading=rng.normal(size=(2, 5, 2)), embedding=rng.normal(size=(2, C, 2)),
    weights=rng.normal(size=(2, 3, 2)), center=rng.normal(size=(2, 3)), scale=rng.uniform(1, 2, (2, 3)),
)  # fmt: skip
ESTIMATOR = Estimator(
    source="an estimator", dataset="pets", digest="abc", class_names=NAMES, operations=OPERATIONS_OF,
    feature_names=("a", "b", "c"), fit=FIT, fold=np.array([0, 1, 1]), label=np.array([2, 0, 3]),
    features=rng.normal(size=(3, 3)),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_estimator(tmp_path / "learned.npz", ESTIMATOR)
    return tmp_path / "learned.npz"


def logit(image: int | np.integer, column: int) -> float:
    """From the definition, one image at a time."""
    e, own = ESTIMATOR.fold[image], ESTIMATOR.label[image]
    traits = FIT.embedding[e, own].copy()
    for number, value in enumerate(ESTIMATOR.features[image]):
        traits += (value - FIT.center[e, number]) / FIT.scale[e, number] * FIT.weights[e, number]
    return float(FIT.curve[e, column] + np.dot(FIT.loading[e, column], traits))


def limited(values: list[float]) -> list[float]:
    return np.clip(values, 1 / C, 1).tolist()


def test_each_image_has_its_own_estimator_class_and_features(file: Path) -> None:
    chosen, rows = Learned(str(file)), np.arange(3)
    turned = chosen.confidence_of("rotate", np.full(3, -45.0), np.ones(3), C, rows)
    between = [expit(0.75 * logit(image, 1) + 0.25 * logit(image, 2)) for image in rows]
    assert turned.tolist() == pytest.approx(limited(between))
    seen = chosen.confidence_of("erase", np.zeros(3), np.full(3, -1.0), C, rows)
    assert seen.tolist() == pytest.approx(limited([expit(logit(image, 3)) for image in rows]))
    relative = Learned(str(file), relative=True).confidence_of("rotate", np.full(3, 300.0), np.ones(3), C, rows)
    shares = [expit(logit(image, 2)) / max(expit(logit(image, 0)), 1 / C) for image in rows]
    assert relative.tolist() == pytest.approx(limited(shares))
    mean = float(np.mean([expit(logit(image, 1)) for image in rows]))
    assert chosen.confidence("rotate", np.array([-90.0]), np.ones(1), C).tolist() == pytest.approx(limited([mean]))
    one = chosen.confidence_of("rotate", np.array([-45.0]), np.ones(1), C, np.array([1]))
    assert one[0] == turned[1]  # the same bits, whatever other views are drawn with it


def test_its_content_enters_the_identity_and_views_are_softened_by_their_own_image(file: Path) -> None:
    rules = parse_rules(f"all:learned:file={file}")
    before = rules_identity(rules)
    erased = Applied(np.ones(2, np.float32), np.full((2, 1), OPERATIONS.index("erase")), *np.zeros((2, 2, 1)))
    kept = 1 - (1 - np.array(limited([expit(logit(image, 3)) for image in (2, 0)]))) * C / (C - 1)
    assert decay_of([[erased]], rules, C, rows=np.array([2, 0])).tolist() == pytest.approx((1 - kept).tolist())
    write_estimator(file, replace(ESTIMATOR, label=np.array([1, 0, 3])))
    assert rules_identity(rules) != before


def test_other_data_classes_operations_and_files_are_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    rules = parse_rules(f"all:learned:file={file}")
    check_rules(rules, ["rotate", "identity"], NAMES)
    with pytest.raises(InputError, match="lacks crop"):
        check_rules(rules, ["rotate", "crop"], NAMES)
    with pytest.raises(InputError, match="no cow"):
        check_rules(rules, ["rotate"], ("cat", "dog", "owl", "cow"))
    with pytest.raises(InputError, match="learn it on this data set"):
        Learned(str(file)).check_images("other")
    with pytest.raises(InputError, match="file=FILE"):
        Learned().identity()
    table = ImageTable(
        source="a table", dataset="pets", digest="abc", class_names=NAMES, operations=OPERATIONS_OF,
        values=np.ones((1, 5), np.float32), group=np.zeros(3, np.int64),
    )  # fmt: skip
    write_image_table(tmp_path / "table.npz", table)
    with pytest.raises(InputError, match="a table of another kind"):
        Learned(str(tmp_path / "table.npz")).lacking([], NAMES)
    for change in (
        {"fold": np.array([0, 2, 1])},
        {"label": np.array([0, 1])},
        {"features": np.full((3, 3), np.nan)},
        {"fit": FIT._replace(curve=FIT.curve[:, 1:])},
        {"fit": FIT._replace(scale=FIT.scale * 0)},
    ):
        write_estimator(tmp_path / "bad.npz", replace(ESTIMATOR, **change))
        with pytest.raises(InputError, match="expected what `auglik confidence --by learned` wrote") as refusal:
            parse_estimator((tmp_path / "bad.npz").read_bytes(), "bad.npz")
        assert "\n" not in str(refusal.value)


def test_features_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4, 3, 5, 6), np.uint8), np.array([0, 2, 1, 2])
    p = rng.dirichlet(np.ones(3), 4)
    found = features(images, np.log(p), labels)
    own = p[np.arange(4), labels]
    grey = images.astype(float).mean(1) / 255
    assert found[:, 0] == pytest.approx(np.log(own / (1 - own)))
    assert found[:, 1] == pytest.approx(entropy(p, axis=1))
    assert found[:, 2] == pytest.approx(grey.reshape(4, -1).mean(1))
    assert found[:, 3] == pytest.approx(grey.reshape(4, -1).std(1))
    down, across = abs(grey[:, 1:] - grey[:, :-1]), abs(grey[:, :, 1:] - grey[:, :, :-1])
    assert found[:, 4] == pytest.approx(down.mean((1, 2)) + across.mean((1, 2)))


def planted(images: int, seed: int) -> tuple[Outcomes, NDArray[np.float64]]:
    """Outcomes of a known estimator at 8 strengths, and its own p."""
    rng = np.random.default_rng(seed)
    labels, x = rng.integers(0, C, images), rng.normal(size=(images, 2))
    strength = np.linspace(0, 1, 8)
    logits = 2 - 3 * strength + np.outer(np.array([-1.5, -0.5, 0.5, 1.5])[labels], strength) + x[:, :1] * 1.5
    p = expit(logits)
    return Outcomes((rng.random(p.shape) < p).astype(float), labels, x), p


def test_the_fit_is_stationary_by_automatic_differentiation() -> None:
    seen, _ = planted(120, 1)
    precision = 3.0
    fit = learning._fit(seen, C, precision, 0)
    curve, loading, embedding, weights = (torch.from_numpy(part[0]).requires_grad_() for part in fit[:4])
    x = torch.from_numpy((seen.features - seen.features.mean(0)) / seen.features.std(0))
    logits = curve + (embedding[torch.from_numpy(seen.labels)] + x @ weights) @ loading.T
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(seen.right), reduction="sum")
    normal = torch.distributions.Normal(0.0, precision**-0.5)
    for part in (loading, embedding, weights):
        loss = loss - normal.log_prob(part).sum()
    loss = loss - torch.distributions.Normal(0.0, 0.1**-0.5).log_prob(curve).sum()
    loss.backward()
    largest = max(
        float(part.grad.abs().max()) for part in (curve, loading, embedding, weights) if part.grad is not None
    )
    assert largest < 0.05  # of a likelihood over 960 outcomes


def test_it_learns_what_was_planted_and_says_it_of_new_images() -> None:
    seen, _ = planted(300, 2)
    new, truth = planted(2000, 3)
    fit = learn(seen, C, 0)
    p = predicted(fit, 0, new)
    by_class = np.stack([seen.right[seen.labels == c].mean(0).clip(0.01, 0.99) for c in range(C)])[new.labels]
    best, found, other = (judge(each, new.right, by_class) for each in (truth, p, by_class))
    assert found.log - best.log < 0.02
    assert other.log - found.log > 5 * found.error
    assert found.said == pytest.approx(truth.mean(), abs=0.03)
    assert other.error == 0
    with pytest.raises(InputError, match="at least 6"):
        learn(seen.at(np.arange(5)), C, 0)


def test_scores_are_those_of_the_definition() -> None:
    p, right = np.array([[0.8, 0.4], [0.5, 1.0]]), np.array([[1.0, 0], [1, 1]])
    found = judge(p, right, np.full((2, 2), 0.5))
    assert found.brier == pytest.approx((0.04 + 0.16 + 0.25 + 0) / 4)
    assert found.log == pytest.approx(-np.log([0.8, 0.6, 0.5, 1]).mean(), abs=1e-5)
    above = -np.log([[0.8, 0.6], [0.5, 1.0]]) - np.log(2)
    assert found.error == pytest.approx(above.mean(1).std(ddof=1) / 2**0.5, abs=1e-5)
    assert np.isfinite(judge(1 - p, right, p).log)


def test_the_command_learns_judges_and_its_file_is_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pooling has tests of its own; here shares by class are as they were counted."""

    def unpooled(right: Counted, images: Counted, strength: Counted, seed: int) -> Pooled:
        return Pooled((right + 1) / (images + 2), np.zeros((len(right), 2)), CONVERGED)

    monkeypatch.setattr("auglik.inference.pooling.pooled", unpooled)
    output = tmp_path / "learned.npz"
    common = ("--by", "learned", "--points", "2", "--operations", "rotate,crop,flip", "--output", str(output))
    result = CliRunner().invoke(auglik, ["confidence", *common, *of_reference(validation_fraction=0.4)])
    assert result.exit_code == 0, result.output
    assert "on 1000 images that nothing was fitted to" in result.output
    assert "learned less by class: -" in result.output
    found, arrays = parse_estimator(output.read_bytes(), "file"), open_dataset("digits").train()
    assert np.array_equal(found.fold, folds_of(arrays.labels, 2, 0))
    assert np.array_equal(found.label, arrays.labels)
    assert found.fit.curve.shape == (2, 1 + 3 + 2 + 2)
    assert not np.array_equal(found.fit.curve[0], found.fit.curve[1])
    soften = f"all:learned:file={output}:relative=true"
    assert CliRunner().invoke(
        auglik, ["train", *options(soften=soften, epochs=1), "--output", str(tmp_path / "run")]
    ).exit_code == 0  # fmt: skip


def test_a_run_that_saw_the_images_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        auglik, ["confidence", "--by", "learned", "--run", "here", "--trained-on", "--output", "a.npz"]
    )
    assert result.exit_code == 2
    assert "surer of the images that it was trained on" in result.output
    assert result.output.count("\n") == 1
