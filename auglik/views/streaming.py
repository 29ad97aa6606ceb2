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
"""Batches that are read before they are asked for: while the device works on one, the next is on its way."""

Places = NDArray[np.int64]


class ReadAhead:
    """What `read` gives for places [B], read on a thread of its own where it was announced in time."""

    def __init__(self, read: Callable[[Places], Tensor]) -> None:
        self.read = read
        self._announced: Iterator[Places] = iter(())
        self._reading: deque[tuple[Places, Future[Tensor]]] = deque()
        self._thread: ThreadPoolExecutor | None = None

    def announce(self, batches: Iterable[Places]) -> None:
        """What will be asked for from now on, in this order; it takes the place of what was announced before."""
        for _, future in self._reading:
            future.cancel()
        self._reading.clear()
        self._announced = iter(batches)
        self._start(AHEAD)

    def take(self, places: Places) -> Tensor:
        """`read(places)`; whatever it raises is raised here."""
        if not self._reading or not np.array_equal(self._reading[0][0], places):
            return self.read(places)
        _, future = self._reading.popleft()
        self._start(1)
        return future.result()

    def _start(self, count: int) -> None:
        for places in islice(self._announced, count):
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="read ahead")
            self._reading.append((places, self._thread.submit(self.read, places)))


class StreamedPixels:
    """The pixels [N, H W] of N images, as `pack` lays them out, without the pixels: indexing brings them to `device`.

    A step's images are best brought by one `bring`, after `announce`.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.images = images
        self.device = device
        self.dtype = torch.uint8 if images.shape[1] == 1 else torch.int32
        self._ahead = ReadAhead(self._read)

    def announce(self, batches: Iterable[Places]) -> None:
        """The batches that `bring`, or indexing by a slice or by places, will be asked for from now on, in order."""
        self._ahead.announce(batches)

    def bring(self, places: Places) -> Tensor:
        """The pixels [B, H W] of the images `places` [B], on the device."""
        return pack(self._ahead.take(places).to(self.device, non_blocking=True))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: slice | Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """As of a tensor: images by a slice or by places [B]; single pixels by places [V,1,1] and columns [V,...]."""
        if isinstance(which, tuple):
            places, columns = which
            held = self[places.flatten()]
            return held[torch.arange(len(held), device=self.device).view(places.shape), columns]
        if isinstance(which, slice):
            return self.bring(np.arange(len(self))[which])
        return self.bring(which.cpu().numpy())

    def _read(self, places: Places) -> Tensor:
        """Levels uint8 [B,c,H,W] on the host, where the device can copy them from without a wait."""
        levels = torch.from_numpy(np.require(self.images[places], requirements=["C", "W"]))
        return levels.pin_memory() if self.device.type == "cuda" else levels
