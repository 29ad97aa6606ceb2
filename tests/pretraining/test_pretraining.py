"""SimSiam and its soft pairs: views, weights and loss against their definitions, probes against scikit-learn, runs."""

import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from auglik import InputError, open_dataset
from auglik.cli.main import auglik
from auglik.experiments.plan import Place
from auglik.pretraining import (
    PAIR_WEIGHTS,
    PretrainConfig,
    PretrainJob,
    build_simsiam,
    execute,
    linear_accuracy,
    make_job,
    neighbour_accuracy,
    pair_losses,
)
from auglik.pretraining.colour import UNTOUCHED, Jitter, draw_jitter, recolour
from auglik.pretraining.pair_weights import overlap
from auglik.pretraining.probes import Features
from auglik.pretraining.simsiam import Outputs, output_std
from auglik.pretraining.views import Drawn, PairViews
from auglik.runs.checkpoint import NAME
from auglik.runs.loop import NonFiniteLossError
from auglik.runs.resolve import load_training
from auglik.settings.names import parse
from auglik.system.keys import host_generator
from auglik.system.records import to_json
from auglik.system.stop import Interrupted
from auglik.views import Gallery, Shape
from tests import tiny

TINY: dict[str, object] = {
    "train_images": 300,
    "network": "small-cnn:width=4",
    "projection": 16,
    "epochs": 2,
    "batch_size": 64,
    "device": "cpu",
}
TIMES = {"train_seconds", "evaluation_seconds"}


def job(folder: Path, **changes: object) -> PretrainJob:
    return make_job(PretrainConfig(**{**TINY, **changes}), folder, Path("data"))  # type: ignore[arg-type]


def results_of(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "results.json").read_text())
    return {key: value for key, value in found.items() if key not in TIMES}


