"""Settings: flat names, types, ranges, and the hash that tells runs apart."""

from pathlib import Path

import pytest

from auglik import InputError, RunConfig, change, flatten
from auglik.objectives import LIKELIHOODS, SmoothedNormalizedSchedule
from auglik.runs.resolved import settings_hash
from auglik.runs.settings import SETTINGS
from auglik.settings.fields import Scalar, read_toml
from auglik.system.files import write_toml
from tests import tiny

OTHER: dict[str, Scalar] = {
    "dataset": "mnist", "network": "fast-resnet", "likelihood": "sink", "aggregator": "log-mean", "budget": "views",
    "device": "cuda", "precision": "bf16", "augment": "none", "mollify": "noise", "evaluation_augment": "none",
    "soften": "crop:polynomial:k=3", "soften_into": "weight", "compose": "published", "broadcast_weights": True,
    "online_labels": 0.5,
    "evaluation_mollify": "blur", "validation_fraction": 0.3, "momentum": 0.5, "compile": True, "views": 8,
    "flip": 0.25, "evaluation_flip": 0.25, "nesterov": True, "evaluation_images": 100, "warmup": 0.3,
    "clean_share": 0.7, "evaluation_clean_share": 0.7,
}  # fmt: skip


def another(key: str, value: Scalar) -> Scalar:
    if key in OTHER:
        return OTHER[key]
    assert isinstance(value, int | float)
    return value + 1


def test_every_setting_round_trips_through_its_flat_name(tmp_path: Path) -> None:
    config = tiny.config()
    write_toml(tmp_path / "config.toml", flatten(config))
    assert change(RunConfig(), read_toml(tmp_path / "config.toml")) == config
    assert len(SETTINGS) == len(flatten(config))


def test_a_resolved_config_leaves_nothing_open() -> None:
    still = [key for key, value in flatten(tiny.config()).items() if value is None]
    assert still == ["evaluation_images"]  # all of them, which no run may count before its training has ended


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_is_part_of_the_hash(key: str) -> None:
    run = tiny.run()
    changed = run.change(**{key: another(key, flatten(run.config)[key])})
    same = key == "dataset"  # it enters by the digest of its images, so that a file may move
    assert (settings_hash(changed, "digest") == settings_hash(run, "digest")) is same
    assert settings_hash(run, "digest") != settings_hash(run, "other data")


def test_the_number_of_a_cuda_device_is_not_part_of_the_hash() -> None:
    run = tiny.run(device="cpu")
    hashes = {settings_hash(run.change(device=device), "") for device in ("cuda", "cuda:0", "cuda:1")}
    assert len(hashes) == 1
    assert settings_hash(run, "") not in hashes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochz": 3}, "unknown setting 'epochz'; did you mean 'epochs'?"),
        ({"epochs": 0}, "epochs: expected an integer >= 1, got 0"),
        ({"epochs": 2.5}, "epochs: expected int, got 2.5 (float)"),
        ({"epochs": "3"}, "epochs: expected int, got '3' (str)"),
        ({"compile": 1}, "compile: expected bool, got 1 (int)"),
        ({"views": 0}, "views: expected an integer >= 1, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number > 0, got nan"),
        ({"learning_rate": -1}, "learning_rate: expected a number > 0, got -1.0"),
        ({"momentum": 1.0}, "momentum: expected a number in [0,1), got 1.0"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected a share in [0,1), got 1.0"),
        ({"budget": "view"}, "budget: expected images or views, got 'view'; did you mean 'views'?"),
        ({"budget": "views", "views": 3}, "budget views: expected a batch size that 3 views divide, got 128"),
        ({"precision": "fp16"}, "precision: expected auto or fp32 or bf16, got 'fp16'"),
        ({"mollify": "noise,blurr"}, "mollify: unknown role 'blurr'; did you mean 'blur'?"),
        ({"mollify": "noise,noise"}, "mollify: expected each role once, got 'noise,noise'"),
        ({"clean_share": 1.5}, "clean_share: expected a share in [0,1], got 1.5"),
        ({"alpha": 0.0}, "alpha must be a number > 0, got 0.0"),
        ({"k_blur": -1.0}, "k_blur must be a number > 0, got -1.0"),
        ({"rotation": 500.0}, "rotation: expected degrees in [0,180], got 500.0"),
        ({"evaluation_views": 1}, "evaluation_views: expected an integer >= 2, got 1"),
        ({"evaluation_folded_views": 65}, "evaluation_folded_views: expected 1..64, got 65"),
        ({"likelihood": "smothed"}, "unknown likelihood 'smothed'; did you mean 'smoothed'?"),
        ({"network": "small-cnn:widht=3"}, "unknown parameter 'widht'; did you mean 'width'?"),
        ({"aggregator": "jackknife"}, "Jackknife is for studies and evaluation"),
        ({"aggregator": "durbin-koopman", "views": 1}, "needs at least 2 views of each image, got K = 1"),
    ],
)
def test_what_cannot_be_meant_is_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        change(RunConfig(), changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_kept_in_one_form() -> None:
    names = [change(RunConfig(), {"aggregator": f"geometric:T={text}"}).aggregator for text in ("2", "2.0", "2e0")]
    assert set(names) == {"geometric:T=2"}
    assert change(RunConfig(), {"aggregator": "geometric:T=1"}).aggregator == "geometric"


def test_the_schedule_normalizer_takes_its_measure_from_the_run() -> None:
    config = change(
        RunConfig(), {"likelihood": "smoothed-normalized-schedule", "mollify": "blur", "k_blur": 0.5, "beta": 4}
    )
    likelihood = config.objective().likelihood
    assert isinstance(likelihood, SmoothedNormalizedSchedule)
    assert likelihood.schedule == config.view.schedule()
    assert likelihood != LIKELIHOODS["smoothed-normalized-schedule"]
    assert likelihood.schedule.shares() == (0.5, 0.0, 0.5, 0.0)


def test_roles_share_equally_unless_the_clean_share_is_given() -> None:
    assert RunConfig().view.schedule().shares() == pytest.approx((1 / 3, 1 / 3, 1 / 3, 0))
    assert change(RunConfig(), {"mollify": "none"}).view.schedule().shares() == (1, 0, 0, 0)
    assert change(RunConfig(), {"clean_share": 0.0}).view.schedule().shares() == (0, 0.5, 0.5, 0)
    assert change(RunConfig(), {"mollify": "both"}).view.schedule().shares() == (0.5, 0, 0, 0.5)


@pytest.mark.parametrize("text", ["a = ", "\xff", "epochs = 3\nepochs = 4"])
def test_a_broken_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        InputError,
        match=r"^[^\n]*broken\.toml: expected [^\n]*$|^cannot read the configuration [^\n]*broken\.toml[^\n]*$",
    ):
        read_toml(path)


def test_defaults_follow_the_data_set() -> None:
    resolved = tiny.config(network="small-cnn")
    assert (resolved.view.flip, resolved.view.crop_padding) == (0.0, 1)
    assert (resolved.device, resolved.precision) == ("cpu", "fp32")
    assert resolved.evaluation.view == resolved.view
