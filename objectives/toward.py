"""What a label degrades toward: a distribution pi_j for every class j, in place of the uniform one."""

import dataclasses
import hashlib

import torch
from torch import Tensor

from auglik.objectives.contracts import Likelihood
from auglik.objectives.errors import InputError


class Toward:
    """Of a frozen dataclass that leaves its field `toward` out of ==, hash and repr: puts it into them, as tensors
    have no ==. Into those of its subclasses too, whose own dataclasses would else write them anew, without it.

    Of the hash only its shape is part, as distributions that are learned in training change in place.
    """

    toward: Tensor | None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in ("__eq__", "__hash__", "__repr__"):
            if name not in vars(cls):
                setattr(cls, name, getattr(cls, name))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _compared(self) == _compared(other) and _equal(self.toward, other.toward)

    def __hash__(self) -> int:
        return hash((_compared(self), None if self.toward is None else tuple(self.toward.shape)))

    def __repr__(self) -> str:
        shown = [f"{field.name}={getattr(self, field.name)!r}" for field in _fields(self) if field.repr]
        if self.toward is not None:
            digest = hashlib.sha256(self.toward.detach().double().cpu().numpy().tobytes()).hexdigest()
            shown.append(f"toward={list(self.toward.shape)} {digest[:8]}")
        return f"{type(self).__qualname__}({', '.join(shown)})"


def _fields(likelihood: Toward) -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(likelihood)  # type: ignore[arg-type]  # a mixin of dataclasses


def _compared(likelihood: Toward) -> tuple[object, ...]:
    return tuple(getattr(likelihood, field.name) for field in _fields(likelihood) if field.compare)


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
