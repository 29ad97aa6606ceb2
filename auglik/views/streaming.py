"""Pixels that stay on the host, or in files, and come to the device batch by batch, read ahead of their use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auglik.data.images import Images
from auglik.views.packing import pack

AHEAD = 2
"""Batches that are read ahead: while the device works on one, the next is on its way."""

Positions = NDArray[np.int64]


class ReadAhead:
    """What `read` gives for positions [B], read on another thread if announced in time."""

    def __init__(self, read: Callable[[Positions], Tensor]) -> None:
        self.read = read
        self._announced: Iterator[Positions] = iter(())
        self._reading: deque[tuple[Positions, Future[Tensor]]] = deque()
        self._thread: ThreadPoolExecutor | None = None

    def announce(self, batches: Iterable[Positions]) -> None:
        """Announces what will be requested next, in this order; it replaces earlier announcements."""
        for _, future in self._reading:
            future.cancel()
        self._reading.clear()
        self._announced = iter(batches)
        self._start(AHEAD)

    def take(self, positions: Positions) -> Tensor:
        """`read(positions)`; whatever it raises is raised here."""
        if not self._reading or not np.array_equal(self._reading[0][0], positions):
            return self.read(positions)
        _, future = self._reading.popleft()
        self._start(1)
        return future.result()

    def _start(self, count: int) -> None:
        for positions in islice(self._announced, count):
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="read ahead")
            self._reading.append((positions, self._thread.submit(self.read, positions)))


class StreamedPixels:
    """The pixels [N, H W] of N images, as `pack` lays them out, without the pixels: indexing brings them to `device`.

    A step's images are best brought by one `bring`, after `announce`.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.images = images
        self.device = device
        self.dtype = torch.uint8 if images.shape[1] == 1 else torch.int32
        self._ahead = ReadAhead(self._read)

    def announce(self, batches: Iterable[Positions]) -> None:
        """The batches that `bring`, or indexing by a slice or by positions, will request next, in order."""
        self._ahead.announce(batches)

    def bring(self, positions: Positions) -> Tensor:
        """The pixels [B, H W] of the images `positions` [B], on the device."""
        return pack(self._ahead.take(positions).to(self.device, non_blocking=True))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: slice | Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """As of a tensor, images by a slice or positions [B]; pixels by positions [V,1,1] and columns [V,...]."""
        if isinstance(which, tuple):
            positions, columns = which
            held = self[positions.flatten()]
            return held[torch.arange(len(held), device=self.device).view(positions.shape), columns]
        if isinstance(which, slice):
            return self.bring(np.arange(len(self))[which])
        return self.bring(which.cpu().numpy())

    def _read(self, positions: Positions) -> Tensor:
        """Levels uint8 [B,c,H,W] on the host, where the device can copy them from without a wait."""
        levels = torch.from_numpy(np.require(self.images[positions], requirements=["C", "W"]))
        return levels.pin_memory() if self.device.type == "cuda" else levels
