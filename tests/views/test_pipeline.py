"""Pipelines of several augmentations: what they do in turn, what it does to labels and weights, what is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from auglik import AGGREGATORS, LIKELIHOODS, InputError, Objective, RunConfig, change, open_dataset
from auglik.cli.main import auglik
from auglik.confidence import decay_of, parse_rules
from auglik.objectives import Schedule
from auglik.objectives.view_counts import DrawsViews
from auglik.report.contact_sheet import CHARACTERS, captions, class_names
from auglik.runs.resolve import TrainingData, load_training, training_pipeline
from auglik.runs.resolved import ResolvedRun
from auglik.scoring.label_entropy import mean_label_entropy
from auglik.views import Draws, Gallery, Mollification, Pipeline, Shape, Step, Views
from auglik.views.augmentation import Applied, Drawn, Parameters
from tests import tiny

CPU = torch.device("cpu")
SEVERAL = "fcr,soft-crop,random-erasing:p=0.7"
SOFTEN = "crop:polynomial:k=2,erase:human"


def training(**changes: object) -> tuple[ResolvedRun, TrainingData, Pipeline]:
    run = tiny.run(**{"mollify": "none", **changes})
    data = load_training(run, open_dataset("digits"))
    return run, data, training_pipeline(run, data.training.gallery.shape, data.classes)


def drawn(pipeline: Pipeline, views: int = 3, count: int = 180, epoch: int = 0) -> Draws:
    return pipeline.draw(0, epoch, views, count, CPU)


def rendered(data: TrainingData, pipeline: Pipeline, batch: NDArray[np.int64], views: int = 3) -> Views:
    return pipeline.render(data.training.gallery, drawn(pipeline, views), batch)


def test_augmentations_act_in_turn() -> None:
    """A pipeline of two is the second on what the first made."""
    _, data, both = training(augment="fcr,random-erasing:p=1", rotation=0.0)
    _, _, first = training(augment="fcr", rotation=0.0)
    batch = np.arange(40)
    draws = drawn(both)
    before, after = (rendered(data, pipeline, batch).images for pipeline in (first, both))
    boxes = draws.parameters["random-erasing.box"][:, :40]
    hidden = torch.zeros_like(before[:, :, 0], dtype=torch.bool)
    for view, image in np.ndindex(3, 40):
        top, left, height, width = boxes[view, image]
        hidden[view, image, top : top + height, left : left + width] = True
    hidden = hidden[:, :, None]
    assert torch.equal(after[~hidden], before[~hidden])
    assert (after[hidden] == 0).all()
    assert 0.02 < hidden.float().mean() < 0.4


@pytest.mark.parametrize("augment", ["none", "fcr", "soft-crop", SEVERAL, "mixup,fcr", "cutmix,fcr,additive-noise"])
def test_few_views_are_the_first_of_many(augment: str) -> None:
    _, data, pipeline = training(augment=augment, mollify="noise,blur", soften="none")
    batch = np.arange(60, 20, -1)
    few, many = (rendered(data, pipeline, batch, views) for views in (2, 4))
    assert torch.equal(few.images, many.images[:2])
    assert torch.equal(few.decay, many.decay[:2])
    assert drawn(pipeline, 2).view_digests() == drawn(pipeline, 4).view_digests()[:2]
    assert set(drawn(pipeline).view_digests()).isdisjoint(drawn(pipeline, epoch=1).view_digests())


def test_an_augmentation_more_leaves_the_others_draws_alone() -> None:
    one, two = (drawn(training(augment=augment)[2]) for augment in ("fcr", SEVERAL))
    for name, values in one.parameters.items():
        np.testing.assert_array_equal(values, two.parameters[name])
    twice = drawn(training(augment="cutout:size=3,cutout:size=3")[2])
    assert not np.array_equal(twice.parameters["cutout.box"], twice.parameters["cutout#2.box"])


@pytest.mark.parametrize("into", ["target", "weight", "both"])
@pytest.mark.parametrize("compose", ["kept", "published"])
def test_labels_are_softened_by_what_was_done(into: str, compose: str) -> None:
    common = {"augment": SEVERAL, "mollify": "noise"}
    _, _, soft = training(soften=SOFTEN, soften_into=into, compose=compose, **common)
    plain, found = drawn(training(**common)[2]), drawn(soft)
    lost = np.stack(
        [
            decay_of(soft.applied_to(found, view, np.arange(180)), parse_rules(SOFTEN), 10, compose)  # type: ignore[arg-type]
            for view in range(3)
        ]
    )
    assert lost.min() < 0.1
    assert lost.max() > 0.6
    expected: NDArray[np.floating] = 1 - (1 - plain.decay) * (1 - lost) if into != "weight" else plain.decay
    np.testing.assert_allclose(found.decay, expected, atol=1e-6)
    if into == "target":
        assert found.weight is None
    else:
        assert found.weight is not None
        np.testing.assert_allclose(found.weight, 1 - lost + lost / 10, atol=1e-6)
    assert plain.view_digests() == found.view_digests()  # the same views, whatever their labels


def test_mixed_images_have_mixed_labels() -> None:
    _, data, pipeline = training(augment="mixup")
    gallery, labels = data.training
    views = rendered(data, pipeline, np.arange(30))
    assert views.mixed is not None
    soft = views.labels(labels, 10)
    assert soft.shape == (30, 10)
    share, partners = views.mixed.share, views.mixed.partners
    for image in range(30):
        expected = torch.zeros(10)
        expected[labels[image]] += share[image]
        expected[labels[partners[image]]] += 1 - share[image]
        torch.testing.assert_close(soft[image], expected)
    images = gallery.clean(slice(None))
    weight = share[:, None, None, None]
    exact = weight * images[:30] + (1 - weight) * images[partners]
    one_level = float(gallery.scale)
    assert (views.images - exact).abs().max() <= 0.5 * one_level + 1e-4
    draws = drawn(pipeline)
    entropy = mean_label_entropy(draws.decay, 10, draws.own_share(labels))
    everyone = pipeline.render(gallery, draws, np.arange(180)).labels(labels, 10)
    np.testing.assert_allclose(entropy, torch.special.entr(everyone).sum(1).mean(), rtol=1e-4)


@pytest.mark.parametrize("augment", ["fcr", "mixup"])
def test_labels_are_those_of_the_whole_gallery(augment: str) -> None:
    _, data, pipeline = training(augment=augment)
    views = rendered(data, pipeline, np.arange(8))
    N = len(data.training.labels)
    for given in (data.training.labels[:7], data.training.labels.repeat(2), data.training.labels[:, None]):
        with pytest.raises(InputError, match=rf"expected the labels of the {N} images .*, got \[") as refusal:
            views.labels(given, 10)
        assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match=r"as a tensor, got numpy\.ndarray: make one"):
        views.labels(data.training.labels.numpy(), 10)  # type: ignore[arg-type]


def test_labels_to_be_mixed_are_classes() -> None:
    _, data, pipeline = training(augment="mixup")
    views, labels = rendered(data, pipeline, np.arange(8)), data.training.labels
    assert views.labels(labels.to(torch.uint8), 10).equal(views.labels(labels, 10))
    for wrong, said in ((labels + 1, "got 1 to 10"), (labels - 1, "got -1 to 8"), (labels.float(), "integer labels")):
        with pytest.raises(InputError, match=said):
            views.labels(wrong, 10)


@pytest.mark.parametrize("aggregator", [name for name, entry in AGGREGATORS.items() if entry.trains])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_objective_takes_what_pipelines_make(likelihood: str, aggregator: str) -> None:
    objective = Objective(LIKELIHOODS[likelihood], AGGREGATORS[aggregator])
    mixing = "mixup," if objective.likelihood.soft_labels else ""
    _, data, pipeline = training(augment=mixing + SEVERAL, soften=SOFTEN, soften_into="both", mollify="noise,blur")
    views = rendered(data, pipeline, np.arange(20))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 20, 10 + objective.likelihood.extra_outputs, generator=generator, requires_grad=True)
    labels = views.labels(data.training.labels, 10)
    weight = None if isinstance(objective.aggregator, DrawsViews) else views.weight  # these take equal ones alone
    loss = objective.loss(logits, views.decay, labels, weight)
    loss.backward()
    expected = -objective.log_likelihood(logits, views.decay, labels, weight).mean()
    torch.testing.assert_close(loss, expected)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() > 0


def refused(message: str, **changes: object) -> None:
    with pytest.raises(InputError, match=message) as caught:
        tiny.config(**changes)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_is_refused_before_training() -> None:
    refused("unknown augmentation 'fcrr'; did you mean 'fcr'", augment="fcrr")
    refused("unknown parameter 'q'", augment="fcr,random-erasing:q=1")
    refused("fcr works on levels, cutout on standardized pixels: put fcr first", augment="cutout,fcr")
    refused("--rotation set it", augment="fcr:degrees=3")
    refused("expected one mixing, such as mixup, cutmix, got two", augment="mixup,cutmix,fcr")
    refused("augment: mixup mixes images before their views: put it first", augment="fcr,mixup")
    refused("augment: cutmix mixes images before their views: put it first", augment="fcr,cutmix:alpha=2,augmix")
    refused("needs one-hot labels, but MixUp mixes two", augment="mixup,fcr", likelihood="dirichlet")
    refused("expected no mixing of test images", evaluation_augment="mixup")
    refused("got 'erase', which never occurs", augment="fcr", soften="erase:human")
    refused("unknown confidence map 'polynom'; did you mean 'polynomial'", augment="fcr", soften="crop:polynom")
    refused("expected target or weight or both", soften_into="labels")
    refused("the decay of mollification alone", likelihood="smoothed-normalized-schedule", soften="crop:polynomial")


def test_settings_have_one_form() -> None:
    one = change(RunConfig(), {"augment": "fcr,random-erasing:p=0.5,area=0.2", "soften": "crop:polynomial:k=2"})
    other = change(RunConfig(), {"augment": "fcr,random-erasing:area=0.20:p=0.5", "soften": "crop:polynomial"})
    assert one == other


def test_a_contact_sheet_shows_every_view(tmp_path: Path) -> None:
    path = tmp_path / "views.png"
    arguments = ["--augment", SEVERAL, "--soften", SOFTEN, "--views", "2", "--images", "3", "--output", str(path)]
    result = CliRunner().invoke(auglik, ["views", *arguments])
    assert result.exit_code == 0, result.output
    with Image.open(path) as sheet:
        assert sheet.width > 300
        assert sheet.height > 300
        assert len(np.unique(np.asarray(sheet))) > 50
    assert "SoftCrop(" in result.output
    assert "-> mollification (clean 0.333" in result.output
    assert f"-> softening of target ({SOFTEN.replace(':k=2', '')})" in result.output


def test_captions_fit_above_their_view_and_mixed_images_name_both_classes() -> None:
    _, data, pipeline = training(augment="mixup,fcr,augmix:severity=10", soften="all:smoothed")
    draws, labels = drawn(pipeline), data.training.labels.numpy()
    lines = [line for text in captions(pipeline, draws, 1, np.arange(30)) for line in text.split("\n")]
    assert max(map(len, lines)) <= CHARACTERS
    assert sum("visible" in line for line in lines) > 5
    other, share = labels[draws.mixing["partner"][2]], draws.mixing["share"][2]
    name = class_names(draws, labels, 3)[2]
    assert name == f"class {labels[2]} ({share:.2f})\nwith class {other} ({1 - share:.2f})"


def test_what_flip_crop_rotation_left_out_is_not_reported() -> None:
    _, _, pipeline = training(augment="fcr", rotation=0.0)
    assert pipeline.operations() == {"identity", "crop"}  # digits are not flipped


@dataclass(frozen=True)
class InUnits:
    """An augmentation that takes levels for numbers in [0,1]; with `pair`, gives them beside its parameters."""

    pair: bool = False
    domain: ClassVar[Literal["levels"]] = "levels"
    noisy: ClassVar[bool] = False

    def check(self, shape: Shape) -> None:
        pass

    def draw(self, generator: np.random.Generator, count: int, shape: Shape) -> Parameters:
        return {}

    def applied(self, parameters: Parameters, shape: Shape) -> list[Applied]:
        return []

    def render(self, images: Tensor, drawn: Drawn) -> Tensor:
        return (images, drawn) if self.pair else images / 255  # type: ignore[return-value]


def test_views_that_are_no_tensor_are_refused() -> None:
    with pytest.raises(InputError, match="own: expected views as a tensor, got tuple"):
        Step("own", InUnits(pair=True)).render(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), Drawn({}, {}))


def test_views_of_another_type_than_the_images_are_refused() -> None:
    gallery = Gallery.pack(np.zeros((2, 1, 8, 8), np.uint8), [0.0], [1.0], torch.device("cpu"))
    pipeline = Pipeline(gallery.shape, (Step("own", InUnits()),), Mollification(Schedule(noise=0, blur=0)))
    draws = pipeline.draw(0, 0, 1, 2, torch.device("cpu"))
    with pytest.raises(InputError, match=r"own: expected views \[2, 1, 8, 8\] of torch.uint8, .* of torch.float32"):
        pipeline.render(gallery, draws, np.arange(2))
