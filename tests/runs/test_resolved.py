"""Resolved runs: complete, read from their text, and made again where they are loaded."""

import pickle
import sys
from pathlib import Path

import pytest

from auglik import InputError, change
from auglik.networks import NETWORKS
from auglik.pretraining import PretrainConfig
from auglik.pretraining import resolved as resolved_pretraining
from auglik.runs.resolved import resolved
from auglik.runs.run import execute, load_run
from auglik.runs.settings import SETTINGS
from tests import tiny

NONE = ("gradient_clip", "average", "weights", "weights_digest", "evaluation_images", "mean_views")
"""Settings that a run may do without."""
OPEN = [key for key, setting in SETTINGS.items() if setting.optional and key not in NONE]


def test_a_run_holds_what_its_settings_name() -> None:
    run = tiny.run(likelihood="smoothed-normalized", aggregator="log-mean", soften="all:smoothed", soften_into="weight")
    assert run.objective == run.config.objective()
    assert [step.name for step in run.training_views.steps] == ["fcr"]
    assert run.training_views.mollification.schedule == run.config.view.schedule()
    assert [rule.target for rule in run.rules] == ["all"]
    assert run.network.build(1, 10).head.in_features == 32  # type: ignore[union-attr]
    assert (run.learning_rate, run.nesterov) == (NETWORKS["small-cnn"].learning_rate, NETWORKS["small-cnn"].nesterov)


@pytest.mark.parametrize("key", OPEN)
def test_an_open_setting_is_refused_by_name(key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}: expected a value, .*, got none$"):
        tiny.run().change(**{key: None})


@pytest.mark.parametrize("key", ["device", "precision"])
def test_what_follows_the_machine_is_refused_too(key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}: expected a value, .*, got auto$"):
        tiny.run().change(**{key: "auto"})


def test_runs_are_pickled_as_their_settings() -> None:
    for run in (tiny.run(augment="cutmix,fcr,augmix"), tiny.pretraining(soften="sa1")):
        pickled = pickle.dumps(run)
        assert pickle.loads(pickled) == run
        for what in (b"Objective", b"FlipCropRotate", b"PairViews", b"Sa1"):
            assert what not in pickled


def test_the_run_in_a_folder_is_the_one_that_was_trained(tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "run", epochs=1)
    execute(job)
    assert load_run(job.folder) == job.run
    with pytest.raises(InputError, match="expected a run folder"):
        load_run(tmp_path)


def test_a_finished_run_can_be_read_without_the_library_of_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    config = change(tiny.config(), {"network": "timm:resnet18"})
    monkeypatch.setitem(sys.modules, "timm", None)
    run = resolved(config)
    with pytest.raises(InputError, match="is not installed"):
        run.network  # noqa: B018 - looked up here


def test_pretraining_that_is_open_is_refused() -> None:
    for change_, name in (({"flip": None}, "flip"), ({"neighbours": None}, "neighbours"), ({"epochs": None}, "epochs")):
        complete = tiny.pretraining().config.flat()
        with pytest.raises(InputError, match=f"^{name}: expected a value"):
            resolved_pretraining(PretrainConfig(**{**complete, **change_}))  # type: ignore[arg-type]
