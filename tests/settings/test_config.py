"""Settings: flat names, types, ranges, and the hash that tells runs apart."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from auglik import InputError, RunConfig, change, flatten
from auglik.objectives import LIKELIHOODS, SmoothedNormalizedSchedule
from auglik.runs.identity import ADDED, MOVABLE, RESULT_FORMAT
from auglik.runs.resolved import settings_hash
from auglik.runs.settings import SETTINGS, get
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
    "clean_share": 0.7, "evaluation_clean_share": 0.7, "optimizer": "torch:RAdam", "rate_schedule": "constant",
    "coupling": "sobol",
    "gradient_clip": 1.0, "average": 0.9, "weights": "moved.pt", "weights_digest": "ab", "weights_head": "fresh",
    "inference": "sgld", "prior": "laplace", "step_sizes": "cyclical",
    "batch_norm": "local", "proposal": "responsibilities", "mean_views": 2.0,
}  # fmt: skip


def another(key: str, value: Scalar) -> Scalar:
    if key in OTHER:
        return OTHER[key]
    assert isinstance(value, int | float)
    return not value if isinstance(value, bool) else value + 1


def test_every_setting_round_trips_through_its_flat_name(tmp_path: Path) -> None:
    config = tiny.config()
    write_toml(tmp_path / "config.toml", flatten(config))
    assert change(RunConfig(), read_toml(tmp_path / "config.toml")) == config
    assert len(SETTINGS) == len(flatten(config))


@pytest.mark.parametrize(
    ("text", "said"), [("a\nb", "expected one line of text"), ("a\udcff", "got bytes that are none.*file name")]
)
def test_text_that_no_file_could_hold_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^dataset: .*{said}"):
        change(RunConfig(), {"dataset": text})


def test_a_resolved_config_leaves_nothing_open() -> None:
    still = [key for key, value in flatten(tiny.config()).items() if value is None]
    none = ["mean_views", "gradient_clip", "average", "weights", "weights_digest"]
    assert still == [*none, "evaluation_images"]  # all of them, which no run may count before its training has ended


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_is_part_of_the_hash(key: str, tmp_path: Path) -> None:
    run = tiny.run(optimizer="adamw") if key == "optimizer" else tiny.run()  # none but sgd takes its momentum
    if key.startswith("weights"):
        run = run.change(weights="a.pt", weights_digest="a")
    if key in ("proposal", "mean_views"):
        run = tiny.run(aggregator="log-mean")  # jensen counts all views alike
    if key == "degrade_toward":
        np.save(tmp_path / "pi.npy", np.eye(10))
    value = str(tmp_path / "pi.npy") if key == "degrade_toward" else another(key, flatten(run.config)[key])
    changed = run.change(**{key: value})
    same = key in ("dataset", "weights")  # they enter by the digests of their contents, so that a file may move
    assert (settings_hash(changed, "digest") == settings_hash(run, "digest")) is same
    assert settings_hash(run, "digest") != settings_hash(run, "other data")


def test_settings_that_were_added_enter_no_hash_at_their_defaults() -> None:
    """Else runs from before they were added would not be found."""
    run = tiny.run()
    identity: dict[str, object] = {
        key: value for key, value in flatten(run.config).items() if key not in (*ADDED, *MOVABLE)
    }
    identity |= {"dataset": "digest", "result_format": RESULT_FORMAT, "soften": ""}
    expected = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    assert settings_hash(run, "digest") == expected


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
        ({"nesterov": True, "momentum": 0.0}, "nesterov: expected a momentum > 0, got 0"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'; did you mean 'torch:Adam'?"),
        ({"optimizer": "own_opt.py"}, "known: adamw, sgd, and torch:NAME for a class of torch.optim"),
        ({"optimizer": "adamv"}, "unknown optimizer 'adamv'; did you mean 'adamw'?"),
        ({"optimizer": "torch:Radm"}, "unknown optimizer 'torch:Radm'; did you mean 'torch:RAdam'?"),
        ({"optimizer": "torch:"}, "unknown optimizer 'torch:'; known: ASGD, Adadelta, Adafactor, "),
        ({"optimizer": "torch:SGD"}, "optimizer torch:SGD: it is called sgd here, with the settings momentum"),
        ({"optimizer": "torch:LBFGS"}, "optimizer torch:LBFGS: it computes the loss several times a step"),
        ({"optimizer": "torch:SparseAdam"}, "optimizer torch:SparseAdam: it takes sparse gradients alone"),
        ({"optimizer": "sgd:momentum=0.5"}, "unknown parameter 'momentum'; sgd has none"),
        ({"optimizer": "adamw:betas=0.9"}, "adamw: expected two betas in [0,1), got 0.9"),
        ({"optimizer": "adamw:betas=0.9;1"}, "expected numbers separated by slashes for betas, got '0.9;1'"),
        ({"optimizer": "torch:RAdam:betas=0.9"}, "expected 2 finite numbers for betas"),
        ({"optimizer": "torch:RAdam:betas=0.9/1.5"}, "a step of a network, but Invalid beta parameter at index 1: 1.5"),
        ({"optimizer": "torch:RMSprop:momentum=nan"}, "expected a finite number for momentum"),
        ({"optimizer": "adamw", "momentum": 0.9}, "momentum: expected none with adamw, got 0.9: it belongs to"),
        ({"optimizer": "torch:Adam", "nesterov": False}, "nesterov: expected none with torch:Adam, got False"),
        ({"rate_schedule": "cosin"}, "unknown rate schedule 'cosin'; did you mean 'cosine'?"),
        ({"rate_schedule": "step:at=0.7/0.5"}, "step: expected shares that rise within (0,1), got at=0.7/0.5"),
        ({"rate_schedule": "step:by=1"}, "step: expected by, the factor of the rate, in (0,1), got 1.0"),
        ({"rate_schedule": "one-cycle:rise=1"}, "one-cycle: expected rise, a share of the steps, in (0,1), got 1.0"),
        ({"rate_schedule": "one-cycle:end=0.5"}, "one-cycle: expected divisors >= 1, got start=25.0, end=0.5"),
        (
            {"rate_schedule": "one-cycle", "warmup": 0.1},
            "warmup: expected none with one-cycle, which has its own rise",
        ),
        ({"gradient_clip": -1}, "gradient_clip: expected a norm > 0, got -1.0"),
        ({"average": 1.0}, "average: expected a decay in (0,1), got 1.0"),
        ({"weights_head": "frsh"}, "weights_head: expected keep or fresh, got 'frsh'; did you mean 'fresh'?"),
        ({"validation_fraction": 1.0}, "validation_fraction: expected a share in [0,1), got 1.0"),
        ({"budget": "view"}, "budget: expected images or views, got 'view'; did you mean 'views'?"),
        ({"budget": "views", "views": 3}, "budget views: expected a batch size divisible by 3 views, got 128"),
        ({"precision": "fp16"}, "precision: expected auto or fp32 or bf16 or mixed, got 'fp16'"),
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
    for key, text, shown in (
        ("optimizer", "torch:RMSprop:momentum=0.90:alpha=0.99", "torch:RMSprop:momentum=0.9"),
        ("optimizer", "adamw:betas=0.9/0.9990:eps=1e-6", "adamw:eps=1e-06"),
        ("rate_schedule", "step:at=0.50/0.75", "step"),
    ):
        assert get(change(RunConfig(), {key: text}), key) == shown
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
