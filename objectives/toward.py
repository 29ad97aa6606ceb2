"""What a label degrades toward: a distribution pi_j for every class j, in place of the uniform one."""

import dataclasses
import hashlib
from typing import Any, TypeVar

import torch
from torch import Tensor

from auglik.objectives.contracts import Likelihood
from auglik.objectives.errors import InputError

L = TypeVar("L")


def told_apart(kind: type[L]) -> type[L]:
    """A frozen dataclass that leaves its field `toward` out of ==, hash and repr, with it in them: tensors have no ==.

    Of the hash only its shape is part, as distributions that are learned in training change in place.
    """
    same, hashed, shown = kind.__eq__, kind.__hash__, kind.__repr__

    def equal(self: Any, other: object) -> bool:  # noqa: ANN401 - of any such class
        found = same(self, other)
        return found if found is not True else _equal(self.toward, other.toward)  # type: ignore[attr-defined]

    def hash_of(self: Any) -> int:  # noqa: ANN401
        return hash((hashed(self), None if self.toward is None else tuple(self.toward.shape)))

    def text(self: Any) -> str:  # noqa: ANN401
        known = shown(self)
        if self.toward is None:
            return known
        digest = hashlib.sha256(self.toward.detach().double().cpu().numpy().tobytes()).hexdigest()
        return f"{known[:-1]}{'' if known.endswith('()') else ', '}toward={list(self.toward.shape)} {digest[:8]})"

    for name, method in (("__eq__", equal), ("__hash__", hash_of), ("__repr__", text)):
        setattr(kind, name, method)
    return kind


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or one is other:
        return one is other
    return one.shape == other.shape and bool((one == other.to(one.device)).all())


def degrades(likelihood: Likelihood) -> bool:
    """Whether what a label loses goes to other classes: such a likelihood has a field `toward: Tensor | None`."""
    return dataclasses.is_dataclass(likelihood) and "toward" in {field.name for field in dataclasses.fields(likelihood)}


def degrading(likelihood: Likelihood, toward: Tensor) -> Likelihood:
    """The same with labels (1-gamma) e_j + gamma pi_j, pi = `toward` [C,C], in row j the distribution of class j.

    Raises InputError for a likelihood that gives other classes nothing, and for rows that are no distributions.
    """
    if not degrades(likelihood):
        raise InputError(f"{type(likelihood).__name__} spreads no label mass over classes; smoothed does")
    check_distributions(toward)
    return dataclasses.replace(likelihood, toward=toward)  # type: ignore[type-var]


def check_distributions(toward: Tensor) -> None:
    """Raises InputError unless `toward` is floating [C,C], C >= 2, each row a distribution."""
    if toward.ndim != 2 or toward.shape[0] != toward.shape[1] or len(toward) < 2 or not toward.is_floating_point():
        raise InputError(f"expected floating distributions [C,C], a row for each class, got {list(toward.shape)}")
    if not bool((toward >= 0).all()) or not bool(((toward.double().sum(1) - 1).abs() < 1e-6).all()):
        raise InputError("expected rows that are >= 0 and sum to one (are these counts? divide by their sums)")


def keeps_chance(toward: Tensor) -> bool:
    """Whether each class keeps 1/C of its own label, so that a view's confidence is 1 - gamma + gamma/C as ever."""
    return bool(((toward.diagonal() - 1 / len(toward)).abs() < 1e-6).all())


def at_chance(shares: Tensor) -> Tensor:
    """pi with 1/C on the diagonal, and off it in proportion to the shares [C,C]; uniform for a class without any."""
    C = len(shares)
    off = shares.double().clone()
    off.fill_diagonal_(0)
    total = off.sum(1, keepdim=True)
    even = (1 - torch.eye(C, dtype=torch.float64)) / (C - 1)
    off = torch.where(total > 0, off / torch.where(total > 0, total, 1.0), even)
    return off * (1 - 1 / C) + torch.eye(C, dtype=torch.float64) / C
