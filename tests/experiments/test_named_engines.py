"""Engines by name: from the command line and from files."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auglik import InputError, Local
from auglik.cli.main import auglik
from auglik.cli.plans import interrupted
from auglik.experiments.engines.named import ENGINES, choose
from auglik.experiments.engines.ray import Ray
from auglik.experiments.engines.slurm import Slurm
from tests import tiny


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, [str(argument) for argument in arguments])


def test_a_table_and_the_command_line_make_one_engine() -> None:
    table = {"name": "ray", "gpus-per-run": 0.25, "retries": 1}
    assert choose(table, None, ["cpus_per_run=2", "retries=5"]).engine(None) == Ray(
        gpus_per_run=0.25, cpus_per_run=2.0, retries=5
    )
    assert choose(table, "slurm", ["minutes=30"]).engine(4) == Slurm(minutes=30, jobs=4)
    assert choose("slurm", None, ["detach=true"]).detaches
    assert choose(None, None, []).engine(3) == Local(3)
    assert choose(None, None, ["jobs=2"]).engine(3) == Local(2)
    assert choose({"minutes": 5}, "slurm", []).engine(None) == Slurm(minutes=5)


@pytest.mark.parametrize(
    ("table", "name", "texts", "message"),
    [
        (None, "rai", [], "unknown engine 'rai'.*ray"),
        (None, "ray", ["gpus=1"], "the engine ray has no option 'gpus'"),
        (None, "ray", ["gpus_per_run"], "expected KEY=VALUE"),
        (None, "ray", ["gpus_per_run=many"], "expected float, got 'many'"),
        (None, "ray", ["gpus_per_run=1.5"], "a share of one GPU or whole ones"),
        (None, "ray", ["gpus_per_run=nan"], "expected a number >= 0"),
        (None, "slurm", ["minutes=0"], "minutes: expected a number above 0"),
        (None, "slurm", ["detach=perhaps"], "expected bool"),
        (
            None,
            "local",
            ["detach=true"],
            "detach: expected the engine slurm, to which runs can be handed over, got local",
        ),
        ({"name": "ray", "retries": "3"}, None, [], "retries: expected int, got '3'"),
        (None, "ray", ["processes_per_run=0"], "processes_per_run: expected an integer >= 1"),
        (None, "slurm", ["processes_per_run=0"], "processes_per_run: expected a number above 0"),
        (None, "local", ["processes_per_run=0"], "processes_per_run: expected an integer >= 1"),
        (3, None, [], r"expected an \[engine\] table"),
        ({"name": 3}, None, [], "expected a name, got 3"),
    ],
)
def test_what_cannot_be_is_refused(table: object, name: str | None, texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(table, name, texts)


def test_a_file_names_its_engine_and_the_settings_hash_knows_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('seeds = 1\n[engine]\nname = "local"\njobs = 1\n')
    options = [*tiny.options(epochs=1), "--aggregator", "jensen", "--aggregator", "log-mean", "--no-report"]
    output = tmp_path / "runs"
    first = invoke("compare", "--config", tmp_path / "c.toml", *options, "--output", output)
    assert first.exit_code == 0, first.output
    again = invoke("compare", "--seeds", "1", *options, "--output", output)
    assert "2 runs, 2 finished" in again.output


@pytest.mark.parametrize(("name", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_what_is_not_installed_is_one_line(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("auglik.experiments.engines.slurm.shutil.which", lambda command: command)
    result = invoke("compare", *tiny.options(), "--output", tmp_path / "runs", "--engine", name)
    assert result.exit_code == 2
    assert f"pip install 'auglik[{name}]'" in result.output.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_the_options_of_an_engine_are_listed_once() -> None:
    with pytest.raises(InputError) as refused:
        choose(None, "local", ["nosuch=1"])
    assert str(refused.value) == "the engine local has no option 'nosuch'; known: jobs, processes_per_run"


def test_only_what_can_be_handed_over_is_detached(tmp_path: Path) -> None:
    result = invoke("compare", *tiny.options(), "--output", tmp_path / "runs", "--detach")
    assert result.exit_code == 2
    assert "detach: expected the engine slurm, to which runs can be handed over, got local" in result.output
    tuned = ["--engine", "slurm", "--detach", "--tune", "learning_rate=0.01,0.1"]
    result = invoke("compare", *tiny.options(), "--output", tmp_path / "runs", *tuned)
    assert "which has to end before" in result.output
    assert not (tmp_path / "runs").exists()


def test_engines_are_known_by_name() -> None:
    assert list(ENGINES) == ["local", "ray", "slurm"]


def test_the_local_engine_says_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auglik.experiments.plan.available_cores", lambda: 4)
    dry = ["compare", *tiny.options(), "--seeds", "4", "--output", tmp_path / "runs", "--dry-run"]
    for said, *options in (
        ("4 runs at a time", "--engine-options", "jobs=4", "--jobs", "1"),
        ("2 runs at a time", "--engine-options", "processes_per_run=2"),
    ):
        result = invoke(*dry, *options)
        assert result.exit_code == 0, result.output
        assert said in result.output
        assert f"36 runs, {said.partition(' ')[0]} at a time" in result.output
    result = invoke(*dry, "--engine-options", "processes_per_run=64")
    assert result.exit_code == 2
    assert "engine local: processes_per_run: expected at most the cores here, 4, got 64" in result.output


@pytest.mark.parametrize(("resumes", "how"), [(True, ""), (False, " without --no-resume")])
def test_an_interrupted_command_says_how_it_goes_on(resumes: bool, how: str) -> None:
    assert interrupted(resumes) == f"interrupted; run the same command again{how} to continue"
