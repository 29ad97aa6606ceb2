"""One run over several processes: which share of a step's images is whose, and what they tell each other.

`torchrun` starts the processes; torch.distributed connects them, through gloo on a CPU and NCCL between GPUs.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from auglik.objectives import InputError
from auglik.system.devices import available_cores
from auglik.system.launched import launched

T = TypeVar("T")

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = timedelta(days=1)
"""How long a process waits for the others, while the first reads its data, say; that one has died torchrun notices."""


class AgreedError(InputError):
    """What one of several processes found wrong, raised by all of them."""


class Part(NamedTuple):
    """The items `start` to `stop` - 1 of `total`."""

    start: int
    stop: int
    total: int


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a run, seen from number `rank` of `count`; `local` of them are on its machine.

    All but `threads` and `part` wait for the others and so are called by all, in one order. A single process does
    nothing for any.
    """

    rank: int = 0
    count: int = 1
    local: int = 1
    gpus: int = 0
    """Of its machine."""

    @property
    def first(self) -> bool:
        """Whether it is this process that plans, writes and tells."""
        return self.rank == 0

    def threads(self, asked: int) -> int:
        """Of this process: at most its share of the cores of its machine, if it shares them."""
        return min(asked, max(1, available_cores() // self.local)) if self.count > 1 else asked

    def part(self, total: int, rank: int | None = None) -> slice:
        """Which of `total` items are this process's (or those of `rank`): a share that differs by one at the most."""
        place = self.rank if rank is None else rank
        return slice(total * place // self.count, total * (place + 1) // self.count)

    def weighted(self, value: Tensor, part: int, total: int) -> Tensor:
        """A mean over `part` items here, so weighted that the mean over processes is that over all `total` items."""
        return value if self.count == 1 else value * (part * self.count / total)

    def mean(self, value: Tensor) -> Tensor:
        """Over processes; without a gradient."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def add(self, *values: Tensor) -> None:
        """Makes each its sum over processes, in place."""
        if self.count > 1:
            for value in values:
                distributed.all_reduce(value)

    def keep_in_first(self, *values: Tensor) -> None:
        """Makes each zero elsewhere than in the first process, so that `add` counts it once."""
        if not self.first:
            for value in values:
                value.zero_()

    def copy_first(self, values: Iterable[Tensor]) -> None:
        """Makes each what it is in the first process, in place."""
        if self.count > 1:
            for value in values:
                distributed.broadcast(value, 0)

    def gathered(self, values: Tensor, total: int, dim: int = 0) -> Tensor:
        """The `total` items of all parts along `dim`, in order; what this process has beyond its part is left out."""
        if self.count == 1:
            return values
        lengths = [part.stop - part.start for part in (self.part(total, rank) for rank in range(self.count))]
        own = values.movedim(dim, 0)[: lengths[self.rank]]
        padded = own.new_zeros((max(lengths), *own.shape[1:]))
        padded[: len(own)] = own
        found = [torch.empty_like(padded) for _ in lengths]
        distributed.all_gather(found, padded)
        parts = [part[:length] for part, length in zip(found, lengths, strict=True)]
        return torch.cat(parts).movedim(0, dim)

    def largest(self, *values: int) -> list[int]:
        """Of each over processes, found by the hosts: no device is waited for."""
        if self.count == 1:
            return [*values]
        found = torch.tensor(values)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return cast(list[int], found.tolist())

    def any(self, holds: bool) -> bool:
        """Whether it holds in one of them."""
        return holds if self.count == 1 else self.largest(int(holds)) == [1]

    def agreed(self, make: Callable[[], T]) -> T:
        """What `make` gives here; an InputError in one of several processes all raise, as an AgreedError."""
        if self.count == 1:
            return make()
        made: list[T] = []
        error = ""
        try:
            made = [make()]
        except InputError as raised:
            error = str(raised) if self.first else f"process {self.rank}: {raised}"
        errors = [""] * self.count
        distributed.all_gather_object(errors, error)
        if found := [*filter(None, errors)]:
            raise AgreedError(found[0])
        return made[0]

    def shared(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, picklable; raises as `agreed` does."""
        if self.count == 1:
            return make()
        box = [self.agreed(make if self.first else lambda: None)]
        distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return cast(T, box[0])

    def parallel(self, network: nn.Module, all_used: bool) -> nn.Module:
        """The network, whose backward pass leaves gradients that are means over processes.

        It begins from the first process's weights. Parameters without a gradient stay so, unless they are `all_used`.
        """
        if self.count == 1:
            return network
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")  # its successor came with torch 2.14
            return DistributedDataParallel(network, broadcast_buffers=False, find_unused_parameters=not all_used)


ONE = Processes()
"""The process of a run that has no other."""


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that torchrun started, connected; ONE where it started none or this one alone.

    Each sees the GPU of its number on its machine and no other. Raises InputError for a torch without
    torch.distributed.
    """
    place = launched()
    if place is None:
        yield ONE
        return
    if not distributed.is_available():
        raise InputError("torchrun started several processes, and this torch was built without torch.distributed")
    gpus = _own_gpu(place.local_rank, place.local)
    nccl = gpus > 0 and distributed.is_nccl_available()
    distributed.init_process_group("cpu:gloo,cuda:nccl" if nccl else "gloo", timeout=PATIENCE)
    processes = Processes(place.rank, place.world, place.local, gpus)
    try:
        yield processes
    except SystemExit:  # as where a signal has stopped all
        _leave(processes)
        raise
    _leave(processes)


def _own_gpu(number: int, local: int) -> int:
    """How many GPUs there are; from now on this process sees that of its number, in all of its threads.

    Where the driver's library does not count them, as in some containers, CUDA has to, which reads the list once: then
    it is asked for this process's own, and where that is there, those of the list are, or enough of them.
    """
    asked = os.environ.get(VISIBLE)
    count = _counted_by_driver()
    names = [str(card) for card in range(max(count, number + 1))] if asked is None else asked.split(",")
    if number < (len(names) if count < 0 else count):
        os.environ[VISIBLE] = names[number].strip()
    if count >= 0:
        return count
    return 0 if torch.cuda.device_count() == 0 else local if asked is None else len(names)


def _counted_by_driver() -> int:
    """The GPUs that this process may see, counted without CUDA; negative where that is not known."""
    if not torch.backends.cuda.is_built():
        return 0
    count = torch.cuda._device_count_amdsmi if torch.version.hip else torch.cuda._device_count_nvml
    return int(count())


def _leave(processes: Processes) -> None:
    """Disconnects once all are done: a process that leaves before makes those that still listen abort."""
    with suppress(RuntimeError):
        processes.any(True)
    distributed.destroy_process_group()


def check_device(processes: Processes, device: torch.device) -> None:
    """Raises InputError where the processes of this machine could not each have a GPU of their own."""
    if processes.count == 1 or device.type == "cpu":
        return
    if device.index is not None:
        raise InputError(f"device: expected cuda, as each of {processes.count} processes takes its own, got {device}")
    if processes.local > processes.gpus:
        raise InputError(
            f"expected a GPU for each of the {processes.local} processes on this machine, got {processes.gpus}:"
            " start fewer, or use --device cpu"
        )
