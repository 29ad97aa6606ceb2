"""What work asks of its process: freed memory, float32 that is not rounded, one order of sums; all until it ends."""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from auglik import InputError
from auglik.system import process
from auglik.system.process import process_state
from tests.system.current_cards import current_cards

CUDA = torch.device("cuda")
ORDER = "CUBLAS_WORKSPACE_CONFIG"


def pages_given() -> int:
    """How many pages the system gives for a tensor of 64 MiB, which is freed at once."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**26, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not asked")
def test_freed_memory_stays_with_a_process_while_it_works() -> None:
    with process_state(torch.get_num_threads()):
        kept = min(pages_given() for _ in range(8))
    assert pages_given() > 4 * kept  # in pages of 4 KiB or 2 MiB


def chosen() -> list[object]:
    """What every switch of the precision of float32 says, or that it raises."""

    def of(read: Callable[[], object]) -> object:
        try:
            return read()
        except RuntimeError:
            return "raises"

    backends = torch.backends
    older = (
        lambda: backends.cudnn.allow_tf32,
        lambda: backends.cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision,
    )
    return [*map(of, older), *(switch.fp32_precision for switch in process.precision_switches())]


@pytest.fixture
def switches() -> Iterator[None]:
    """They are put back as they are in a new process."""
    before = [(switch, switch.fp32_precision) for switch in process.precision_switches()]
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    for switch, value in before:
        switch.fp32_precision = value


def products_are_rounded() -> None:
    torch.set_float32_matmul_precision("medium")


def all_is_rounded() -> None:
    torch.backends.fp32_precision = "tf32"  # type: ignore[attr-defined]


def convolutions_are_not_rounded() -> None:
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]


newer = pytest.mark.skipif(len(process.precision_switches()) == 0, reason="switches of torch 2.9")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    "choose",
    [
        lambda: None,
        products_are_rounded,
        pytest.param(all_is_rounded, marks=newer),
        pytest.param(convolutions_are_not_rounded, marks=newer),
    ],
)
def test_float32_is_not_rounded_whatever_the_process_chose(
    choose: Callable[[], None], device: str, switches: None
) -> None:
    choose()
    before = chosen()
    with process_state(torch.get_num_threads(), torch.device(device)):
        assert chosen() == [False, False, "highest"] + ["ieee"] * len(process.precision_switches())
    assert chosen() == before


@newer
def test_switches_follow_the_general_one_as_before(switches: None) -> None:
    torch.backends.fp32_precision = "tf32"  # type: ignore[attr-defined]
    with process_state(torch.get_num_threads()):
        pass
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]
    assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"  # type: ignore[attr-defined]


def test_float32_is_not_rounded_where_the_environment_says_so() -> None:
    code = """
import torch
from auglik.system.process import process_state
from tests.system.current_cards import current_cards
assert torch.backends.cuda.matmul.allow_tf32
with process_state(1, torch.device("cuda")):
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
"""
    rounded = {**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    subprocess.run([sys.executable, "-c", code], env=rounded, check=True)


def test_older_versions_of_torch_have_two_switches(monkeypatch: pytest.MonkeyPatch, switches: None) -> None:
    torch.set_float32_matmul_precision("high")
    monkeypatch.setattr(process, "precision_switches", list)
    before = chosen()
    with process_state(torch.get_num_threads(), CUDA):
        assert chosen() == [False, False, "highest"]
    assert chosen() == before == [True, True, "high"]


@pytest.mark.parametrize("given", [None, ":16:8"])
def test_deterministic_runs_on_cuda_keep_to_one_order_and_put_back_what_was(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ORDER, raising=False)
    if given is not None:
        monkeypatch.setenv(ORDER, given)
    with process_state(torch.get_num_threads(), CUDA, deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ[ORDER] == (given or ":4096:8")
    assert not torch.are_deterministic_algorithms_enabled()
    assert os.environ.get(ORDER) == given
    with process_state(torch.get_num_threads(), deterministic=True):
        assert not torch.are_deterministic_algorithms_enabled(), "a CPU repeats anyway"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("deterministic", [False, True])
def test_what_the_caller_asked_of_algorithms_is_put_back(device: str, deterministic: bool) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with process_state(torch.get_num_threads(), torch.device(device), deterministic=deterministic):
            warns = not (deterministic and device == "cuda")
            assert torch.is_deterministic_algorithms_warn_only_enabled() == warns
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(("name", "within"), [("cuda:1", [1]), ("cuda", []), ("cpu", []), ("cpu:0", [])])
def test_the_card_of_a_run_is_the_current_one_while_it_works(
    name: str, within: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    current = current_cards(monkeypatch)
    with process_state(torch.get_num_threads(), torch.device(name)):
        assert current == within
    assert current == []


def as_torch_says(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    raise RuntimeError(
        "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms(True)` or\n... you must set"
        " an environment variable before running your PyTorch application: CUBLAS_WORKSPACE_CONFIG=:4096:8 or ..."
    )


def test_one_order_that_comes_too_late_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ORDER, raising=False)
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.ones", lambda *shape, device: None)
    monkeypatch.setattr("torch.mm", as_torch_says)
    state = process_state(torch.get_num_threads(), CUDA, deterministic=True)
    with pytest.raises(InputError, match="CUBLAS_WORKSPACE_CONFIG=:4096:8 before the program begins") as refused, state:
        pytest.fail("a run that cannot repeat has begun")
    assert len(str(refused.value).splitlines()) == 1
    assert not torch.are_deterministic_algorithms_enabled()
    assert ORDER not in os.environ
    with process_state(torch.get_num_threads(), CUDA):
        """Other runs are not asked."""


def test_buffers_of_several_sizes_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ORDER, ":4096:2:16:8")
    state = process_state(torch.get_num_threads(), CUDA, deterministic=True)
    with pytest.raises(InputError, match="expected CUBLAS_WORKSPACE_CONFIG to be :4096:8 or :16:8"), state:
        pytest.fail("a run that cannot repeat has begun")
