"""Several versions of a view averaged."""

import torch
from torch import Tensor


def mixture(branches: Tensor, shares: Tensor) -> Tensor:
    """The sum of branches uint8 [n,R,c,H,W] times shares float32 [n,R], cut to whole levels: uint8 [n,c,H,W]."""
    mixed = shares[:, 0, None, None, None] * branches[:, 0]
    for branch in range(1, branches.shape[1]):
        mixed = mixed + shares[:, branch, None, None, None] * branches[:, branch]
    return mixed.to(torch.uint8)
