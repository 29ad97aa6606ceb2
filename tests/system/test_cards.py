"""Cards that another process is asked about: this one makes no context there."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from auglik import InputError, RunConfig, change, open_dataset, read_facts, resolve
from auglik.cli.main import auglik
from auglik.experiments.engines.local import free_cards
from auglik.system import cards as cards_
from auglik.system import devices
from auglik.system.cards import Card, asked_elsewhere, card_elsewhere
from auglik.system.devices import card_count, choose_device, choose_precision
from auglik.views.memory import most_free
from tests import tiny

CUDA = torch.device("cuda")
AMPERE, OLD = Card("", 10 << 30, "native", ""), Card("", 20 << 30, "emulated", "7.5")
BUSY = Card("CUDA error: all CUDA-capable devices are busy or unavailable", 0, "none", "")
IN_USE = (
    "mem_get_info",
    "is_bf16_supported",
    "get_device_properties",
    "get_device_capability",
    "current_device",
    "device",
)
"""What of torch.cuda makes a context, or begins to use CUDA, in the process that calls it."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Pretends cards, of which each process of its own that is asked tells; using them here fails. The commands run."""
    commands: list[list[str]] = []

    def run(command: list[str], **named: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, json.dumps([AMPERE, BUSY, OLD]))

    ones = torch.ones

    def ones_here(*size: int, device: torch.device | None = None, **named: object) -> torch.Tensor:
        assert device is None or torch.device(device).type == "cpu", "a context is made here"
        return ones(*size, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("torch.ones", ones_here)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    for name in IN_USE:
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *given, name=name, **named: pytest.fail(f"{name} here"))
    return commands


def test_what_only_plans_asks_another_process_once(asked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(devices, "say_once", said.append)
    with asked_elsewhere():
        assert choose_device("auto") == choose_device("cuda") == CUDA
        assert choose_precision("auto", CUDA) == "mixed"
        assert choose_precision("auto", torch.device("cuda:2")) == "fp32"
        assert said == []
        assert choose_precision("bf16", torch.device("cuda:2")) == "bf16"
        assert "got 7.5, where it is emulated" in said.pop()
        assert card_count() == 2
        assert most_free(CUDA) == 20 << 30
        assert most_free(torch.device("cuda:0")) == 10 << 30
        with pytest.raises(InputError, match=r"'cuda:1' cannot be used here .* busy or unavailable"):
            choose_device("cuda:1")
    assert asked == [[sys.executable, "-P", "-m", "auglik.system.cards"]]
    assert card_elsewhere(CUDA) is None


def test_a_run_on_cuda_is_resolved_without_a_context(asked: list[list[str]], tmp_path: Path) -> None:
    config = change(RunConfig(), {**tiny.SETTINGS, "device": "cuda"})
    source = open_dataset(config.dataset)
    with asked_elsewhere():
        run = resolve(config, source, read_facts(source))
    assert (str(run.device), run.precision, len(asked)) == ("cuda", "mixed", 1)
    on_cuda = dataclasses.replace(tiny.job(tmp_path), run=run)
    assert free_cards([on_cuda]) == {"0": 10 << 30, "2": 20 << 30}


def test_a_process_that_uses_cuda_asks_itself(asked: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    with asked_elsewhere():
        assert card_elsewhere(CUDA) is None
    assert asked == []


def test_where_another_process_knows_nothing_this_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(command: list[str], **named: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(subprocess, "run", failing)
    with asked_elsewhere():
        assert card_elsewhere(CUDA) is None


def test_the_process_answers_of_every_card(monkeypatch: pytest.MonkeyPatch) -> None:
    count = torch.cuda.device_count()
    with asked_elsewhere():
        assert len(cards_._answers()) == count
    done = subprocess.run([sys.executable, "-P", "-m", "auglik.system.cards"], capture_output=True, check=True)
    assert (len(json.loads(done.stdout)), done.stderr) == (count, b"")


class StopRunningError(Exception):
    """The command has come far enough."""


@pytest.mark.parametrize("command", ["compare", "reproduce", "sample"])
def test_commands_whose_runs_have_processes_of_their_own_ask_elsewhere(
    command: str, asked: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*given: object, **named: object) -> None:
        assert choose_device("cuda") == CUDA
        raise StopRunningError

    monkeypatch.setattr(f"auglik.cli.{command}.make_plan", reached)
    name = ["mollification-table-1", "--scale", "quick"] if command == "reproduce" else []
    found = CliRunner().invoke(auglik, [command, *name, "--output", str(tmp_path / "out")])
    assert isinstance(found.exception, StopRunningError), found.output
    assert len(asked) == 1
