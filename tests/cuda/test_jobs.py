"""Whole jobs on CUDA: no tensor of another device, no operation without a kernel, no wait but the declared ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

from auglik import InputError, RunConfig, ViewTransform, change, load_training, open_dataset, read_facts, resolve
from auglik.cli.views import views as views_command
from auglik.pretraining import PretrainConfig, make_job
from auglik.pretraining import execute as pretrain
from auglik.pretraining.probes import BATCH, Features, neighbour_accuracy
from auglik.robustness import RobustnessConfig, evaluate_robustness, open_suite
from auglik.runs.again import evaluate_again
from auglik.runs.densities import densities
from auglik.runs.prior_predictive import prior_predictive
from auglik.runs.resolve import on_device
from auglik.runs.resolved import settings_hash
from auglik.runs.run import Job, execute
from auglik.runs.tested import test_images as images_of_test
from auglik.runs.transform import Pixels
from auglik.system.devices import send
from auglik.system.stop import Interrupted
from auglik.views import Gallery
from tests import tiny
from tests.cuda.guard import cuda, undeclared
from tests.cuda.pretended import CUDA

SIDE, CLASSES = 12, 4


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of random colour images."""
    path, rng = tmp_path_factory.mktemp("data") / "colours.npz", np.random.default_rng(0)
    arrays: dict[str, NDArray[np.generic]] = {}
    for part, count in (("train", 96), ("test", 24)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % CLASSES
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def job(folder: Path, dataset: Path, **changes: object) -> Job:
    """A tiny run on CUDA; call it where there is one."""
    source = open_dataset(str(dataset))
    facts = read_facts(source)
    asked = {**tiny.SETTINGS, "train_images": 96, "dataset": str(dataset), "device": "cuda", **changes}
    run = resolve(change(RunConfig(), asked), source, facts)
    settings = settings_hash(run, facts.digest)
    return Job(cell="cell", run=run, settings=settings, folder=folder, data_dir=Path("data"), threads=1)


EVERYTHING: dict[str, object] = {
    "augment": "fcr,trivial-augment,augmix,soft-crop,random-erasing:background=pixel",
    "evaluation_augment": "fcr,rand-augment,additive-noise",
    "mollify": "noise,blur,both",
    "soften": "all:smoothed",
    "soften_into": "both",
    "likelihood": "smoothed",
    "aggregator": "durbin-koopman",
    "online_labels": 0.5,
    "network": "fast-resnet:width=4",
}


def test_a_run_its_resumption_its_evaluation_and_its_robustness(tmp_path: Path, colours: Path) -> None:
    folder = tmp_path / "run"
    with cuda() as record:
        one = job(folder, colours, **EVERYTHING)
        with pytest.raises(Interrupted):
            execute(one, stop=tiny.StopAt(3))
        results = execute(one)
        again = evaluate_again(folder, one.run, one.run, Path("data"))
        suite = open_suite(str(colours), Path("data"), RobustnessConfig(corruptions="none"))
        scores = evaluate_robustness(folder, suite)
    assert undeclared(record) == []
    assert again.scores["clean_nll"] == results.scores["clean_nll"]
    assert {score.kind for score in scores} == {"clean", "occlusion", "mollified"}


def test_streamed_images(tmp_path: Path, colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auglik.views.store.fits", lambda images, device: False)
    with cuda() as record:
        execute(job(tmp_path, colours, augment="mixup,fcr"))
    assert undeclared(record) == []


@pytest.mark.parametrize("streamed", [False, True])
def test_pretraining_and_its_resumption(
    tmp_path: Path, colours: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    if streamed:
        monkeypatch.setattr("auglik.views.store.fits", lambda images, device: False)
    with cuda() as record:
        config = PretrainConfig(
            dataset=str(colours), network="small-cnn:width=4", projection=16, epochs=2, batch_size=16, device="cuda"
        )
        run = make_job(config, tmp_path / "run", Path("data"))
        with pytest.raises(Interrupted):
            pretrain(run, stop=tiny.StopAt(3))
        pretrain(run)
    assert undeclared(record) == []


@pytest.mark.parametrize("pixels", ["levels", "unit", "standardized"])
@pytest.mark.parametrize("augment", ["cutmix,fcr,augmix", "fcr,random-erasing:background=pixel,soft-crop"])
def test_views_in_ones_own_loop(pixels: Pixels, augment: str, rng: np.random.Generator) -> None:
    """Of a batch that is there: nothing waits for the device but positions, which the host gives."""
    mean, std, B = [0.5] * 3, [0.25] * 3, 8
    transform = ViewTransform(augment, mean=mean, std=std, pixels=pixels, views=2, mollify="noise,blur,both",
                              soften="all:smoothed", soften_into="both", classes=CLASSES)  # fmt: skip
    levels = rng.integers(0, 256, (4 * B, 3, SIDE, SIDE), dtype=np.uint8)
    with cuda() as record:
        whole = send(levels, CUDA)
        images = whole if pixels == "levels" else whole.float() / 255
        images = (images - 0.5) / 0.25 if pixels == "standardized" else images
        labels = send(np.arange(4 * B) % CLASSES, CUDA)
        views = transform(images[:B], generator=torch.Generator().manual_seed(0))
        of_epoch = transform.epoch(levels.shape, seed=0, epoch=0)
        where = of_epoch.batches(B)[0]
        at = send(np.array(where), CUDA)
        record.waits.clear()
        again = transform(images[:B], generator=torch.Generator().manual_seed(0))
        again.labels(labels[:B], CLASSES)
        found = of_epoch(images[at], where)
        found.labels(labels[at], CLASSES)
        assert record.waits.total() == 0, record.waits
        np.testing.assert_array_equal(again.images.cpu().numpy(), views.images.cpu().numpy())


@pytest.mark.parametrize("prior", ["gaussian", "dirclip"])
def test_what_is_asked_of_a_chain_and_of_a_prior(tmp_path: Path, colours: Path, prior: str) -> None:
    with cuda() as record:
        one = job(tmp_path, colours, inference="sghmc", draws=3, learning_rate=0.01, prior=prior, epochs=4)
        execute(one)
        source = open_dataset(str(colours))
        data = load_training(one.run, source)
        test = on_device(images_of_test(one.run, source)[0], data.mean, data.std, one.run.device)
        networks = prior_predictive(one.run, data, test, 2)
        found = densities(tmp_path, one.settings, one.run, data)
    assert undeclared(record) == []
    assert networks.largest.shape == (2, 24)
    assert found.log_likelihood.shape[0] == 3
    assert np.isfinite(found.log_prior).all()


def test_neighbours_of_many_queries_wait_once(rng: np.random.Generator) -> None:
    values, labels = rng.normal(size=(2 * BATCH + 1, 3)).astype(np.float32), np.arange(2 * BATCH + 1) % CLASSES
    with cuda() as record:
        bank = Features(send(values[:50], CUDA), send(labels[:50], CUDA))
        queries = Features(send(values, CUDA), send(labels, CUDA))
        record.waits.clear()
        accuracy = neighbour_accuracy(bank, queries, CLASSES, k=1, temperature=1)
        assert record.waits.total() == 1, record.waits
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    assert accuracy == np.mean(labels[(unit @ unit[:50].T).argmax(1)] == labels)


def test_a_sheet_of_views(tmp_path: Path, colours: Path) -> None:
    settings = {"dataset": str(colours), "device": "cuda", "augment": "cutmix,fcr,augmix"}
    (tmp_path / "views.toml").write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items()))
    with cuda() as record:
        found = CliRunner().invoke(
            views_command, ["--config", str(tmp_path / "views.toml"), "--output", str(tmp_path / "views.png")]
        )
    assert found.exit_code == 0, found.output
    assert undeclared(record) == []
    assert (tmp_path / "views.png").stat().st_size > 0


def test_values_on_the_pretended_device_are_those_of_the_cpu(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU rounds otherwise; what is compared here is the pretence")
    on_cpu = execute(tiny.job(tmp_path / "cpu"))
    with cuda():
        pretended = execute(tiny.job(tmp_path / "cuda", device="cuda", precision="fp32"))
    assert pretended.scores == on_cpu.scores
    for name in ("views_digest", "batches_digest", "evaluation_views_digest"):
        assert getattr(pretended, name) == getattr(on_cpu, name)


def test_a_run_of_cuda_is_scored_without_one_in_one_line(tmp_path: Path, colours: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with cuda():
        execute(job(tmp_path, colours))
    suite = open_suite(str(colours), Path("data"), RobustnessConfig(corruptions="none", mollified=False))
    with pytest.raises(InputError, match=r"was trained on cuda.*--device cpu") as refused:
        evaluate_robustness(tmp_path, suite)
    assert len(str(refused.value).splitlines()) == 1
    assert evaluate_robustness(tmp_path, suite, "cpu")[0].kind == "clean"


def test_packing_takes_no_more_than_its_pixels_and_a_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on the device nor in pinned memory: images go there part by part."""
    monkeypatch.setattr("auglik.data.images.CHUNK_BYTES", 10 * 3 * 8 * 8)
    pinned: list[int] = []

    def counted(part: NDArray[np.generic], device: torch.device) -> torch.Tensor:
        pinned.append(len(part))
        return send(part, device)

    monkeypatch.setattr("auglik.views.store.send", counted)
    levels = np.random.default_rng(0).integers(0, 256, (35, 3, 8, 8), dtype=np.uint8)
    with cuda():
        packed = Gallery.pack(levels, [0.5] * 3, [0.2] * 3, torch.device("cuda"))
        found = packed.levels(torch.arange(35, device="cuda")).cpu().numpy()
    assert pinned == [10, 10, 10, 5]
    np.testing.assert_array_equal(found, levels)
