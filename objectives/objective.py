"""An objective: a likelihood and an aggregator. The observed label is looked up as late as the aggregator needs it."""

import copy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from auglik.objectives.checks import can_be_read, check_labels, check_logits, check_toward, check_values, check_views
from auglik.objectives.contracts import Aggregator, Likelihood, column_of, folds_label_by_label
from auglik.objectives.errors import InputError

Part = TypeVar("Part")


def look_up_label(folded: Tensor, labels: Tensor) -> Tensor:
    """The value at the observed label, [B,C], [B] -> [B], or its mean under soft labels, [B,C], [B,C] -> [B].

    A class without label mass adds nothing, even where its value is -inf.
    """
    if labels.ndim == 1:
        return folded.gather(1, labels.long()[:, None])[:, 0]
    return (labels * folded.masked_fill(labels == 0, 0.0)).sum(1)


@dataclass(frozen=True)
class Objective:
    """`Objective(LIKELIHOODS["smoothed"], AGGREGATORS["jensen"])`; C' is C plus the likelihood's extra outputs."""

    likelihood: Likelihood
    aggregator: Aggregator

    def __post_init__(self) -> None:
        """Raises InputError for names, classes and parts in the other's place."""
        _check_part(self.likelihood, "a likelihood", "table", "LIKELIHOODS")
        _check_part(self.aggregator, "an aggregator", "fold", "AGGREGATORS")

    def to(self, device: torch.device) -> "Objective":
        """The same, the tensors that its parts hold on `device`: a step that has to send them there waits for it."""
        return Objective(_on(self.likelihood, device), _on(self.aggregator, device))

    def fold(
        self, logits: Tensor, decay: Tensor, weight: Tensor | None = None, log_importance: Tensor | None = None
    ) -> Tensor:
        """The log-likelihood of every label: [K,B,C'], [K,B], [K,B], [K,B] -> [B,C]. Checks nothing but K."""
        self.check_view_count(len(logits))
        return self.aggregator.fold(self.likelihood.table(logits, decay), weight, log_importance)

    def log_likelihood(
        self,
        logits: Tensor,
        decay: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        log_importance: Tensor | None = None,
    ) -> Tensor:
        """log p(label | views): [K,B,C'], [K,B], [B] or [B,C], [K,B], [K,B] -> [B].

        Raises InputError for wrong shapes or dtypes, for soft labels if the likelihood takes none, for too few
        views and, on a CPU outside compiled code and torch.func (elsewhere the check would wait, or cannot be
        made), for values out of range.
        """
        self.check(logits, decay, labels, weight, log_importance)
        return self._at_label(logits, decay, labels, weight, log_importance)

    def loss(
        self,
        logits: Tensor,
        decay: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        log_importance: Tensor | None = None,
    ) -> Tensor:
        """Minus the mean log-likelihood over images, the training loss.

        Raises InputError as `log_likelihood` does, and for an aggregator that is not for training.
        """
        self.check_trains()
        self.check(logits, decay, labels, weight, log_importance)
        return -self._at_label(logits, decay, labels, weight, log_importance).mean()

    def check(
        self, logits: Tensor, decay: Tensor, labels: Tensor, weight: Tensor | None, log_importance: Tensor | None
    ) -> None:
        """Raises InputError as `log_likelihood` does."""
        check_logits(logits, self.likelihood.extra_outputs)
        self.check_view_count(len(logits))
        check_views(logits, decay=decay, weight=weight, log_importance=log_importance)
        check_labels(labels, logits, self.likelihood)
        classes = logits.shape[-1] - self.likelihood.extra_outputs
        check_toward(self.likelihood, classes)
        if can_be_read(logits, decay, labels, weight, log_importance):
            check_values(decay, labels, weight, log_importance, classes=classes)

    def _at_label(
        self, logits: Tensor, decay: Tensor, labels: Tensor, weight: Tensor | None, log_importance: Tensor | None
    ) -> Tensor:
        """The value at the observed label, [B]; no other label's is made where none other counts."""
        if labels.ndim == 2 or not folds_label_by_label(self.aggregator):
            return look_up_label(self.fold(logits, decay, weight, log_importance), labels)
        column = column_of(self.likelihood, logits, decay, labels)
        return self.aggregator.fold(column, weight, log_importance)[:, 0]

    def predict(self, logits: Tensor) -> Tensor:
        """Log-probabilities of the classes of images from K views each: [K,B,C'] -> [B,C]."""
        check_logits(logits, self.likelihood.extra_outputs)
        return self.aggregator.predictive(self.likelihood.log_probabilities(logits)).log_softmax(-1)

    def remarks(self) -> list[str]:
        """Remarks for readers of its figures."""
        of_likelihood = [remark.text for remark in self.likelihood.remarks if remark.holds(self.aggregator)]
        return [*of_likelihood, *self.aggregator.remarks]

    def check_view_count(self, views: int) -> None:
        """Raises InputError for fewer views than the aggregator needs."""
        needed = self.aggregator.minimum_views
        if views < needed:
            name = type(self.aggregator).__name__
            raise InputError(
                f"{name} needs at least {needed} views of each image, got K = {views}; log-mean works with one"
            )

    def check_trains(self) -> None:
        """Raises InputError for an aggregator that is unbounded above."""
        if not self.aggregator.trains:
            name = type(self.aggregator).__name__
            raise InputError(
                f"{name} is for studies and evaluation: as a training objective it is unbounded above when views"
                " disagree; train with durbin-koopman or log-mean"
            )


def _check_part(part: object, kind: str, member: str, registry: str) -> None:
    if isinstance(part, str):
        raise InputError(f"expected {kind}, got its name: give {registry}[{part!r}]")
    if isinstance(part, type):
        raise InputError(f"expected {kind}, got the class {part.__name__}: give an instance, {part.__name__}()")
    if not hasattr(part, member):
        raise InputError(f"expected {kind}, which has {member!r}, got {part!r:.60}")


def _on(part: Part, device: torch.device) -> Part:
    moved = copy.copy(part)
    for name, value in getattr(part, "__dict__", {}).items():
        object.__setattr__(moved, name, tree_map_only(Tensor, lambda held: held.to(device), value))
    return moved
