"""Names and paths that would be written are refused before anything is trained."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auglik.cli import report as report_command
from auglik.cli.main import auglik
from auglik.experiments import differences as comparison
from auglik.experiments import tuning
from auglik.objectives import InputError
from auglik.pretraining import differences as pretraining
from auglik.report import write
from auglik.scoring import ensembles
from auglik.system.paths import TAKEN, check_files, check_folder, check_names
from tests.tiny import options


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(auglik, [str(argument) for argument in arguments])


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    assert re.search(message, result.output), result.output


def test_what_is_taken_is_what_is_written() -> None:
    of_report = {write.PAGE, write.MARKDOWN, write.CSV, write.LATEX, write.DIFFERENCES, write.CALIBRATION}
    assert set(TAKEN) == of_report | {
        comparison.RUNS_CSV, comparison.COMPARISON_CSV, ensembles.ENSEMBLES_CSV, pretraining.PRETRAINING_CSV,
        tuning.TUNING_CSV, tuning.TUNING_FOLDER, report_command.REPORT_FOLDER, write.FIGURES, write.FILES,
        "corruptions.nc",
    }  # fmt: skip


BAD_NAMES = {
    "letters": (["a" * 300], "at most 255 bytes"),
    "bytes": (["\u5b66" * 100], "at most 255 bytes"),
    "taken": (["runs.csv"], "next to the cells"),
    "taken in another case": (["Report"], "next to the cells"),
    "device": (["a", "NUL.txt"], "device name of Windows"),
    "case": (["Mean", "mean"], "share a folder"),
    "composed": (["caf\u00e9", "cafe\u0301"], "share a folder"),
    "twice": (["a", "a"], "two cells are called 'a'"),
}


@pytest.mark.parametrize("fault", BAD_NAMES)
def test_cells_that_could_have_no_folder_of_their_own_are_refused(fault: str) -> None:
    names, message = BAD_NAMES[fault]
    with pytest.raises(InputError, match=message) as refused:
        check_names(names)
    assert len(str(refused.value)) < 200


def test_usual_names_are_taken() -> None:
    check_names(["reference", "k=4", "\u53c2\u8003", "smoothed+geometric:T=2", "consul", "seed-0", "a" * 255])


@pytest.mark.parametrize("name", ["a" * 300, "runs.csv", "con"])
def test_a_comparison_refuses_a_bad_name_before_it_trains(tmp_path: Path, name: str) -> None:
    (tmp_path / "c.toml").write_text(f'[[cells]]\nname = "fine"\n[[cells]]\nname = "{name}"\nk-blur = 2\n')
    output = tmp_path / "runs"
    assert_refused(invoke("compare", *options(), "--config", tmp_path / "c.toml", "--output", output), "cell '")
    assert not output.exists()


def test_files_and_folders_in_the_way_are_refused_before_anything_trains(tmp_path: Path) -> None:
    settings = ("compare", *options(), "--likelihood", "smoothed", "--output", tmp_path / "runs")
    in_the_way = {"runs.csv": True, "report": False, "smoothed+jensen": False}
    for name, as_folder in in_the_way.items():
        path = tmp_path / "runs" / name
        path.mkdir(parents=True) if as_folder else path.write_text("")
        assert_refused(invoke(*settings), re.escape(str(path)))
        path.rmdir() if as_folder else path.unlink()
    assert not list((tmp_path / "runs").iterdir())


def test_paths_are_checked_without_writing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path, message in {
        file / "below": "expected folders, got the file",
        tmp_path / ("a" * 300): "names of at most 255 bytes",
        tmp_path / "a\0b": "zero byte",
        Path(*(tmp_path.parts + ("abc" * 60,) * 30)): "a path of under",
    }.items():
        with pytest.raises(InputError, match=message):
            check_files([path])
        with pytest.raises(InputError, match=message):
            check_folder(path)
    with pytest.raises(InputError, match="got the folder"):
        check_files([tmp_path])
    with pytest.raises(InputError, match="got the file"):
        check_folder(file)
    check_files([tmp_path / "new" / "x.png"])
    check_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ("views", "--output"),
        ("confidence", "--measure", "ncc", "--output"),
        ("confidence", "--output"),
        ("pretrain", "--output"),
        ("verify", "normalizer", "--output"),
        ("train", "--output"),
        ("reproduce", "appendix-c", "--scale", "quick", "--output"),
        ("compare", "--tune", "learning_rate=0.01,0.02", "--output"),
    ],
)
def test_every_command_checks_its_output_first(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("")
    for output, message in ((tmp_path / LONG, "at most 255 bytes"), (tmp_path / "file" / "below", "file")):
        assert_refused(invoke(*arguments, output), message)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_runs_that_would_be_scored_into_one_folder_are_refused(tmp_path: Path) -> None:
    for comparison_ in ("one", "other"):
        folder = tmp_path / comparison_ / "cell" / "seed-0"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text("")
    folders = [tmp_path / name / "cell" / "seed-0" for name in ("one", "other")]
    assert_refused(invoke("evaluate", *folders, "--output", tmp_path / "scores"), "different cells or seeds")
