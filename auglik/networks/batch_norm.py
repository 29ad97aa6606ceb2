"""Batch norm whose statistics are over the images of all processes of a run."""

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm

from auglik.objectives.errors import InputError

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class GlobalBatchNorm(_BatchNorm):
    """nn.SyncBatchNorm for CPUs too: [B,C,...] normalized by the moments of all processes' values, then `then`.

    Parameters and buffers are those of the layer that it replaces, and so is what it does in evaluation.
    """

    def __init__(self, layer: _BatchNorm, then: nn.Module) -> None:
        super().__init__(
            layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats, device="meta"
        )
        self._parameters, self._buffers = layer._parameters, layer._buffers
        self.then = then
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.then(super().forward(x))
        values = x if x.dtype == torch.float64 else x.float()
        over = [dim for dim in range(x.ndim) if dim != 1]
        shape = (-1, *[1] * (x.ndim - 2))
        C = self.num_features
        # The mean first, then squares about it: E[x^2] - E[x]^2 loses digits.
        sums = summed(torch.cat([values.sum(over), values.new_full((1,), values.numel() / C)]))
        count = sums[C:].detach()
        mean = sums[:C] / count
        centred = values - mean.view(shape)
        variance = summed(centred.square().sum(over)) / count
        self._remember(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        normalized = centred * scale.view(shape)
        if self.bias is not None:
            normalized = normalized + self.bias.view(shape)
        return self.then(normalized.to(x.dtype))

    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.num_batches_tracked is None or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.to(mean.dtype)
        self.running_mean.add_((mean - self.running_mean) * share)
        self.running_var.add_((variance * (count / (count - 1)) - self.running_var) * share)

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class Summed(torch.autograd.Function):
    """The sum over processes; so is its gradient, as each process's loss depends on all of them."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def summed(values: Tensor) -> Tensor:
    found: Tensor = Summed.apply(values)
    return found


def over_processes(network: nn.Module) -> None:
    """Replaces every batch norm: on CUDA by nn.SyncBatchNorm. Raises InputError for one whose arithmetic is unknown."""
    replaced: dict[nn.Module, nn.Module] = {}  # one layer may stand at several places
    for name, layer in list(network.named_modules(remove_duplicate=False)):
        if isinstance(layer, _BatchNorm):
            if layer not in replaced:
                replaced[layer] = _over_processes(name, layer)
            network.set_submodule(name, replaced[layer])


def _over_processes(name: str, layer: _BatchNorm) -> nn.Module:
    if type(layer) in PLAIN:
        if next((value.is_cuda for value in (*layer.parameters(), *layer.buffers())), False):
            return nn.SyncBatchNorm.convert_sync_batchnorm(layer)
        return GlobalBatchNorm(layer, nn.Identity())
    if type(layer).__name__ == "BatchNormAct2d":  # timm's, which need not be there
        return GlobalBatchNorm(layer, nn.Sequential(layer.get_submodule("drop"), layer.get_submodule("act")))
    if isinstance(layer, nn.SyncBatchNorm):
        return layer
    raise InputError(
        f"expected batch norms of torch, got {type(layer).__name__} at {name!r}: its statistics cannot be taken over"
        " all processes; --batch-norm local takes them over each process's images"
    )