def colour_images(count: int) -> NDArray[np.uint8]:
    """Real colour photographs [N,3,32,32]: CIFAR-10 if given, else tiles of scikit-learn's two."""
    if path := os.environ.get("AUGLIK_CIFAR10"):
        with np.load(path) as archive:
            return np.moveaxis(archive["test_images"][:count], 3, 1)
    from sklearn.datasets import load_sample_image

    photograph = load_sample_image("china.jpg")[:416, :640]
    tiles = photograph.reshape(13, 32, 20, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(tiles[:: len(tiles) // count][:count])


def test_overlap_counts_the_pixels_of_both_boxes(rng: np.random.Generator) -> None:
    first, second = (box(rng, 300, 9, 12) for _ in range(2))
    for a, b, found in zip(first, second, overlap(first, second), strict=True):
        masks = np.zeros((2, 9, 12), bool)
        for mask, (top, left, height, width) in zip(masks, (a, b), strict=True):
            mask[top : top + height, left : left + width] = True
        assert found == (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()


def box(rng: np.random.Generator, count: int, height: int, width: int) -> NDArray[np.int32]:
    """Any boxes within the image [n,4]."""
    h, w = rng.integers(1, height + 1, count), rng.integers(1, width + 1, count)
    return np.stack([rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w], 1).astype(np.int32)


@pytest.mark.parametrize(
    ("name", "at_none", "at_half", "at_all"),
    [
        ("none", 1, 1, 1),
        ("sa1", 0, 15 / 16, 1),
        ("sa2", 1, 15 / 16, 0),
        ("sa1:k=2:p_min=0.2", 0.2, 0.8, 1),
        ("sa2:k=2:p_min=0.2", 1, 0.8, 0.2),
    ],
)
def test_pair_weights(name: str, at_none: float, at_half: float, at_all: float) -> None:
    weights = parse("soften", name, PAIR_WEIGHTS).weights(np.array([0, 0.5, 1]))
    np.testing.assert_allclose(weights, [at_none, at_half, at_all], atol=1e-15)


def test_the_loss_is_its_definition_and_of_one_value_a_pair(generator: torch.Generator) -> None:
    z1, z2, p1, p2 = torch.randn(4, 7, 5, generator=generator).unbind()

    def cosine(a: torch.Tensor, b: torch.Tensor) -> NDArray[np.float64]:
        x, y = a.double().numpy(), b.double().numpy()
        return (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))

    expected = -(cosine(p1, z2) + cosine(p2, z1)) / 2
    np.testing.assert_allclose(pair_losses(Outputs((z1, z2), (p1, p2))), expected, atol=1e-6)
    unit = z1.double().numpy() / np.linalg.norm(z1.double().numpy(), axis=1, keepdims=True)
    assert float(output_std(z1)) == pytest.approx(unit.std(0).mean(), rel=1e-5)
    assert float(output_std(torch.ones(7, 5))) == 0


def test_no_gradient_enters_the_target(generator: torch.Generator) -> None:
    z1, z2, p1, p2 = torch.randn(4, 7, 5, generator=generator).unbind()
    for tensor in (z1, z2, p1, p2):
        tensor.requires_grad_()
    pair_losses(Outputs((z1, z2), (p1, p2))).sum().backward()
    assert z1.grad is None
    assert z2.grad is None
    assert p1.grad is not None
    assert p2.grad is not None

    # Through the model: the same gradient as with targets that are numbers.
    model = build_simsiam("small-cnn:width=4", 1, 16, 4, seed=0)
    first, second = torch.randn(2, 6, 1, 8, 8, generator=generator).unbind()
    outputs = model(first, second)
    fixed = Outputs((outputs.z[0].clone().detach(), outputs.z[1].clone().detach()), outputs.p)
    weights = list(model.parameters())
    own = torch.autograd.grad(pair_losses(outputs).mean(), weights, retain_graph=True)
    expected = torch.autograd.grad(pair_losses(fixed).mean(), weights)
    assert all(torch.equal(a, b) for a, b in zip(own, expected, strict=True))


def test_weights_depend_on_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build_simsiam("small-cnn:width=4", 1, None, None, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    drawn = [name for name in one if name.endswith("weight") and one[name].ndim > 1]
    assert len(drawn) == 3 + 3 + 2
    assert not any(torch.equal(one[name], other[name]) for name in drawn)
    assert one["projector.0.weight"].shape == (128, 32)
    assert one["predictor.0.weight"].shape == (32, 128)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_torchvisions(rng: np.random.Generator, channels: int) -> None:
    images = colour_images(40)[:, :channels]
    shape = Shape(*images.shape[1:])
    mean, std = [0.4, 0.5, 0.6][:channels], [0.2, 0.25, 0.3][:channels]
    gallery = Gallery.pack(images, mean, std, torch.device("cpu"))
    views = PairViews(0.2, flip=0.5, jitter=0.8, jitter_strength=0.4, jitter_hue=0.1, grey=0.2)
    drawn, _ = views.draw(seed=3, epoch=1, count=len(images), shape=shape)
    batch = rng.permutation(len(images))
    expected = torch.stack([reference(images[i], drawn, i) for i in batch])
    expected = functional.normalize(expected, mean, std)
    torch.testing.assert_close(views.render(gallery, [drawn], batch)[0], expected, atol=2e-5, rtol=0)
    assert 0 < drawn.flip.mean() < 1
    assert 0 < drawn.jitter.grey.mean() < 1
    assert 0 < (drawn.jitter.order[:, 0] == UNTOUCHED).mean() < 1


def reference(image: NDArray[np.uint8], drawn: Drawn, i: int) -> torch.Tensor:
    """The drawn view of one image in [0,1], by torchvision."""
    size = list(image.shape[1:])
    top, left, height, width = drawn.box[i].tolist()
    pixels = torch.from_numpy(image) / 255
    view = functional.resized_crop(pixels, top, left, height, width, size, antialias=False)
    view = functional.horizontal_flip(view) if drawn.flip[i] else view
    if len(image) == 1:
        return view
    names = ("brightness", "contrast", "saturation", "hue")
    for number in drawn.jitter.order[i]:
        if number != UNTOUCHED:
            view = getattr(functional, f"adjust_{names[number]}")(view, float(drawn.jitter.factors[i, number]))
    return functional.rgb_to_grayscale(view, 3) if drawn.jitter.grey[i] else view


def test_parameters_have_simsiams_distribution(rng: np.random.Generator) -> None:
    n = 20_000
    drawn = draw_jitter(rng, n, strength=0.4, hue=0.1, jitter=0.8, grey=0.2)
    theirs = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
    for column, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        low, high = getattr(theirs, name)
        values = drawn.factors[:, column]
        assert values.min() >= np.float32(low)
        assert values.max() <= np.float32(high)
        assert abs(values.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * n)
        assert values.std() == pytest.approx((high - low) / np.sqrt(12), rel=0.02)
    jittered = drawn.order[:, 0] != UNTOUCHED
    for share, expected in ((jittered.mean(), 0.8), (drawn.grey.mean(), 0.2)):
        assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / n)
    orders, counts = np.unique(drawn.order[jittered], axis=0, return_counts=True)
    assert len(orders) == 24
    assert (np.abs(counts - jittered.sum() / 24) < 5 * np.sqrt(jittered.sum() / 24)).all()


def test_untouched_and_grey_images_of_any_colour() -> None:
    images = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 1, 1]])[:, :, None, None]
    n = len(images)
    order = np.full((n, 4), UNTOUCHED, np.int8)
    factors = np.zeros((n, 4), np.float32)
    nothing = Jitter(factors, order, np.zeros(n, bool))
    assert torch.equal(recolour(images.clone(), nothing), images)
    only_hue = Jitter(factors, np.tile(np.array([3, UNTOUCHED, UNTOUCHED, UNTOUCHED], np.int8), (n, 1)), nothing.grey)
    torch.testing.assert_close(recolour(images.clone(), only_hue), images)
    turned = only_hue._replace(factors=np.full((n, 4), 0.5, np.float32))
    expected = torch.cat([images[:3], 1 - images[3:]])  # half a turn: the complement of a pure colour
    torch.testing.assert_close(recolour(images.clone(), turned), expected)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (5, 0.1), (50, 0.07), (200, 1.0), (50, 1e-3)])
