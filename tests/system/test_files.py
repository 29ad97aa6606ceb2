import csv
import errno
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

from auglik.objectives.errors import InputError
from auglik.system import files

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result of an earlier run, alone in its folder."""
    path = tmp_path / "results.json"
    path.write_text("old")
    return path


@pytest.fixture
def small_disk() -> Iterator[int]:
    """No file may grow beyond so many bytes: a write across the limit is cut short, the next one fails."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_untouched(path: Path) -> None:
    assert path.read_text() == "old"
    assert names(path.parent) == [path.name]


def test_atomic_write_replaces_the_old_file_at_the_end(result: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"new")
        file.flush()
        assert result.read_text() == "old"

    files.atomic_write(result, write)
    assert result.read_text() == "new"
    assert names(result.parent) == [result.name]


def test_the_whole_file_is_on_the_disk_before_it_takes_its_name(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronized: list[tuple[int, str]] = []
    monkeypatch.setattr(os, "fsync", lambda file: synchronized.append((os.fstat(file).st_size, result.read_text())))
    files.atomic_write(result, lambda file: file.writelines([b"new"]))
    assert synchronized == [(3, "old")]


@pytest.mark.parametrize("failure", [RuntimeError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_a_failure_in_the_middle_of_a_write_leaves_the_old_file(result: Path, failure: BaseException) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"half")
        file.flush()
        raise failure

    with pytest.raises(type(failure)) as caught:
        files.atomic_write(result, write)
    assert caught.value is failure
    assert_untouched(result)


WRITERS: dict[str, Callable[[Path], None]] = {
    "json": lambda path: files.write_json(path, {"text": "x" * 200_000}),
    "toml": lambda path: files.write_toml(path, {"text": "x" * 200_000}),
    "csv": lambda path: files.write_csv(path, [{"text": "x" * 200_000}], ["text"]),
    "npz": lambda path: files.write_npz(path, zeros=np.zeros(30_000)),
    "torch": lambda path: files.atomic_write(path, lambda file: torch.save(torch.zeros(60_000), file)),
    "buffered": lambda path: files.atomic_write(
        path, lambda file: [file.write(b"x" * 999) for _ in range(101)].clear()
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_outgrows_the_disk_leaves_the_old_one(result: Path, small_disk: int, name: str) -> None:
    with pytest.raises(InputError, match=r"^cannot write .*results.json: File too large$"):
        WRITERS[name](result)
    assert_untouched(result)


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_is_full_when_it_is_synchronized(result: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(descriptor: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"^cannot write .*results.json: No space left on device$"):
        WRITERS[name](result)
    assert_untouched(result)


def test_a_killed_process_leaves_the_old_file_and_a_temporary_that_is_no_result(result: Path) -> None:
    script = """
import os, pathlib, signal, sys
from auglik.system.files import atomic_write

def write(file):
    file.write(b"half" * 10_000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

atomic_write(pathlib.Path(sys.argv[1]), write)
"""
    root = Path(files.__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", script, result], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert result.read_text() == "old"
    (temporary,) = set(result.parent.iterdir()) - {result}
    assert temporary.name.startswith(".partial-")
    assert list(result.parent.glob("*.json")) == [result]
    files.write_json(result, {"new": True})
    assert json.loads(result.read_text()) == {"new": True}


def test_results_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    files.write_json(tmp_path / "ours", {})
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_in_place_of_the_file(result: Path) -> None:
    (result.parent / "taken").mkdir()
    with pytest.raises(InputError, match=r"^cannot write .*taken: Is a directory$"):
        files.write_json(result.parent / "taken", {})
    assert names(result.parent) == ["results.json", "taken"]


def test_json_keeps_order_and_turns_non_finite_numbers_into_null(tmp_path: Path) -> None:
    values = {
        "b": 0.1,
        "a": np.float32(0.5),
        "diverged": [float("nan"), {"inf": -np.float64("inf")}],
        "counts": np.arange(3),
        "flag": True,
        "none": None,
        "pair": (1, "γ"),
    }
    files.write_json(tmp_path / "x.json", values)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    read = json.loads(text)
    assert list(read) == list(values)
    assert read["diverged"] == [None, {"inf": None}]
    assert (read["b"], read["a"], read["counts"]) == (0.1, 0.5, [0, 1, 2])
    assert (read["flag"], read["none"], read["pair"]) == (True, None, [1, "γ"])
    assert json.loads(files.json_text(values)) == read
    assert "\n" not in files.json_text(values)


def test_toml_is_read_back(tmp_path: Path) -> None:
    views = {"K": 4, "beta": np.array([1.0, 2.0]), "proposal": None, "roles": ["clean", "blur"]}
    files.write_toml(tmp_path / "config.toml", {"seed": np.int64(3), "download": False, "limit": None, "views": views})
    assert tomllib.loads((tmp_path / "config.toml").read_text()) == {
        "seed": 3,
        "download": False,
        "views": {"K": 4, "beta": [1.0, 2.0], "roles": ["clean", "blur"]},
    }


def test_csv_is_read_back_to_the_last_digit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=20)
    rows: list[dict[str, object]] = [{"cell": 'a, "b"', "nll": value} for value in values] + [
        {"cell": "failed", "nll": None},
        {},
    ]
    files.write_csv(tmp_path / "runs.csv", rows, ["cell", "nll"])
    with (tmp_path / "runs.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["nll"]) for row in read[:20]] == list(values)
    assert read[0]["cell"] == 'a, "b"'
    assert [(row["cell"], row["nll"]) for row in read[20:]] == [("failed", ""), ("", "")]


def test_csv_refuses_a_value_without_a_column(result: Path) -> None:
    with pytest.raises(InputError, match=r"columns of results.json, got ece too, in row 1"):
        files.write_csv(result, [{"nll": 1}, {"nll": 2, "ece": 3}], ["nll"])
    assert_untouched(result)


def test_npz_is_read_back_without_pickle(tmp_path: Path) -> None:
    log_p, labels = np.log(np.full((3, 2), 0.5)), np.array([0, 1, 1])
    files.write_npz(tmp_path / "predictions.npz", log_p=log_p, labels=labels)
    with np.load(tmp_path / "predictions.npz", allow_pickle=False) as read:
        assert sorted(read) == ["labels", "log_p"]
        np.testing.assert_array_equal(read["log_p"], log_p)
        np.testing.assert_array_equal(read["labels"], labels)


def test_npz_refuses_objects(result: Path) -> None:
    with pytest.raises(InputError, match="objects in names"):
        files.write_npz(result, names=np.array([None, "a"]))
    assert_untouched(result)


def test_lines_are_appended_and_a_torn_one_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for epoch in range(3):
        files.append_line(path, files.json_text({"epoch": epoch}))
    path.write_bytes(path.read_bytes()[:-4])
    files.append_line(path, '{"epoch": 7}')
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [0, 1, 7]


def test_a_file_of_one_torn_line_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("torn")
    files.append_line(tmp_path / "x", "whole")
    assert (tmp_path / "x").read_text() == "whole\n"


def test_a_line_that_does_not_fit_leaves_the_lines_before_it(tmp_path: Path, small_disk: int) -> None:
    path = tmp_path / "metrics.jsonl"
    files.append_line(path, "first")
    with pytest.raises(InputError, match=r"^cannot append to .*metrics.jsonl: File too large$"):
        files.append_line(path, "x" * 2 * small_disk)
    assert path.read_text() == "first\n"


def test_one_line_at_a_time(result: Path) -> None:
    with pytest.raises(InputError, match=r"expected one line .* got 2"):
        files.append_line(result, "a\nb")
    assert_untouched(result)


def test_ensure_writable_creates_the_folder_and_leaves_it_empty(tmp_path: Path) -> None:
    for _ in range(2):
        files.ensure_writable(tmp_path / "a" / "b")
        assert names(tmp_path / "a" / "b") == []


@pytest.mark.parametrize(("folder", "reason"), [("results.json", "File exists"), ("results.json/a", "Not a directory")])
def test_ensure_writable_refuses_a_file_in_the_way(result: Path, folder: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"^cannot write into the folder .*{folder}: {reason}$"):
        files.ensure_writable(result.parent / folder)
    assert_untouched(result)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_ensure_writable_says_why_it_cannot(result: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    class Refusing(files._RecordingFile):
        def write(self, data: object, /) -> int:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files, "_RecordingFile", Refusing)
    with pytest.raises(InputError, match=f"folder .*: {os.strerror(code)}$"):
        files.ensure_writable(result.parent)
    assert_untouched(result)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_ensure_writable_in_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    for folder in ("locked", "locked/below"):
        with pytest.raises(InputError, match=r"Permission denied$"):
            files.ensure_writable(tmp_path / folder)
