"""Runs of a second: few real images, a narrow network, few evaluation views."""

from dataclasses import replace
from pathlib import Path

import pytest

from auglik import Arrays, RunConfig, change, open_dataset, read_facts, resolve
from auglik.data.digits import Digits
from auglik.pretraining import PretrainConfig, ResolvedPretraining
from auglik.pretraining import resolve as resolve_pretraining
from auglik.runs.resolved import ResolvedRun, settings_hash
from auglik.runs.results import Results
from auglik.runs.run import Job
from auglik.system.records import from_json
from auglik.system.stop import StopRequest

SETTINGS: dict[str, object] = {
    "train_images": 200,
    "network": "small-cnn:width=4",
    "epochs": 2,
    "batch_size": 32,
    "views": 2,
    "evaluation_views": 4,
    "evaluation_folded_views": 2,
}


def options(**changes: object) -> list[str]:
    """The same on the command line."""
    settings = {**SETTINGS, "device": "cpu", **changes}
    return [part for key, value in settings.items() for part in (f"--{key.replace('_', '-')}", str(value))]


def run(**changes: object) -> ResolvedRun:
    """A tiny run on digits."""
    source = open_dataset("digits")
    return resolve(change(RunConfig(), {**SETTINGS, "device": "cpu", **changes}), source, read_facts(source))


def config(**changes: object) -> RunConfig:
    """Its settings."""
    return run(**changes).config


def pretraining(**changes: object) -> ResolvedPretraining:
    """SimSiam on digits."""
    source = open_dataset("digits")
    config = PretrainConfig(**{"device": "cpu", **changes})  # type: ignore[arg-type]
    return resolve_pretraining(config, source, read_facts(source))


def job(folder: Path, **changes: object) -> Job:
    """A tiny run that goes into `folder`."""
    chosen = run(**changes)
    digest = read_facts(open_dataset("digits")).digest
    return Job(
        cell="cell", run=chosen, settings=settings_hash(chosen, digest), folder=folder, data_dir=Path("data"),
        threads=1,
    )  # fmt: skip


def results(**said: object) -> Results:
    """What a run says of itself, whatever it was."""
    found: dict[str, object] = {
        "cell": "cell",
        "likelihood": "smoothed",
        "aggregator": "jensen",
        "views": 2,
        "seed": 0,
        "test_digest": "images",
        "evaluation_views_digest": "views",
        "train_seconds": 1.5,
        "evaluation_seconds": 0.5,
        "steps": 12,
        "training_images": 160,
        "validation_images": 40,
        "parameters": 1234,
        "views_digest": f"views-{said.get('seed')}",
        "batches_digest": f"batches-{said.get('seed')}",
        "view_digests": [],
        "pipeline": "FlipCropRotate -> mollification",
        "settings": "settings",
        "threads": 1,
        "device": "cpu",
        "versions": {"auglik": "0", "torch": "0"},
    }
    return from_json(Results, found | said, "results of a test")


def without_times(results: Results) -> Results:
    """All that two runs of the same settings have in common."""
    return replace(results, train_seconds=0.0, evaluation_seconds=0.0)


def enlarge_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives digits test images of twice the side of the training images."""
    read = Digits.test

    def larger(self: Digits) -> Arrays:
        images, labels = read(self)
        return Arrays(images.repeat(2, 2).repeat(2, 3), labels)

    monkeypatch.setattr(Digits, "test", larger)


class StopAt(StopRequest):
    """Asks to stop once it has been looked at `looks` times; the loop looks once a step."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0
