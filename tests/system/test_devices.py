"""Devices, precision, and how arrays get there."""

import numpy as np
import pytest
import torch

from auglik.objectives import InputError
from auglik.system.devices import (
    autocast,
    available_cores,
    cards,
    check_compiler,
    choose_device,
    choose_precision,
    constant,
    send,
)

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


def test_compiling_is_refused_in_one_line_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    check_compiler(torch.device("cuda"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(InputError, match=r"C\+\+ compiler") as refused:
        check_compiler(CPU)
    assert len(str(refused.value).splitlines()) == 1


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
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cards() == expected
