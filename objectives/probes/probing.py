"""Probes and their findings."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from auglik.objectives.errors import InputError

T = TypeVar("T")

Probe = Callable[[T], str]
"""Returns what was found; raises InputError with what was expected and found, or any error of the probed code."""


class Finding(NamedTuple):
    probe: str
    passed: bool
    seen: str
    """On one line."""


NEEDED = ("shapes", "logits", "draws")
"""Probes whose failure would only be said again by the others."""


def findings(probed: T, probes: Mapping[str, Probe[T]]) -> Iterator[Finding]:
    """Each probe's finding; an error of the code is a failure like any other, with its file and line.

    What several fail by, as where a data set cannot be opened, the first of them says.
    """
    said: dict[str, str] = {}
    for name, probe in probes.items():
        try:
            seen, passed = probe(probed), True
        except InputError as error:
            seen, passed = str(error), False
        except (Exception, SystemExit) as error:
            seen, passed = f"{_place(error)}{type(error).__name__}: {' '.join(str(error).split())}"[:240], False
        stopped = not passed and name in NEEDED
        if not passed and (first := said.setdefault(seen, name)) != name:
            seen = f"as under {first}"
        yield Finding(name, passed, f"{seen} (the other probes need this one to pass)" if stopped else seen)
        if stopped:
            return


def _place(error: BaseException) -> str:
    """`file:line: ` of the innermost line that is neither torch's nor a probe's."""
    others = (Path(torch.__file__).parent, Path(__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if not any(folder in file.parents for folder in others):
            return f"{file.name}:{frame.lineno}: "
    return ""


def expect(holds: bool, expected: str, got: object) -> None:
    """Raises InputError unless it holds."""
    if not holds:
        raise InputError(f"expected {expected}, got {got}")


def expect_count(value: object, least: int, what: str) -> None:
    """Raises InputError unless it is a whole number of at least `least`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    expect(whole and value >= least, f"{what} as an integer >= {least}", repr(value))  # type: ignore[operator]


def expect_tensor(value: object, shape: tuple[int, ...], what: str) -> None:
    """Raises InputError unless it is a float32 tensor of that shape, as one of float32 input should be."""
    if not isinstance(value, Tensor):
        raise InputError(f"expected {what}, got {type(value).__name__} instead of a tensor")
    got = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    expect(value.shape == shape and value.dtype == torch.float32, f"{what} = float32 {list(shape)}", got)


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest difference in units of 1 + the largest magnitude of its row; inf where either is not finite."""
    wanted = expected.double()
    difference = ((found.double() - wanted).abs() / (1 + wanted.abs().amax(-1, keepdim=True))).max()
    return float(difference) if bool(difference.isfinite()) else float("inf")


def close(found: Tensor, expected: Tensor, what: str) -> str:
    """That they agree to 64 roundings of their coarser dtype. Raises InputError."""
    if found.shape != expected.shape:
        raise InputError(f"expected {what}, got shape {list(found.shape)} instead of {list(expected.shape)}")
    apart = distance(found, expected)
    limit = 64 * max(torch.finfo(tensor.dtype).eps for tensor in (found, expected))
    expect(apart <= limit, f"{what}, to {limit:.0e}", f"a difference of {apart:.1e}")
    return f"{what}: within {apart:.1e}"


def gradient_of(function: Callable[[Tensor], Tensor], at: Tensor, cotangent: Tensor) -> Tensor:
    """d (cotangent . function) / d at. Raises InputError if nothing depends on it."""
    x = at.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = function(x)
        expect(value.requires_grad, "a value that depends on its input", "one without a gradient (detached?)")
        try:
            (gradient,) = torch.autograd.grad(value, x, cotangent.to(value.dtype), allow_unused=True)
        except RuntimeError as error:
            raise InputError(f"expected a value that gradients go back through, got {cause(error)}") from None
    if gradient is None:
        raise InputError("expected a value that depends on its input, got one that does not")
    return gradient


def cause(error: RuntimeError) -> str:
    """What torch says of a gradient that fails, without the tensor and its hint."""
    return " ".join(str(error).partition(": [")[0].split())


def differences_agree(function: Callable[[Tensor], Tensor], at: Tensor, cotangent: Tensor, what: str) -> str:
    """That the gradient is that of central differences, in float64. Raises InputError."""
    gradient = gradient_of(function, at, cotangent)
    step = 1e-5
    shifts = step * torch.eye(at.numel(), dtype=at.dtype).view(-1, *at.shape)
    with torch.no_grad():
        central = [((function(at + shift) - function(at - shift)) * cotangent).sum() for shift in shifts]
    expected = torch.stack(central).view(at.shape) / (2 * step)
    apart = distance(gradient, expected)
    expect(apart <= 1e-6, f"the gradient of {what} to be that of finite differences to 1e-6", f"{apart:.1e} apart")
    return f"gradient and finite differences within {apart:.1e}"
