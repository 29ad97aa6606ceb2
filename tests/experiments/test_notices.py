"""What a run's own process has to say of its data reaches the user, once."""

import io
import logging
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auglik import Local, open_dataset
from auglik.cli.main import auglik
from auglik.cli.progress import bar
from auglik.comparison.progress_bar import bar as notebook_bar
from auglik.experiments.engines import slurm
from auglik.experiments.engines.engine import Outcome
from auglik.experiments.engines.held import carried
from auglik.experiments.engines.slurm import RUN_LOG
from auglik.experiments.engines.spread import attempted
from auglik.runs.run import Job
from auglik.system.notices import LOG, say_once
from auglik.system.stop import StopRequest
from tests import tiny

Bar = Callable[[str], AbstractContextManager[Callable[[float], None]]]
LINE = "no pixel is above 1, but training images reach 255: read as dark images, not as levels of fewer bits"


@pytest.fixture(autouse=True)
def nothing_said() -> Iterator[None]:
    say_once.cache_clear()
    yield
    say_once.cache_clear()


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """The digits, tested on images of 0 and 1."""
    train, test = (getattr(open_dataset("digits"), part)() for part in ("train", "test"))
    images, labels = (test.images > 100).astype(np.uint8)[:40], test.labels[:40]
    np.savez(
        tmp_path / "dark.npz",
        train_images=train.images, train_labels=train.labels, test_images=images, test_labels=labels,
    )  # fmt: skip
    return tmp_path / "dark.npz"


@pytest.mark.parametrize("jobs", [1, 2])
def test_runs_in_processes_of_their_own_say_what_one_in_this_process_does(
    tmp_path: Path, dark: Path, jobs: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", "--likelihood", "smoothed", "--likelihood", "categorical", "--seeds", "1", "--no-report"]
    settings = tiny.options(dataset=dark, epochs=1, train_images=100)
    result = CliRunner().invoke(
        auglik, [*command, "--jobs", str(jobs), "--output", str(tmp_path / "out"), *settings], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert [LINE in line for line in caplog.messages] == [True]
    assert LINE not in "".join(capfd.readouterr())  # where processes of runs would write themselves


@dataclass(frozen=True)
class Noticing:
    """A job that says its line."""

    job: Job
    line: str

    def __getattr__(self, name: str) -> object:
        return getattr(self.__getattribute__("job"), name)

    def __reduce__(self) -> tuple[type["Noticing"], tuple[Job, str]]:
        return Noticing, (self.job, self.line)

    def execute(self, *_: object) -> None:
        say_once(self.line)


def test_what_another_process_logs_is_in_the_outcome_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As of the local engine and of Ray."""
    task = Noticing(tiny.job(tmp_path / "run"), "dim")
    _, error, *_, notices = attempted(pickle.dumps(task), StopRequest(), lambda share: None, 1)
    assert (error, notices) == (None, ("dim",))
    assert not caplog.messages
    LOG.warning("after")
    assert caplog.messages == ["after"]


def test_slurms_log_of_a_run_has_its_notices_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr(slurm, "_log_into", lambda path: path.touch())
    task = Noticing(tiny.job(tmp_path / "run"), "dim")
    (found,) = slurm.work([pickle.dumps(task)])
    assert found[-1] == ("dim",)
    assert capfd.readouterr() == ("dim\n", "")
    assert (tmp_path / "run" / RUN_LOG).exists()


class Three:
    """An engine whose processes notice the same."""

    def execute(self, jobs: list[Job], stop: StopRequest, progress: object) -> list[Outcome[None]]:
        return [Outcome(job, None, "", notices=("dim", f"{job.config.seed}")) for job in jobs]  # type: ignore[arg-type]


def test_a_line_of_several_runs_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    say_once("0")  # as the plan did
    jobs = [tiny.job(tmp_path / f"{seed}", seed=seed) for seed in range(3)]
    carried(Three(), jobs, StopRequest(), lambda job, share: None, lambda outcome: None)  # type: ignore[arg-type]
    assert caplog.messages == ["0", "dim", "1", "2"]


@pytest.mark.slow
def test_processes_that_share_a_run_say_it_once(tmp_path: Path, dark: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job = tiny.job(tmp_path / "run", dataset=str(dark), epochs=1, train_images=100)
    (outcome,) = Local(processes_per_run=2).execute([job], StopRequest(), lambda job, share: None)
    assert [LINE in line for line in outcome.notices] == [True], outcome
    assert LINE not in "".join(capfd.readouterr())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("drawn", [bar, lambda label: notebook_bar(label, hidden=False)])
def test_a_notice_takes_a_line_that_a_bar_has_left(drawn: Bar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn as terminals do: what is written behind a return lies over what was there."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    handler = logging.StreamHandler(terminal)
    LOG.addHandler(handler)
    try:
        with drawn("training") as tell:
            tell(0.5)
            say_once("dim")
            tell(0.7)
    finally:
        LOG.removeHandler(handler)
    assert "dim" in seen(terminal.getvalue())


def seen(written: str) -> list[str]:
    """The lines of a terminal; of its control sequences those that clear the rest of a line count."""
    lines = []
    for line in written.split("\n"):
        shown = ""
        for part in line.split("\r"):
            text = re.sub(r"\033\[\?25[lh]", "", part)
            cleared = text.startswith("\033[K")
            text = text.removeprefix("\033[K")
            shown = text if cleared else text + shown[len(text) :]
        lines.append(shown.rstrip())
    return lines
