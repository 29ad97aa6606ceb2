"""The two contracts of an objective: a likelihood makes a table of log-likelihoods, an aggregator folds its views.

Shapes are K views, B images, C classes, in that order. An implementation is a frozen dataclass in its own short
file; its fields are its parameters.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol, TypeGuard

from torch import Tensor

from auglik.objectives.numerics import at_label
from auglik.objectives.schedule import Schedule


class Remark(NamedTuple):
    """A remark for readers of a likelihood's figures, and the aggregators under which it holds."""

    text: str
    holds: Callable[["Aggregator"], bool] = lambda aggregator: True


class Likelihood(Protocol):
    """logits [K,B,C] and decay [K,B] -> table [K,B,C]: log p(label = c given view k of image b), for every label c.

    It may be one that `HasColumn`, read by `column_of`.
    """

    formula: ClassVar[str]
    source: ClassVar[str]
    soft_labels: ClassVar[bool]
    """Whether labels [B,C] are allowed: the constants of some likelihoods hold only for one-hot labels."""
    extra_outputs: ClassVar[int]
    """How many outputs the network has beyond the C classes; logits are then [K,B,C + extra_outputs]."""
    remarks: ClassVar[tuple[Remark, ...]]

    @property
    def schedule(self) -> Schedule | None:
        """The distribution of decay that it normalizes over: a field that a run sets to its own; None if not needed."""
        ...

    def label_decay(self, decay: Tensor) -> Tensor:
        """The share of each view's label that is trained as lost, of the shape of `decay`: the decay itself, unless
        the likelihood ignores it or spreads more.
        """
        ...

    def table(self, logits: Tensor, decay: Tensor) -> Tensor:
        """[K,B,C + extra_outputs], [K,B] -> [K,B,C], computed in float32 or better whatever the input."""
        ...

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """[..., C + extra_outputs] -> [..., C]: log-probabilities of the classes for a clean image."""
        ...


class Aggregator(Protocol):
    """table [K,B,C] -> [B,C], label by label (except for the normalized ones).

    It may have `label_by_label`, read by `folds_label_by_label`; `ordered`, read by `reads_order`; and what
    `DrawsViews` says, if the number of views is drawn. Such a one is unbiased over that number alone: its values for
    given views need not lie between jensen and any other's.
    """

    formula: ClassVar[str]
    source: ClassVar[str]
    trains: ClassVar[bool]
    """Whether it may be used in training: False if the objective is unbounded above."""

    @property
    def minimum_views(self) -> int:
        """The fewest views of an image that it takes."""
        ...

    @property
    def likelihood_power(self) -> float:
        """Power of its likelihood that weights a view in the gradient: 1 in a mean of likelihoods, inf in a maximum.

        At 0, in a mean of log-likelihoods, constants of a view that are the same for all labels move nothing.
        """
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks for readers of its figures."""
        ...

    def fold(self, table: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None) -> Tensor:
        """[K,B,C], [K,B], [K,B] -> [B,C], in float32 or better. `weight`: how much a view counts.

        `log_importance`: log-weights of views from a proposal; an image whose views have none (-inf each) is at -inf.
        """
        ...

    def predictive(self, log_probabilities: Tensor) -> Tensor:
        """[K,B,C] -> [B,C]: the log-probabilities, up to normalization, of an image from K views."""
        ...


class HasColumn(Likelihood, Protocol):
    """A likelihood that makes the table's column of every image's label, [K,B,1], without the rest."""

    def column(self, logits: Tensor, decay: Tensor, labels: Tensor) -> Tensor: ...


def column_of(likelihood: Likelihood, logits: Tensor, decay: Tensor, labels: Tensor) -> Tensor:
    """The table's column of every image's label: [K,B,C + extra_outputs], [K,B], [B] -> [K,B,1]."""
    if has_own_column(likelihood):
        return likelihood.column(logits, decay, labels)
    return at_label(likelihood.table(logits, decay), labels)


def has_own_column(likelihood: Likelihood) -> TypeGuard[HasColumn]:
    """Whether its class itself has `column`: one that it inherits is of a table that it may not have."""
    return "column" in vars(type(likelihood))


def folds_label_by_label(aggregator: Aggregator) -> bool:
    """Whether its value of a label depends on the table at that label alone, so that [K,B,1] may be folded to [B,1].

    An aggregator says so by `label_by_label: ClassVar[bool] = True`; without it the whole table is folded.
    """
    return bool(getattr(aggregator, "label_by_label", False))


def reads_order(aggregator: Aggregator) -> bool:
    """Whether its value may depend on the order of the views, as `ordered: ClassVar[bool] = True` says."""
    return bool(getattr(aggregator, "ordered", False))
