"""Probes of the direction of a likelihood: whether what makes a label likelier raises its value."""

from collections.abc import Callable

import torch
from torch import Tensor

from auglik.objectives.contracts import Likelihood
from auglik.objectives.probes.probing import expect

C = 12
"""More classes than the ten that code may have been written for."""


def outputs(likelihood: Likelihood) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """What it makes of logits and decay, by the name of the member."""
    return {"table": likelihood.table, "log_probabilities": lambda logits, decay: likelihood.log_probabilities(logits)}


def direction(likelihood: Likelihood) -> str:
    """From uniform logits, a label's own logit raises it most."""
    for name, least in _rises(likelihood).items():
        expect(
            least > 0, f"the {name} of a label to rise most with its own logit", f"{least:.3g} above that with another"
        )
    return f"{least:.3g} more with a label's own logit than with another"


def sign(likelihood: Likelihood) -> None:
    """A wrong one turns that round. A loss may be flat there, as truncated ones are where labels are unlikely, if it
    tells labels apart that are likely.
    """
    logits, decay = torch.zeros(C, 1, C + likelihood.extra_outputs, dtype=torch.float64), torch.zeros(C, 1).double()
    logits.diagonal(dim1=0, dim2=2).fill_(3)
    for name, least in _rises(likelihood).items():
        what = f"the {name} of a label to rise most with its own logit"
        expect(least > -1e-9, what, f"a rise {least:.3g} above that with another: is its sign wrong?")
        if least < 1e-9:
            above = _least_above(outputs(likelihood)[name](logits, decay)[:, 0])
            expect(above > 0, f"the {name} of a likely label to be above that of others", f"{above:.3g} above")


def _rises(likelihood: Likelihood) -> dict[str, float]:
    """How much more each output of a label rises with its own logit than with another, at the least."""
    logits, decay = torch.zeros(1, 1, C + likelihood.extra_outputs, dtype=torch.float64), torch.zeros(1, 1).double()
    found = {}
    for name, made in outputs(likelihood).items():
        rise = torch.autograd.functional.jacobian(lambda x, made=made: made(x, decay)[0, 0], logits)[:, 0, 0, :C]
        found[name] = _least_above(rise)
    return found


def _least_above(values: Tensor) -> float:
    """How far the diagonal of [C,C] is above all else in its row, at the least."""
    others = values - torch.diag(torch.full((C,), torch.inf).double())
    return float((values.diagonal() - others.amax(1)).min())
