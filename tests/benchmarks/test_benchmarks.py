"""Benchmarks say what was measured: by which clock, on what, of how much, and nothing where that is not known."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from auglik import Place, RunConfig, change, make_plan
from auglik.experiments.cells import plan
from auglik.objectives import InputError
from auglik.runs.step import make_network
from benchmarks import engines, growth, main_job, networks, timing
from benchmarks.command import check_ended
from benchmarks.timing import Row, Timed, cells, processor, seconds_of
from tests.test_layout import ROOT

NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text())
COMPILES = (
    ("augmentation",), ("compiled",), ("objectives",), ("policies",), ("ops", "--compiled"), ("training", "--compiled"),
    ("networks", "--compile", "--device", "cpu"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def command_of(name: str) -> click.Command:
    found = import_module(f"benchmarks.{name}").main
    assert isinstance(found, click.Command)
    return found


def ended(name: str, *arguments: str) -> Result:
    return CliRunner().invoke(command_of(name), arguments)


@pytest.mark.parametrize("name", NAMES)
def test_bad_options_end_with_a_line(name: str) -> None:
    counts = [one for one in command_of(name).params if isinstance(one.type, click.IntRange)]
    assert counts
    for option in counts:
        refused = ended(name, option.opts[0], "0")
        assert refused.exit_code == 2
        (line,) = refused.output.splitlines()
        assert "0 is not in the range" in line
    refused = ended(name, "--nosuch")
    assert refused.exit_code == 2
    (line,) = refused.output.splitlines()
    assert "No such option" in line
    assert "--help" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compiled", "nosuch"), "unknown network 'nosuch'"),
        (("networks", "nosuch"), "unknown network 'nosuch'"),
        (("corruptions", "--device", "nosuch"), "device 'nosuch' cannot be used here"),
        (("main_job", "--cell", "nosuch"), "--cell: expected one of reference"),
        (("step", "--cifar10", "nosuch.npz"), "nosuch.npz: expected"),
    ],
)
def test_names_that_are_not_known_end_with_a_line(arguments: tuple[str, ...], said: str) -> None:
    refused = ended(*arguments)
    assert refused.exit_code == 2
    (line,) = refused.output.splitlines()
    assert line.startswith(f"auglik: {said}")


@pytest.mark.parametrize("arguments", COMPILES)
def test_what_compiles_says_that_there_is_no_compiler(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    refused = ended(*arguments)
    assert refused.exit_code == 2
    (line,) = refused.output.splitlines()
    assert "expected a C++ compiler" in line


def test_one_thread_is_timed_by_what_it_takes_of_a_processor() -> None:
    torch.set_num_threads(1)
    assert seconds_of(lambda: time.sleep(0.2)) < 0.1
    torch.set_num_threads(2)
    assert seconds_of(lambda: time.sleep(0.2)) >= 0.2


@pytest.mark.parametrize(
    ("threads", "before", "verdict"),
    [
        (1, 9, "met"),
        (2, 0, "met"),
        (2, 9, "no verdict: other work takes cores"),
        (2, float("nan"), "no verdict: other work takes cores"),
    ],
)
def test_the_walls_seconds_have_no_verdict_where_others_take_cores(
    monkeypatch: pytest.MonkeyPatch, threads: int, before: float, verdict: str
) -> None:
    monkeypatch.setattr(timing, "BEFORE", before)
    monkeypatch.setattr(timing, "load", lambda: before)
    monkeypatch.setattr(timing, "available_cores", lambda: 2)
    torch.set_num_threads(threads)
    timed = {name: Timed(lambda: 1.0, 1) for name in ("a", "b")}
    seconds = {"a": [1.0], "b": [1.0]}
    assert cells(Row("what", "a", "b", goal=0.9), timed, seconds)[-1] == verdict
    assert cells(Row("what", "a", "b"), timed, seconds)[-1] == verdict.removeprefix("met")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("model name : A\nflags : sse avx512_bf16 amx_bf16", "A (avx512_bf16, amx_bf16)"),
        ("model name : A\nflags : sse", "A (no bf16)"),
        ("model name : A\nFeatures : fp asimd bf16", "A (bf16)"),
        ("model name : A", "A"),
    ],
)
def test_bfloat16_is_told_where_the_system_tells_features(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert processor(path) == found


def test_the_bare_loop_of_the_main_job_sees_as_many_images_as_a_run(tmp_path: Path) -> None:
    (job, *_) = make_plan(plan(change(RunConfig(), {"epochs": 2}), {}), [0], Place(output=str(tmp_path / "out"))).jobs
    kind, seen = type(make_network(job.run, 1, main_job.CLASSES)), Counter[bool]()

    def count(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if type(module) is kind:
            seen[module.training] += len(given[0])

    hook = register_module_forward_pre_hook(count)
    try:
        main_job.whole(job)
        of_run = Counter(seen)
        seen.clear()
        main_job.bare(job, torch.channels_last)
    finally:
        hook.remove()
    assert seen == of_run
    assert min(seen.values()) > 0


def test_a_comparison_that_was_kept_says_how_large_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    lines = (f'output = "{kept}"', "seeds = 3", '[[cells]]\nname = "a"', '[[cells]]\nname = "b"')
    kept.with_suffix(".toml").write_text("\n".join(lines))
    monkeypatch.setattr(growth, "measured", lambda command: (1.0, 2.0, 3.0))
    if growth.STATUS.exists():
        assert ended("growth", "--keep", str(kept)).output.startswith("2 cells x 3 seeds")
        assert "--cells 2 --seeds 3" in ended("growth", "--keep", str(kept), "--cells", "5").output
        assert "expected a new folder" in ended("growth", "--keep", str(tmp_path)).output
    monkeypatch.setattr(growth, "STATUS", tmp_path / "none")
    assert ended("growth").exit_code == 2


def test_an_engine_that_cannot_be_used_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def compared(engine: str) -> engines.Taken:
        if engine != "local":
            failed = subprocess.CompletedProcess[str]([], 2, "", "a warning\nauglik: sbatch is not on the PATH\n")
            check_ended(engine, failed)
        return engines.Taken(1, 1, 2, 1)

    monkeypatch.setattr(engines, "compared", compared)
    every = ended("engines")
    assert every.exit_code == 0
    assert "left out: slurm failed: sbatch is not on the PATH" in every.output.splitlines()
    assert "local                    overhead a run, median of 2 [min-max]: 1.00 s [1.00-1.00]" in every.output
    asked = ended("engines", "--engine", "slurm")
    assert (asked.exit_code, asked.stderr.strip()) == (2, "auglik: slurm failed: sbatch is not on the PATH")


def test_networks_of_libraries_that_are_not_here_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find(name: str) -> None:
        if name.startswith("timm:"):
            raise InputError(f"network {name!r} is built by timm, which is not installed")

    monkeypatch.setattr(networks, "find_network", find)
    assert list(networks.present(["small-cnn", "timm:resnet50"])) == ["small-cnn"]
    assert "left out: network 'timm:resnet50'" in capsys.readouterr().out
