"""What the command line refuses before anything is written: options that contradict each other, or would do nothing."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auglik.cli.main import auglik
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
    assert said in refusal("train", *tiny.options(), option, value, "--output", tmp_path / "runs")
    assert not list(tmp_path.iterdir())
