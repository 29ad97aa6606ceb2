"""What the command line refuses before anything is written: options that contradict each other, or would do nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner, Result

from auglik import execute
from auglik.cli.main import auglik
from auglik.recipes import recipe_names
from tests import tiny


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    """The line that a command ends with."""
    ended = invoke(*arguments)
    assert ended.exit_code == 2, ended.output
    (line,) = ended.output.splitlines()
    return line


@pytest.mark.parametrize("command", ["train", "pretrain"])
def test_a_run_cannot_go_on_and_start_over(tmp_path: Path, command: str) -> None:
    said = refusal(command, "--resume", "--restart", "--config", tmp_path / "missing.toml", "--output", tmp_path)
    assert said.endswith("expected either --resume, which goes on from the checkpoint, or --restart, got both")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("train", "--views", 2, "--views", 3),
            "--views: expected it once, got it 2 times; auglik compare takes sever",
        ),
        (("train", "--output", "a", "--output", "b"), "--output: expected it once, got it 2 times"),
        (("train", "--config", "a", "--config", "b", "--config", "c"), "--config: expected it once, got it 3 times"),
        (("train", "--compile", "--no-compile"), "--compile/--no-compile: expected it once, got it 2 times"),
        (("compare", "--reference", "a", "--reference", "b"), "--reference: expected it once, got it 2 times"),
        (("pretrain", "--epochs", 3, "--epochs", 3), "--epochs: expected it once, got it 2 times"),
    ],
)
def test_of_an_option_that_is_given_twice_neither_is_taken(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        auglik.main([*map(str, arguments), "--print-config"], standalone_mode=False)
    assert refused.value.exit_code == 2
    assert refused.value.format_message().startswith(said)


@pytest.mark.parametrize("command", ["train", "pretrain"])
def test_resume_in_a_file_is_of_its_type_and_gives_way_to_the_command_line(tmp_path: Path, command: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('resume = "x"')
    assert "resume: expected bool, got 'x' (str)" in refusal(command, "--config", file, "--print-config")
    for said in ("true", "false"):
        file.write_text(f"resume = {said}")
        for option in ("--resume", "--restart"):
            assert invoke(command, "--config", file, option, "--print-config").exit_code == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--crop-padding", 3_000_000_000, "crop_padding: expected pixels in 0..4096, got 3000000000"),
        ("--evaluation-crop-padding", 3_000_000_000, "evaluation_crop_padding: expected pixels in 0..4096, got 3"),
        ("--evaluation-crop-padding", -1, "auglik: evaluation_crop_padding: expected pixels in 0..4096, got -1"),
        ("--evaluation-flip", 2, "auglik: evaluation_flip: expected a probability in [0,1], got 2.0"),
        ("--evaluation-mollify", "nose", "auglik: evaluation_mollify: unknown role 'nose'"),
        ("--evaluation-k-blur", -1, "auglik: evaluation_k_blur must be a number > 0, got -1.0"),
        ("--evaluation-views", 1, "auglik: evaluation_views: expected an integer >= 2, got 1"),
        ("--flip", 2, "auglik: flip: expected a probability in [0,1], got 2.0"),
        ("--split-seed", -1, "auglik: split_seed: expected an integer >= 0, got -1"),
        ("--seed", -1, "auglik: seed: expected an integer >= 0, got -1"),
        ("--weights", "", "auglik: weights: expected a file, got an empty name"),
    ],
)
def test_the_line_names_the_setting_that_was_given(tmp_path: Path, option: str, value: object, said: str) -> None:
    changed = {option.removeprefix("--").replace("-", "_"): value}
    assert said in refusal("train", *tiny.options(**changed), "--output", tmp_path / "runs")
    assert not list(tmp_path.iterdir())


QUICK_PRETRAINING = ("--train-images", 100, "--epochs", 1, "--network", "small-cnn:width=4", "--device", "cpu")


def test_training_and_pretraining_know_each_others_runs(tmp_path: Path) -> None:
    train = ("train", *tiny.options(epochs=1), "--output", tmp_path)
    assert invoke(*train).exit_code == 0
    trained, pretrained = tmp_path / "smoothed+jensen" / "seed-0", tmp_path / "simsiam" / "seed-0"
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    said = refusal("pretrain", *QUICK_PRETRAINING, "--output", trained)
    assert said == f"auglik: {trained} holds a finished training run: give pretraining another --output"
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before

    assert invoke("pretrain", *QUICK_PRETRAINING, "--output", pretrained).exit_code == 0
    assert "already holds this run, finished" in invoke(*train).output  # beside one of pretraining
    assert invoke("status", tmp_path).output.splitlines() == ["1 run: 1 done, 0 running, 0 waiting, 0 failed"]
    trained.rename(tmp_path / "kept")
    for gone in ("nothing", "config.toml", "checkpoint.pt"):
        (pretrained / gone).unlink(missing_ok=True)
        pretrained.rename(trained)
        said = refusal(*train)
        trained.rename(pretrained)
        assert said == f"auglik: {trained} holds a finished pretraining run: give training another --output"


def test_a_finished_run_whose_settings_are_gone_is_not_trained_over(tmp_path: Path) -> None:
    assert invoke("train", *tiny.options(epochs=1), "--output", tmp_path).exit_code == 0
    folder = tmp_path / "smoothed+jensen" / "seed-0"
    for name in ("config.toml", "checkpoint.pt"):
        (folder / name).unlink()
    results = (folder / "results.json").read_bytes()
    said = refusal("train", *tiny.options(epochs=1, views=3), "--output", tmp_path)
    assert "holds a run with other settings (config.toml, which says them, is gone)" in said
    assert (folder / "results.json").read_bytes() == results


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "weight-decay = 0.1\nweight_decay = 0.2",
            "settings.toml: expected weight_decay once, got it with hyphens and",
        ),
        (
            '[[cells]]\nname = "a"\nweight_decay = 0.1\nweight-decay = 0.1',
            "cell a: expected weight_decay once, got it with hyphens and with underscores: which is meant?",
        ),
        (
            '[engine]\nname = "local"\nprocesses-per-run = 1\nprocesses_per_run = 2',
            "engine: expected processes_per_run once",
        ),
    ],
)
def test_a_name_in_two_spellings_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    assert said in refusal("compare", "--config", tmp_path / "settings.toml", "--print-config")


def test_a_setting_that_is_changed_twice_is_refused(tmp_path: Path) -> None:
    recipe = ("reproduce", "mollification-table-1", "--scale", "quick", "--dry-run", "--output", tmp_path / "runs")
    said = refusal(*recipe, "--set", "weight-decay=0.1", "--set", "weight_decay=0.2")
    assert said.endswith("--set weight_decay: expected one value, got 0.1 and 0.2")
    said = refusal(*recipe, "--engine-options", "processes-per-run=1", "--engine-options", "processes_per_run=2")
    assert said.endswith("--engine-options processes_per_run: expected one value, got '1' and '2'")
    said = refusal(*recipe, "--set", "weights=")
    assert said.endswith("weights: expected a file, got an empty name")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("confidence", "--folds", 3), "--folds: only works with --by class, image or learned, and without"),
        (("confidence", "--by", "pair", "--folds", 2, "--output", "x.npz"), "--folds: only works with --by class"),
        (
            ("confidence", "--by", "class", "--run", "run", "--trained-on", "--folds", 3, "--output", "x.npz"),
            "--folds: only works with --by class, image or learned, and without --trained-on",
        ),
        (("compare", "--tune-seeds", 3), "tune_seeds: only works with --tune SETTING=VALUE,VALUE,..., got none"),
        (("confusions", "run", "--dataset", "nosuch"), "--dataset: only works with FILE.npy of people's answers"),
        (("confusions", "run", "--dataset", ""), "--dataset: only works with FILE.npy of people's answers"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refusal(*arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("views",), "output: expected a .png file, got runs.csv"),
        (("sample", "--prior-predictive", "runs.csv"), "prior_predictive: expected a .png file, got runs.csv"),
        (("confusions", "run", "--output", "runs.txt"), "output: expected a .csv file, got runs.txt"),
    ],
    ids=lambda value: value[0],
)
def test_a_file_of_another_kind_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text("a table")
    output = ("--output", "runs.csv") if arguments == ("views",) else ()
    assert said in refusal(*arguments, *output)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("runs.csv", "a table")]


@pytest.mark.parametrize(
    "arguments",
    [
        *((command, "--output", "") for command in ("views", "confidence", "train", "pretrain", "compare")),
        ("verify", "objectives", "--quick", "--output", ""),
        ("train", "--print-config", "--data-dir", ""),
        ("train", "--config", ""),
        ("report", "folder", "--output", ""),
        ("evaluate", "folder", "--output", ""),
        ("confusions", "folder", "--output", ""),
        *((command, "") for command in ("report", "status", "robustness", "evaluate")),
        ("keep", "folder", ""),
    ],
    ids=" ".join,
)
def test_an_empty_name_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = invoke(*arguments)  # a usage error is one line in a process of its own
    assert refused.exit_code == 2, refused.output
    assert re.search("expected a (folder )?name, got an empty one", refused.output)
    assert not list(tmp_path.iterdir())


def test_seeds_that_tuning_takes_are_refused(tmp_path: Path) -> None:
    grid = "--tune", "learning_rate=0.01,0.1"
    said = refusal("compare", *tiny.options(output=tmp_path / "out"), "--seed", "0", "--seed", "10001", *grid)
    assert said.endswith("seeds: expected others than those of tuning, from 10000 on, got 10001")
    assert list(tmp_path.iterdir()) == []


def test_an_option_without_its_value_names_the_help_of_its_command() -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "auglik", "compare", "--likelihood"], capture_output=True, text=True
    )
    said = "auglik compare: Option '--likelihood' requires an argument. (see auglik compare --help)\n"
    assert (ended.returncode, ended.stderr) == (2, said)


@pytest.mark.parametrize("text", ["cells = 3\n", "[[cells]]\nname = 3\n"])
def test_cells_that_are_none_are_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    said = refusal("compare", "--config", tmp_path / "c.toml")
    assert re.search(r"expected \[\[cells\]\] tables, each with a name in quotes, got .*3", said)


@pytest.mark.parametrize(("command", "engine"), [("compare", "slurm"), ("verify", "ray")])
def test_an_engine_that_is_not_here_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, engine: str
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    settings = tiny.options() if command == "compare" else ["objectives"]
    said = refusal(command, *settings, "--engine", engine, "--output", tmp_path / "out")
    assert f"pip install 'auglik[{engine}]'" in said
    assert not list(tmp_path.iterdir())


def test_robustness_asks_for_its_engine_before_it_makes_conditions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(tiny.job(tmp_path / "out" / "cell" / "seed-0", epochs=1, train_images=100))
    monkeypatch.setitem(sys.modules, "submitit", None)
    said = refusal("robustness", tmp_path / "out", "--data-dir", tmp_path / "data", "--engine", "slurm")
    assert "pip install 'auglik[slurm]'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("options", [["--scale", "quick"], ["--dry-run"], ["--seeds", "2", "--no-report"]])
def test_options_of_no_experiment_are_refused(options: list[str]) -> None:
    said = refusal("reproduce", *options)
    given = ", ".join(option for option in options if option.startswith("--"))
    assert said == f"auglik: {given}: expected the NAME of an experiment too; auglik reproduce alone lists them"


def test_experiments_are_listed() -> None:
    listed = invoke("reproduce")
    assert listed.exit_code == 0
    assert set(recipe_names()) <= set(listed.output.splitlines())
