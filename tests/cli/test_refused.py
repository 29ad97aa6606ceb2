"""What the command line refuses before anything is written: options that contradict each other, or would do nothing."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auglik.cli.main import auglik


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
