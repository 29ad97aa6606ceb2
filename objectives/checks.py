"""Checks of user tensors that enter an objective: what was expected, what was given, the likely cause."""

import math

import torch
from torch import Tensor

from auglik.objectives.contracts import Likelihood
from auglik.objectives.errors import InputError


def in_float32(parameter: float) -> bool:
    """Whether a parameter, its inverse, and their products with log-likelihoods are float32s: 1e-30 to 1e30 in size."""
    return 1e-30 <= abs(parameter) <= 1e30


def _shape(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def check_tensor(value: object, expected: str) -> None:
    """Raises InputError for anything but a tensor."""
    if not isinstance(value, Tensor):
        kind = type(value).__module__.partition(".")[0] + "." + type(value).__name__
        kind = kind.removeprefix("builtins.")
        raise InputError(f"expected {expected} as a tensor, got {kind}: make one with torch.as_tensor")


def can_be_read(*tensors: Tensor | None) -> bool:
    """Whether what is decided by values costs no wait: on a CPU, outside compiled code and torch.func."""
    return not torch.compiler.is_compiling() and all(
        one.device.type == "cpu" and not torch._C._functorch.is_functorch_wrapped_tensor(one)
        for one in tensors
        if one is not None
    )


def check_logits(logits: Tensor, extra_outputs: int) -> None:
    """Raises InputError unless logits are floating [K,B,C + extra_outputs] with K >= 1 and C >= 2."""
    check_tensor(logits, "floating logits [K,B,C] (views, images, classes)")
    if logits.ndim != 3 or not logits.is_floating_point():
        hint = "; add the dimension of views with logits[None]" if logits.ndim == 2 else ""
        raise InputError(f"expected floating logits [K,B,C] (views, images, classes), got {_shape(logits)}{hint}")
    if len(logits) == 0:
        raise InputError(f"expected at least one view of each image, got logits {_shape(logits)}")
    if logits.shape[-1] - extra_outputs < 2:
        outputs = f"at least {2 + extra_outputs} outputs" + (" (classes and the sink)" if extra_outputs else "")
        raise InputError(f"expected {outputs}, got logits {_shape(logits)}")


def check_views(logits: Tensor, *, decay: Tensor, weight: Tensor | None, log_importance: Tensor | None) -> None:
    """Raises InputError unless each is floating [K,B] as the logits [K,B,C] are."""
    for name, value in (("decay", decay), ("weight", weight), ("log_importance", log_importance)):
        if value is None and name != "decay":
            continue
        check_tensor(value, f"floating {name} [K,B] = {list(logits.shape[:2])}")
        assert value is not None
        if value.shape != logits.shape[:2] or not value.is_floating_point():
            hint = ""
            if value.ndim == 2 and value.shape == logits.shape[1::-1]:
                hint = "; images and views look swapped"
            elif value.ndim == 1:
                hint = "; one value per view and image is needed"
            raise InputError(f"expected floating {name} [K,B] = {list(logits.shape[:2])}, got {_shape(value)}{hint}")


def check_labels(labels: Tensor, logits: Tensor, likelihood: Likelihood) -> None:
    """Raises InputError unless labels are integers [B], or floating [B,C] if the likelihood takes soft labels."""
    B, C = logits.shape[1], logits.shape[2] - likelihood.extra_outputs
    check_tensor(labels, f"integer labels [B] = {[B]} or floating soft labels [B,C] = {[B, C]}")
    if labels.ndim == 2 and labels.is_floating_point():
        if not likelihood.soft_labels:
            raise InputError(
                f"{type(likelihood).__name__} takes labels [B] only, got soft labels {_shape(labels)}:"
                " its constants depend on the label being one-hot"
            )
        if labels.shape != (B, C):
            raise InputError(f"expected soft labels [B,C] = {[B, C]}, got {_shape(labels)}")
        return
    integers = labels.dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    if labels.shape != (B,) or not integers:
        raise InputError(
            f"expected integer labels [B] = {[B]} or floating soft labels [B,C] = {[B, C]}, got {_shape(labels)}"
        )


def check_toward(likelihood: Likelihood, classes: int) -> None:
    """Raises InputError where labels degrade toward distributions of another number of classes."""
    toward = getattr(likelihood, "toward", None)
    if isinstance(toward, Tensor) and toward.shape != (classes, classes):
        raise InputError(
            f"{type(likelihood).__name__} degrades toward distributions {list(toward.shape)}: expected logits of"
            f" {len(toward)} classes, got {classes}"
        )


def check_values(
    decay: Tensor, labels: Tensor, weight: Tensor | None, log_importance: Tensor | None, *, classes: int
) -> None:
    """Raises InputError for decay outside [0,1], weights that are negative or not finite, log importance of inf or NaN.

    Also for labels that are not a class or do not sum to one.
    """
    if not bool(((decay >= 0) & (decay <= 1)).all()):
        raise InputError(f"expected decay in [0,1], got values from {decay.min():g} to {decay.max():g}")
    if weight is not None and not bool(((weight >= 0) & weight.isfinite()).all()):
        raise InputError(f"expected finite weights >= 0, got values from {weight.min():g} to {weight.max():g}")
    if log_importance is not None and not bool((log_importance < math.inf).all()):
        raise InputError(f"expected log_importance below inf (-inf: no importance), got {log_importance.max():g}")
    if labels.ndim == 1 and labels.numel() and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        low, high = int(labels.min()), int(labels.max())
        raise InputError(f"expected labels in 0..{classes - 1} for {classes} classes, got values from {low} to {high}")
    if labels.ndim == 2:
        sums = labels.sum(1)
        if not bool((labels >= 0).all()) or not bool(((sums - 1).abs() < 1e-3).all()):
            raise InputError("expected soft labels that are >= 0 and sum to one for every image; were logits passed?")
