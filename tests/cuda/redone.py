"""A pretended recording: the work is done anew, and refused where a GPU that repeats what it recorded would differ."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

Signature = tuple[object, ...]


class DeviceError(RuntimeError):
    """What a GPU would have refused, or done otherwise."""


class Redone:
    """As `auglik.system.graphs.Recording`: its results are always the same tensors, with new values.

    Raises DeviceError where the work differs from what it was the first time: in its operations, their numbers, or the
    memory that they read and write and that is not of its own making; and where it waits, by the count of `waits`: then
    nothing can be recorded.
    """

    def __init__(self, work: Callable[[], Any], stream: object, waits: Callable[[], int] = lambda: 0) -> None:
        self.work, self.waits = work, waits
        self.result: Any = None
        self.done: list[Signature] = []

    def replay(self) -> object:
        before = self.waits()
        with Watched() as watched:
            found = tree_map_only(Tensor, Tensor.detach, self.work())
        if (waited := self.waits() - before) > 0:
            raise DeviceError(f"a recorded step waits {waited} times for the device")
        if self.result is None:
            self.result, self.done = found, watched.done
            return found
        for place, (first, now) in enumerate(zip(self.done, watched.done, strict=False)):
            if first != now:
                raise DeviceError(f"operation {place} of a recorded step was {first}, is now {now}")
        if len(self.done) != len(watched.done):
            raise DeviceError(f"a recorded step had {len(self.done)} operations, has now {len(watched.done)}")
        for own, value in zip(tree_leaves(self.result), tree_leaves(found), strict=True):
            if isinstance(own, Tensor):
                own.copy_(value)
        return self.result


class Watched(TorchDispatchMode):
    """Notes every operation: its name, its numbers, and the tensors that were there before it began."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[Signature] = []
        self.made: set[int] = set()

    def __torch_dispatch__(
        self,
        function: torch._ops.OpOverload,
        kinds: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        if function.namespace == "profiler":
            return function(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs or {}))
        self.done.append((str(function), *(self.seen(leaf) for leaf in leaves)))
        given = {address(leaf) for leaf in leaves if isinstance(leaf, Tensor)}
        found = function(*args, **(kwargs or {}))
        self.made |= {address(leaf) for leaf in tree_leaves(found) if isinstance(leaf, Tensor)} - given
        return found

    def seen(self, leaf: object) -> object:
        if not isinstance(leaf, Tensor):
            return repr(leaf)
        return tuple(leaf.shape), leaf.dtype, None if address(leaf) in self.made else address(leaf)


def address(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
