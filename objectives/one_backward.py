"""An unbiased gradient of an objective from the backward pass of one view of each image.

The gradient of an image's value is sum_k w_k grad l_k, w_k what the aggregator gives to view k: in the log-mean its
responsibility. K forward passes without a graph give the weights; a view drawn by them gives the gradient, at the cost
of about K + 3 forward passes, not 3K.
"""

from typing import NamedTuple

from torch import Tensor

from auglik.objectives.contracts import folds_label_by_label
from auglik.objectives.diagnostics import view_gradients
from auglik.objectives.errors import InputError
from auglik.objectives.objective import Objective


class DrawnView(NamedTuple):
    """Which view of each image is taken, int64 [B], and what its log-likelihood's gradient is multiplied by [B]."""

    view: Tensor
    factor: Tensor


def drawn_view(
    objective: Objective,
    logits: Tensor,
    decay: Tensor,
    labels: Tensor,
    uniforms: Tensor,
    weight: Tensor | None = None,
    log_importance: Tensor | None = None,
) -> DrawnView:
    """Draws view k of an image with a chance of |w_k| / sum |w|, by a number uniform on [0,1) for each [B].

    [K,B,C'], [K,B], [B], [B], ... -> [B], [B]. `factor` times the gradient of l_k has the mean sum_k w_k grad l_k:
    negative weights, as durbin-koopman has them, are taken with their sign. The network must give each view the same
    logits in both passes, so that batch statistics and dropout must be at rest. Raises InputError for soft labels,
    other shapes, and an aggregator that folds whole tables: there an image's value moves with all labels of a view.
    """
    if not folds_label_by_label(objective.aggregator):
        name = type(objective.aggregator).__name__
        raise InputError(f"one view's gradient: expected an aggregator that folds label by label, got {name}")
    if labels.ndim != 1:
        raise InputError(f"one view's gradient: expected labels [B], got {list(labels.shape)}: one view has one label")
    if uniforms.shape != labels.shape:
        raise InputError(
            f"one view's gradient: expected a uniform number for each image [B] = {list(labels.shape)}, got"
            f" {list(uniforms.shape)}"
        )
    weights = view_gradients(objective, logits, decay, labels, weight, log_importance)
    sizes = weights.abs()
    total = sizes.sum(0)
    passed = (sizes.cumsum(0) <= uniforms * total).sum(0).clamp_max(len(sizes) - 1)
    sign = weights.gather(0, passed[None])[0].sign()
    return DrawnView(passed, sign * total)


def one_view_loss(objective: Objective, drawn: DrawnView, logits: Tensor, decay: Tensor, labels: Tensor) -> Tensor:
    """What to call backward on: logits of the drawn views [B,C'], their decay [B], labels [B] -> [].

    Its gradient is the estimate of that of `Objective.loss`; its value is not that of any loss.
    """
    table = objective.likelihood.table(logits[None], decay[None])[0]
    own = table.gather(1, labels.long()[:, None])[:, 0]
    return -(drawn.factor * own).mean()
