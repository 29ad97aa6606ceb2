"""Whole jobs on CUDA: no tensor of another device, no operation without a kernel, no wait but the declared ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

from auglik import InputError, RunConfig, change, open_dataset, read_facts, resolve
from auglik.cli.views import views as views_command
from auglik.pretraining import PretrainConfig, make_job
from auglik.pretraining import execute as pretrain
from auglik.robustness import RobustnessConfig, evaluate_robustness, open_suite
from auglik.runs.again import evaluate_again
from auglik.runs.resolved import settings_hash
from auglik.runs.run import Job, execute
from auglik.system.devices import send
from auglik.system.stop import Interrupted
from auglik.views import Gallery
from tests import tiny
from tests.cuda.guard import cuda, undeclared

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
