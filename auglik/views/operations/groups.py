"""Operations on a batch, a different one for each view: in groups of views that share a kernel.

The host knows which views are in a group, so nothing waits for the device.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.system.devices import send
from auglik.views.augmentation import OPERATIONS
from auglik.views.operations.operation import COEFFICIENTS, Kernel, Operation
from auglik.views.operations.running import Run


class Grouping(NamedTuple):
    """The kernels of a table of operations, and for each index into OPERATIONS which of them it needs; -1: none."""

    kernels: tuple[Kernel, ...]
    kernel: NDArray[np.int8]

    @staticmethod
    def of(table: Mapping[str, Operation]) -> "Grouping":
        used = {name: operation.kernel for name, operation in table.items() if name != "identity"}
        kernels = tuple(dict.fromkeys(used.values()))
        positions = [kernels.index(used[name]) if name in used else -1 for name in OPERATIONS]
        return Grouping(kernels, np.array(positions, np.int8))


def coefficients_of(
    operation: NDArray[np.uint8],
    magnitude: NDArray[np.float32],
    height: int,
    width: int,
    table: Mapping[str, Operation],
) -> NDArray[np.float32]:
    """The kernels' coefficients for operations (indices into OPERATIONS) and magnitudes: [...] -> [...,6]."""
    found = np.zeros((operation.size, COEFFICIENTS), np.float32)
    for name, which in views_by_name(operation):
        magnitudes = torch.from_numpy(magnitude.ravel()[which])
        found[which] = table[name].coefficients(magnitudes, height, width).numpy()
    return found.reshape(*operation.shape, COEFFICIENTS)


def done_by(
    operation: NDArray[np.uint8],
    magnitude: NDArray[np.float32],
    height: int,
    width: int,
    table: Mapping[str, Operation],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The magnitude at which each operation acts, whole where it drops the rest, and the share it leaves in the frame.

    [...] -> [...] each.
    """
    acting, seen = magnitude.flatten(), np.ones(operation.size, np.float32)
    for name, which in views_by_name(operation):
        if table[name].whole:
            acting[which] = np.trunc(acting[which]) + 0.0  # no -0.0
        seen[which] = table[name].visibility(acting[which], height, width)
    return acting.reshape(operation.shape), seen.reshape(operation.shape)


def views_by_name(operation: NDArray[np.uint8]) -> list[tuple[str, NDArray[np.intp]]]:
    """Each operation that occurs in the flattened array, and where."""
    flat = operation.ravel()
    order = np.argsort(flat, kind="stable")
    ends = np.cumsum(np.bincount(flat, minlength=len(OPERATIONS)))
    groups = zip(OPERATIONS, np.split(order, ends[:-1]), strict=True)
    return [(name, which) for name, which in groups if len(which)]


def operate(images: Tensor, operation: NDArray[np.uint8], coefficients: Tensor, grouping: Grouping, run: Run) -> Tensor:
    """V views uint8 [V,c,H,W] under their operations [V,S], one after the other, with coefficients [V,S,6].

    Before each step they are put in the order of its kernels, straight from the order of the step before.
    """
    S = operation.shape[1]
    kernel = grouping.kernel[operation].T
    order = np.argsort(kernel, axis=1, kind="stable")
    place = np.argsort(order, axis=1)
    taken = [order[0], *(place[step - 1][order[step]] for step in range(1, S)), place[-1]]
    rows = send(np.concatenate([taken, order, np.repeat(np.arange(S), len(operation)).reshape(S, -1)]), images.device)
    coefficients = coefficients[rows[S + 1 : -S], rows[-S:]]
    for step in range(S):
        images = images.index_select(0, rows[step])
        ends = np.searchsorted(kernel[step][order[step]], np.arange(len(grouping.kernels) + 1)).tolist()
        groups = [images[: ends[0]]]
        for one, start, end in zip(grouping.kernels, ends[:-1], ends[1:], strict=True):
            if start < end:
                groups.append(run(one, images[start:end], coefficients[step, start:end]))
        images = torch.cat(groups)
    return images.index_select(0, rows[S])
