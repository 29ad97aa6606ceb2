"""How much each view moves an objective."""

import torch
from torch import Tensor

from auglik.objectives.errors import InputError
from auglik.objectives.objective import Objective, look_up_label


def view_gradients(
    objective: Objective,
    logits: Tensor,
    decay: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
    log_importance: Tensor | None = None,
) -> Tensor:
    """d log-likelihood / d table at the observed label, [K,B]: the weight of a view.

    With soft labels, the sum over the classes that have label mass. Raises InputError as
    `Objective.log_likelihood` does.
    """
    objective.check(logits, decay, labels, weight, log_importance)
    with torch.enable_grad():
        table = objective.likelihood.table(logits.detach(), decay).detach().requires_grad_()
        value = look_up_label(objective.aggregator.fold(table, weight, log_importance), labels)
        (gradient,) = torch.autograd.grad(value.sum(), table)
    if labels.ndim == 1:
        return gradient.gather(2, labels.long()[None, :, None].expand(len(table), -1, -1))[..., 0]
    return (gradient * (labels > 0)).sum(2)


def negative_share(gradients: Tensor) -> Tensor:
    """The share of images, [K,B] -> [], with a view whose likelihood the objective lowers (durbin-koopman can).

    Raises InputError for another shape.
    """
    if gradients.ndim != 2:
        raise InputError(f"expected gradients of views [K,B], got {list(gradients.shape)}")
    return (gradients < 0).any(0).float().mean()