def test_neighbours_vote_as_scikit_learns(rng: np.random.Generator, k: int, temperature: float) -> None:
    labels = rng.integers(0, 4, 700)
    values = rng.normal(size=(700, 6)) + 0.7 * rng.normal(size=(4, 6))[labels]
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)

    def weights(distances: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp((1 - distances**2 / 2 - 1) / temperature)

    oracle = KNeighborsClassifier(k, weights=weights, algorithm="brute").fit(unit[:400], labels[:400])
    features = Features(torch.tensor(values), torch.tensor(labels))
    bank, queries = Features(*(part[:400] for part in features)), Features(*(part[400:] for part in features))
    found = neighbour_accuracy(bank, queries, 4, k, temperature)
    assert found == oracle.score(unit[400:], labels[400:])
    assert found > 0.3


def test_the_linear_probe_is_logistic_regression_on_standardized_features(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, 300)
    values = (rng.normal(size=(300, 5)) + rng.normal(size=(3, 5))[labels]) * [1, 10, 100, 0.1, 1] + 7
    scaler = StandardScaler().fit(values[:200])
    oracle = LogisticRegression(max_iter=1000).fit(scaler.transform(values[:200]), labels[:200])
    parts = [Features(torch.tensor(values[rows]), torch.tensor(labels[rows])) for rows in (slice(200), slice(200, 300))]
    found = linear_accuracy(*parts)
    assert found.accuracy == oracle.score(scaler.transform(values[200:]), labels[200:])
    assert found.iterations == oracle.n_iter_[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run under sa1."""
    folder = tmp_path_factory.mktemp("pretraining") / "run"
    execute(job(folder, soften="sa1"))
    return folder


def test_a_run_says_what_it_did(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    views = tiny.pretraining(**TINY | {"flip": 0.0}).views
    for epoch, line in enumerate(lines):
        # 270 training images make 4 steps of 64 in the order of the epoch.
        order = host_generator(0, "batches", epoch).permutation(270)[:256]
        first, second = views.draw(0, epoch, 270, Shape(1, 8, 8))
        iou = overlap(first.box, second.box)[order]
        assert line["pair_iou"] == pytest.approx(iou.mean())
        assert line["pair_weight"] == pytest.approx((1 - (1 - iou) ** 4).mean())
        assert -1 <= -line["similarity"] <= line["loss"] < 0
        assert 0 < line["output_std"] <= 16**-0.5
        assert 0 <= line["validation_knn_accuracy"] <= 1
    settings = tomllib.loads((finished / "config.toml").read_text())
    assert settings["soften"] == "sa1"
    assert settings["learning_rate"] == 0.2
    assert settings["neighbours"] == 27
    results = results_of(finished)
    for name in ("knn_accuracy", "linear_accuracy", "untrained_knn_accuracy", "last_epoch_pair_weight"):
        assert 0 < float(str(results[name])) <= 1, name


def test_the_first_loss_is_the_weighted_mean_over_pairs(tmp_path: Path) -> None:
    """One step of all images: what it logs is mean(p_i L_i) at the initial weights, not mean(p) mean(L)."""
    one = job(tmp_path, soften="sa1", epochs=1, batch_size=300, validation_fraction=0.0, train_images=200)
    execute(one)
    line, config = json.loads((tmp_path / "metrics.jsonl").read_text()), one.config
    gallery = load_training(one.run.shared, open_dataset("digits")).training.gallery
    pair = one.run.views.draw(config.seed, 0, 200, gallery.shape)
    batch = np.arange(200)
    first, second = one.run.views.render(gallery, pair, batch)
    losses = pair_losses(build_simsiam("small-cnn:width=4", 1, 16, None, 0)(first, second)).detach().double().numpy()
    weights = 1 - (1 - overlap(pair[0].box, pair[1].box)) ** 4
    assert line["loss"] == pytest.approx((weights * losses).mean(), abs=1e-6)
    assert abs((weights * losses).mean() - weights.mean() * losses.mean()) > 1e-5
    assert line["similarity"] == pytest.approx(-losses.mean(), abs=1e-6)


def test_the_same_settings_give_the_same_bits(finished: Path, tmp_path: Path) -> None:
    execute(job(tmp_path, soften="sa1"))
    assert results_of(tmp_path) == results_of(finished)
    for name in ("metrics.jsonl", "config.toml"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()


def test_weights_of_pairs_change_neither_views_nor_batches(finished: Path, tmp_path: Path) -> None:
    for soften, rate in (("none", 0.2), ("sa2", 0.1)):
        other = job(tmp_path / soften, soften=soften)
        assert other.config.learning_rate == rate
        found, expected = to_json(execute(other)), results_of(finished)
        assert found["view_digests"] == expected["view_digests"]
        assert found["batches_digest"] == expected["batches_digest"]
        assert found["untrained_linear_accuracy"] == expected["untrained_linear_accuracy"]
        assert found["last_epoch_pair_iou"] == expected["last_epoch_pair_iou"]
        assert found["last_epoch_loss"] != expected["last_epoch_loss"]


@pytest.mark.parametrize("looks", [0, 3, 6])
def test_a_resumed_run_equals_an_uninterrupted_one(finished: Path, tmp_path: Path, looks: int) -> None:
    broken = job(tmp_path, soften="sa1")
    with pytest.raises(Interrupted):
        execute(broken, stop=tiny.StopAt(looks))
    assert not (tmp_path / "results.json").exists()
    execute(broken)
    assert results_of(tmp_path) == results_of(finished)
    assert (tmp_path / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()
    states = [torch.load(folder / NAME, weights_only=True)["network"] for folder in (tmp_path, finished)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_a_rate_that_breaks_the_loss_is_named(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError, match=r"not finite at step \d+ of 8 under soften none at learning rate"):
        execute(job(tmp_path, learning_rate=1e30))


def test_pretraining_beats_the_untrained_network(tmp_path: Path) -> None:
    """With larger crops than the default, as a fifth of a digit's area does not tell which digit it is."""
    changes = {"train_images": None, "projection": 128, "smallest_crop": 0.6, "epochs": 10, "probe_every": 100}
    results = execute(job(tmp_path, **changes))
    for name in ("knn_accuracy", "linear_accuracy"):
        assert results.scores[name] > results.untrained[name] + 0.02, name


def test_colour_images_pretrain(tmp_path: Path) -> None:
    images = colour_images(120)
    np.savez(
        tmp_path / "photographs.npz",
        train_images=images[:90],
        train_labels=np.arange(90) % 3,
        test_images=images[90:],
        test_labels=np.arange(30) % 3,
    )
    one = job(tmp_path / "run", dataset=str(tmp_path / "photographs.npz"), train_images=None, batch_size=40, epochs=1)
    assert execute(one).last_epoch["step"] == 2
    settings = dict.fromkeys(("jitter", "grey"), 0.0)
    plain = job(tmp_path / "plain", **{**one.config.flat(), **settings})
    assert execute(plain).last_epoch["loss"] != execute(one).last_epoch["loss"]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, ["pretrain", *map(str, arguments)])


def options(**changes: object) -> list[str]:
    settings = {**TINY, **changes}
    return [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def test_the_command_pretrains_and_refuses_a_folder_of_other_settings(tmp_path: Path) -> None:
    output = tmp_path / "run"
    done = invoke(*options(), "--soften", "sa2:p_min=0.1,k=4", "--output", output)
    assert done.exit_code == 0, done.output
    for text in ("neighbours  test accuracy", "linear      test accuracy", "pairs       weight", "wrote"):
        assert text in done.output
    settings = tomllib.loads((output / "config.toml").read_text())
    assert (settings["soften"], settings["learning_rate"]) == ("sa2:p_min=0.1", 0.1)

    again = invoke("--config", output / "config.toml", "--output", output)
    assert again.exit_code == 0, again.output
    assert "finished" in again.output

    other = invoke(*options(), "--soften", "sa1", "--output", output)
    assert other.exit_code == 2
    assert other.stderr.count("\n") == 1
    assert "other settings (soften sa2:p_min=0.1, now sa1; learning_rate 0.1, now 0.2)" in other.stderr


def test_the_command_wants_to_know_what_to_do_with_an_interrupted_run(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(Interrupted):
        execute(job(tmp_path, soften="sa1"), stop=tiny.StopAt(5))
    arguments = (*options(), "--soften", "sa1", "--output", tmp_path)
    refused = invoke(*arguments)
    assert refused.exit_code == 2
    assert "--resume continues it, --restart starts over" in refused.stderr
    resumed = invoke(*arguments, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert results_of(tmp_path) == results_of(finished)


def test_test_images_of_another_size_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.enlarge_test_images(monkeypatch)
    with pytest.raises(InputError, match=r"expected images of \[1, 8, 8\], as in training, got \[1, 16, 16\]"):
        execute(job(tmp_path, epochs=1))


def test_its_default_folder_is_not_that_of_a_comparison() -> None:
    printed = tomllib.loads(invoke("--print-config").output)["output"]
    assert printed == "results/pretrained"
    assert f"[default: {printed}]" in " ".join(invoke("--help").output.split())
    assert Place.output == "results"


def test_a_damaged_checkpoint_is_no_reason_not_to_start_over(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(Interrupted):
        execute(job(tmp_path, soften="sa1"), stop=tiny.StopAt(5))
    (tmp_path / "checkpoint.pt").write_bytes(b"PK")
    arguments = (*options(), "--soften", "sa1", "--output", tmp_path)
    refused = invoke(*arguments, "--resume")
    assert refused.exit_code == 2
    assert "damaged" in refused.stderr
    over = invoke(*arguments, "--restart")
    assert over.exit_code == 0, over.output
    assert results_of(tmp_path) == results_of(finished)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--soften", "sa3"], "unknown soften 'sa3'; did you mean 'sa"),
        (["--soften", "sa1:p_min=2"], r"p_min in [0,1], got 2"),
        (["--soften", "sa1:q=2"], "unknown parameter 'q'"),
        (["--batch-size", "1"], "batch_size: expected at least 2 images"),
        (["--smallest-crop", "0"], "smallest_crop: expected a share in (0,1]"),
        (["--jitter-hue", "0.6"], "jitter_hue: expected turns in [0,0.5]"),
        (["--grey", "1.5"], "grey: expected a probability"),
        (["--neighbours", "2000"], "neighbours: expected at most the 270 training images"),
        (["--neighbour-temperature", "0"], "neighbour_temperature: expected a number > 0"),
        (["--network", "resnet"], "unknown network"),
        (["--projection", "0"], "projection: expected an integer >= 1"),
        (["--train-images", "99999"], "train_images: expected at most"),
        (["--train-images", "10"], "10 images of digits, one of each class: give --validation-fraction 0"),
    ],
)
def test_bad_settings_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    name, value = arguments
    changed = {name.removeprefix("--").replace("-", "_"): value}
    refused = invoke(*options(**changed), "--output", tmp_path / "run")
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_every_class_keeps_an_image_however_many_are_held_out() -> None:
    run = tiny.pretraining(**TINY | {"train_images": 20, "validation_fraction": 0.95, "neighbours": 10})
    assert len(load_training(run.shared, open_dataset("digits")).training.labels) == 10
    with pytest.raises(InputError, match="neighbours: expected at most the 10 training images, got 11"):
        tiny.pretraining(**TINY | {"train_images": 20, "validation_fraction": 0.95, "neighbours": 11})


def test_a_misspelt_setting_in_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("sofen = 'sa1'\n")
    refused = invoke("--config", tmp_path / "settings.toml")
    assert refused.exit_code == 2
    assert "unknown setting 'sofen'; did you mean 'soften'?" in refused.stderr


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    images = colour_images(30)
    for number, part in enumerate((images, images[::-1])):
        labels = np.arange(len(part)) % 3
        np.savez(
            tmp_path / f"{number}.npz", train_images=part, train_labels=labels, test_images=part, test_labels=labels
        )

    def with_data(number: int) -> PretrainJob:
        return job(tmp_path / "run", dataset=str(tmp_path / f"{number}.npz"), train_images=None, batch_size=8, epochs=1)

    execute(with_data(0))
    with pytest.raises(InputError, match="its data set has other images"):
        with_data(1)
