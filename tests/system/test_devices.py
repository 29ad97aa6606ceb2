"""Devices, precision, and how arrays get there."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from auglik.objectives import InputError
from auglik.system import devices
from auglik.system.devices import (
    autocast,
    available_cores,
    cards,
    choose_device,
    choose_precision,
    constant,
    cuda_works,
    send,
)
from auglik.views.memory import most_free
from tests.system.current_cards import current_cards

CPU = torch.device("cpu")


def test_a_device_is_chosen_by_name() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x", "", "meta", "cuda:-2"])
def test_a_device_that_cannot_be_used_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError) as refused:
        choose_device(name)
    message = str(refused.value)
    assert repr(name) in message
    assert "cuda:N" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", ["hpu", "privateuseone", "mps", "xla", "vulkan", "meta", "mps:0"])
def test_a_device_of_another_kind_is_refused_before_it_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "launch_kernel", lambda device: pytest.fail(f"a kernel was launched on {device}"))
    with pytest.raises(InputError) as refused:
        choose_device(name)
    assert str(refused.value) == f"expected device auto, cpu, cuda or cuda:N, got {name!r}"


def test_a_constant_is_marked_as_torch_marks_it() -> None:
    def ours() -> int:
        return 1

    def theirs() -> int:
        return 1

    assert vars(constant(ours)) == vars(torch.compiler.assume_constant_result(theirs)) != {}


def test_automatic_precision_on_a_cpu_is_the_repeatable_one() -> None:
    assert choose_precision("auto", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("fp32", torch.device("cuda")) == "fp32"


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_computes_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_mixed_precision_trains_in_bfloat16_and_scores_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for scoring, dtype in ((False, torch.bfloat16), (True, torch.float32)):
        with autocast(CPU, "mixed", scoring=scoring):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    assert choose_precision("auto", torch.device("cuda")) == "mixed"


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, np.bool_])
def test_send_keeps_values_and_dtype(dtype: type[np.generic], rng: np.random.Generator) -> None:
    values = rng.integers(0, 2, (3, 5)).astype(dtype)
    values.setflags(write=False)
    for array in (values, values.T, values[::-1]):
        sent = send(array, CPU)
        assert sent.numpy().dtype == dtype
        np.testing.assert_array_equal(sent.numpy(), array)


def test_send_copies_what_cannot_be_written() -> None:
    """A tensor that shares read-only memory could write into it."""
    values = np.arange(3)
    values.setflags(write=False)
    send(values, CPU).zero_()
    np.testing.assert_array_equal(values, [0, 1, 2])


def test_there_is_a_core() -> None:
    assert available_cores() >= 1


@pytest.mark.parametrize(("visible", "expected"), [(None, {"0": 5, "1": 6}), ("3, GPU-b", {"3": 5, "GPU-b": 6})])
def test_cards_are_named_as_the_environment_names_them(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: dict[str, int]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda place: (5 + place, 9))
    monkeypatch.setattr("torch.ones", lambda size, device: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cards() == expected


def cards_of(monkeypatch: pytest.MonkeyPatch, free: list[int | str]) -> list[str]:
    """Cards with so many free bytes, or with what CUDA says of them instead; the list gets the notices."""
    said: list[str] = []

    def ones(size: int, device: torch.device) -> None:
        found = 1 if device.type == "cpu" else free[device.index or 0]
        if isinstance(found, str):
            raise RuntimeError(f"CUDA error: {found}\nCUDA kernel errors might be asynchronously reported")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(free))
    monkeypatch.setattr("torch.cuda.get_arch_list", lambda: ["sm_80", "compute_90"])
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda place: (free[place], 9))
    monkeypatch.setattr("torch.ones", ones)
    monkeypatch.setattr(devices, "say_once", said.append)
    return said


def test_a_card_without_kernels_is_left_for_the_cpu_or_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said = cards_of(monkeypatch, ["no kernel image is available for execution on the device"])
    assert choose_device("auto") == CPU
    (line,) = said
    assert "no kernel image" in line
    assert "built for sm_80 compute_90" in line
    assert line.endswith("runs are on the CPU")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(InputError, match="this torch was built for sm_80 compute_90") as refused:
            choose_device(name)
        assert len(str(refused.value).splitlines()) == 1


def test_of_several_cards_those_that_can_be_used_are(monkeypatch: pytest.MonkeyPatch) -> None:
    said = cards_of(monkeypatch, ["no kernel image is available", 5, "device is busy", 7])
    assert cards() == {"1": 5, "3": 7}
    assert devices.card_count() == 2
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    assert most_free(torch.device("cuda")) == 7
    assert said == []
    with pytest.raises(InputError, match="device is busy"):
        choose_device("cuda:2")


def test_one_card_is_not_asked_where_it_is_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cards_of(monkeypatch, [5])
    monkeypatch.delattr("torch.cuda.mem_get_info")
    assert devices.card_count() == 1


def test_automatic_precision_is_that_of_the_card_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    current = current_cards(monkeypatch, 0)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: current[-1] == 1)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (7, 5))
    assert [choose_precision("auto", torch.device(name)) for name in ("cuda", "cuda:0", "cuda:1")] == [
        "fp32", "fp32", "mixed",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["bf16", "mixed"])
@pytest.mark.parametrize(
    ("capability", "emulates", "expected"),
    [((9, 0), True, ""), ((8, 0), True, ""), ((7, 5), True, "where it is emulated"), ((6, 1), False, "got 6.1: give")],
)
def test_bf16_by_name_is_held_against_the_card(
    monkeypatch: pytest.MonkeyPatch, name: str, capability: tuple[int, int], emulates: bool, expected: str
) -> None:
    """The cards are pretended below torch's own rule, which counts emulation unless told otherwise."""
    said: list[str] = []
    monkeypatch.setattr(devices, "say_once", said.append)
    monkeypatch.setattr("torch.version.hip", None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    properties = SimpleNamespace(major=capability[0], minor=capability[1])
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: properties)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: capability)
    monkeypatch.setattr("torch.cuda._check_bf16_tensor_supported", lambda device: emulates)
    card, native = torch.device("cuda"), capability >= (8, 0)
    assert choose_precision("auto", card) == ("mixed" if native else "fp32")
    assert choose_precision("fp32", card) == "fp32"
    assert said == []
    if native or emulates:
        assert choose_precision(name, card) == name
    else:
        with pytest.raises(InputError) as refused:
            choose_precision(name, card)
        said.append(str(refused.value))
    assert len(said) == (0 if native else 1)
    for line in said:
        assert line.startswith(f"precision {name}: expected a card that computes bfloat16")
        assert expected in line
        assert "\n" not in line


def test_a_process_whose_cuda_device_has_failed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def synchronize(device: torch.device) -> None:
        """As torch does: the error is that of one card."""
        if device.index != 0:
            raise RuntimeError("CUDA error: device-side assert triggered")

    card, other = torch.device("cuda", 1), torch.device("cuda", 0)
    assert cuda_works(card)
    monkeypatch.setattr("torch.cuda.synchronize", synchronize)
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: False)
    assert cuda_works(card), "CUDA is not used"
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    assert not cuda_works(card)
    assert cuda_works(other)
    assert cuda_works(CPU), "no card is asked for a run on the CPU"
